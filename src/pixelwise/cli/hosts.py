"""The network that a command is to work on: of timm, of a run, or of a file of one's own."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelwise.cli.given import MODEL, check_run
from pixelwise.errors import InputError, in_one_line, unknown
from pixelwise.interop.kinds import kind_of
from pixelwise.language import translate

NAMES = "a timm model, the folder of a run or model, or FILE.py:NAME"


@dataclass(frozen=True)
class GivenHost:
    """A network, and what is to be said of it."""

    module: Any
    call: str
    """What makes it in Python, for the user to write."""
    weights: str
    """What its weights are, in words."""
    notes: tuple[str, ...] = ()
    """What was done to have it, a line each."""


def one_host(positional: str | None, option: str | None) -> str:
    """The network's name, wherever it was written.

    Raises:
        InputError: It was written nowhere, or there are two.
    """
    if positional and option and positional != option:
        raise InputError(f"host={option!r}: {positional!r} is named too; name one network")
    found = (option or positional or "").strip()
    if not found:
        raise InputError(f"host='': no network; name {NAMES}, before other options")
    return found


def check_host(text: str, checkpoint: str | None, *, pretrained: bool) -> None:
    """Raise an InputError for what cannot be, before anything heavy is loaded."""
    if checkpoint is not None:
        kind_of(Path(checkpoint).expanduser())
    if pretrained and checkpoint is not None:
        raise InputError("pretrained=True: --checkpoint brings the weights; leave one of them out")
    if pretrained and (is_own(text) or Path(text).is_dir()):
        raise InputError("pretrained=True: is for names of timm; give weights as --checkpoint FILE")
    if is_own(text):
        return
    if Path(text).is_file():
        raise InputError(
            f"host={text!r}: is a file and no network; name the network, and such a file as"
            f" --checkpoint {text}"
        )
    if "/" in text or text in (".", ".."):
        check_run(text)
    files = sorted(file.name for file in Path(text).glob("*.py"))
    if files and not any((Path(text) / name).is_file() for name in (*MODEL, "config.yaml")):
        raise InputError(
            f"host={text!r}: is a folder of Python files and no run; name a file and what to call"
            f" in it, e.g. {Path(text) / files[0]}:build"
        )


def is_own(text: str) -> bool:
    """Whether this can only name a file of one's own: it has a colon, or ends in .py."""
    return (":" in text or text.endswith(".py")) and not Path(text).expanduser().is_dir()


def host_of(
    text: str,
    *,
    pretrained: bool = False,
    checkpoint: str | None = None,
    size: tuple[int, int] | None = None,
) -> GivenHost:
    """Build or load the network; a file of one's own is run.

    Args:
        text: A name of timm, with options if need be; a folder; or FILE.py:NAME.
        pretrained: Load timm's weights.
        checkpoint: A file of weights, for all of the network.
        size: Of the pictures, for networks of timm that are made for one size.

    Raises:
        InputError: There is no such network or file, or they do not go together.
    """
    found = _found(text, pretrained, size)
    if checkpoint is None:
        return found
    from pixelwise.interop.own_weights import load_weights

    told = load_weights(found.module, Path(checkpoint).expanduser())
    return GivenHost(
        found.module,
        found.call,
        translate("those of {checkpoint}").format(checkpoint=checkpoint),
        (*found.notes, *told),
    )


def _found(text: str, pretrained: bool, size: tuple[int, int] | None) -> GivenHost:
    if is_own(text):
        from pixelwise.interop.own_file import OwnNetwork

        own = OwnNetwork.read(text)
        return GivenHost(*own.build(), translate("as {name} makes them").format(name=own.file.name))
    if Path(text).is_dir():
        from pixelwise.networks.segmenter import load

        return GivenHost(load(text), "host", translate("those of {text}").format(text=text))
    return _of_timm(text, pretrained, size)


def _of_timm(text: str, pretrained: bool, size: tuple[int, int] | None) -> GivenHost:
    import timm

    from pixelwise.layers.option_text import read_options

    found = re.fullmatch(r"([^()]+)\((.*)\)", text, re.DOTALL)
    name = found[1].strip() if found else text
    if not timm.is_model(name):
        raise unknown("host", name, timm.list_models(), f"({NAMES})")
    try:
        options = read_options(found[2]) if found else {}
    except InputError as error:
        where = f"host={text!r}"
        raise InputError(f"{where}: {error}") from error
    weights = (
        translate("timm's pretrained ones")
        if pretrained
        else translate("random, as timm starts them")
    )
    given = {"pretrained": True, **options} if pretrained else options
    config = timm.get_pretrained_cfg(name)
    if size is not None and config is not None and config.fixed_input_size:
        try:
            made = _made(name, {"img_size": size, **given})
            note = translate(
                "{name} is for one size of pictures: made with img_size={size}"
            ).format(name=name, size=size)
            return GivenHost(made, "host", weights, (note,))
        except InputError:
            pass  # it has no such option, or not for this size; what runs on the size will say it
    return GivenHost(_made(name, given), "host", weights)


def _made(name: str, options: Mapping[str, Any]) -> Any:
    import timm

    try:
        return timm.create_model(name, **options)
    except (OSError, RuntimeError) as error:
        told = str(error).splitlines()[0]
        remedy = "without a network connection leave out --pretrained"
        raise InputError(
            f"{name}: timm could not make it ({type(error).__name__}: {told}); {remedy}"
        ) from error
    except Exception as error:  # whatever a model says of options that it does not take
        raise InputError(
            f"host={name!r}: timm could not make it ({in_one_line(error, 200)}); check its options"
        ) from error
