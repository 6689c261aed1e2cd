"""`pixelwise COMMAND ...`: finds the command's module and loads nothing else."""

import importlib
import io
import keyword
import os
import sys
import traceback
from collections.abc import Sequence

from pixelwise.errors import InputError, unknown
from pixelwise.language import VARIABLE, Language, current, problem, speaking, translate
from pixelwise.notes import told_by
from pixelwise.shortage import is_shortage

COMMANDS = {
    "demo": "train a small attention network on made-up scenes and look at it (no data needed)",
    "check-data": "name everything that is wrong with a data set, and its remedy",
    "data": "write the data.yaml of a published data set (pixelwise data import)",
    "train": "train a network on your pictures",
    "find-lr": "propose a learning rate for a training run",
    "compare": "find out which attention layer is worth its cost on your data",
    "evaluate": "score a trained network on labelled pictures",
    "predict": "write masks and overlays for pictures",
    "explain": "show where a network looks for a pixel",
    "serve": "show a page to click: classes of a pixel, where every layer looks, masks to edit",
    "export": "write a network as an ONNX, torch.export or safetensors file, proven equal",
    "push": "publish a trained network on the Hugging Face Hub, with a card",
    "bench": "measure time and memory of layers and networks",
    "probe": "measure how far context reaches through layers",
    "import": "convert a checkpoint of another code base",
    "insert": "insert layers into an existing network and report",
    "layers": "list the attention layers, or show one",
    "models": "list the networks, or show one",
}
"""Name -> one line. The module `pixelwise.cli.<name>` has `main(arguments) -> exit code`; one whose
name is a word of Python has an underscore behind it; a hyphen is an underscore."""

SMALLER = "take smaller pictures, or lower --batch-size, --crop or --window"
LONGEST = 300
"""Letters of an unforeseen error's message that are shown."""
HELP = """usage: pixelwise COMMAND [options]

Attention for pixel-wise prediction.

commands:
{commands}

  pixelwise COMMAND --help   shows a command's options
  pixelwise --version        shows the version
  --debug                    with any command: show where an error came from, and which forms
                             of the operations ran

exit codes: 0 done, 1 ran and found something wrong, 2 wrong input, 130 interrupted
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the process's exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    with speaking(_language()):
        return _main(list(sys.argv[1:] if arguments is None else arguments))


def _language() -> Language:
    """The language chosen, or English where standard output cannot show it."""
    if told := problem():
        print(f"note: {told}", file=sys.stderr)
    chosen, encoding = current(), getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        translate("{text} (default: %(default)s)").encode(encoding)
    except UnicodeEncodeError:
        told = f"{encoding} cannot hold the language's letters, so this is English"
        print(f"note: {told}; set PYTHONIOENCODING=utf-8, or {VARIABLE}=en", file=sys.stderr)
        return "en"
    return chosen


def _main(words: list[str]) -> int:
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not words or words[0] in ("-h", "--help", "help"):
        listed = "\n".join(f"  {name:10} {translate(line)}" for name, line in COMMANDS.items())
        print(translate(HELP).format(commands=listed))
        return 0
    if words[0] == "--version":
        from pixelwise import __version__

        print(f"pixelwise {__version__}")
        return 0
    try:
        with told_by(_note):
            return _run(words[0], words[1:])
    except InputError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {_one_line(error)}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a full disk, a folder that is not ours, a file that went away
        if debug:
            traceback.print_exc()
        where = f"{error.filename}: " if error.filename else ""
        told = " ".join(str(error.strerror or error).split())
        print(f"error: {where}{told}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print("interrupted", *stop.args, sep="; ", file=sys.stderr)
        return 130
    except SystemExit as stop:
        if isinstance(stop.code, int | None):  # as after --help
            raise
        print(f"error: {' '.join(str(stop.code).split())}", file=sys.stderr)
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        if is_shortage(error):
            print(f"error: memory did not suffice; {SMALLER}", file=sys.stderr)
            return 2
        told = " ".join(str(error).split())[:LONGEST]
        kind = type(error).__name__
        print(f"error: {kind}{told and ': '}{told}; --debug shows where", file=sys.stderr)
        return 1
    finally:
        if debug:
            _tell_forms()


def _note(text: str) -> None:
    from pixelwise.train.started import how_started

    if how_started().rank == 0:
        print(f"note: {text}", file=sys.stderr, flush=True)


def _tell_forms() -> None:
    taken = sys.modules.get("pixelwise.ops.running.taken")
    if taken:  # else no operation was loaded
        print(taken.line(), file=sys.stderr)


def _one_line(error: InputError) -> str:
    text = str(error)
    if "Original Traceback" in text:  # a loader process's error, wrapped by torch
        text = text.rpartition("InputError: ")[2]
    return " ".join(text.split())


def module_of(name: str) -> str:
    """The module of a command."""
    file = f"{name}_" if keyword.iskeyword(name) else name.replace("-", "_")
    return f"pixelwise.cli.{file}"


def _run(name: str, arguments: Sequence[str]) -> int:
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    module = importlib.import_module(module_of(name))
    code: int = module.main(arguments)
    return code


if __name__ == "__main__":
    sys.exit(main())
