"""A network of one's own: what `my/net.py:build(num_classes=3)` names is run and called.

The file runs as if it were imported, so what stands under `if __name__ == "__main__"` does not. It
finds the modules beside it, those of its package, and those of the current folder.
"""

import ast
import inspect
import re
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from pixelwise.errors import InputError, suggestion
from pixelwise.interop.own_module import run_file
from pixelwise.layers.option_text import read_options, split

WRITE = "write FILE.py:NAME or FILE.py:NAME(OPTION=VALUE)"
OURS = Path(__file__).parents[1]
TOLD = 200
"""Letters of somebody else's message that are shown."""


@dataclass(frozen=True)
class OwnNetwork:
    """A function or class in a file, and the options that it is called with."""

    text: str
    """As the user wrote it."""
    file: Path
    name: str
    brackets: str
    """What follows the name: "", or options in brackets."""

    @classmethod
    def read(cls, text: str) -> "OwnNetwork":
        """Take the text apart and look for the file; nothing runs.

        Raises:
            InputError: There is no such file, or it is not said what is to be called.
        """
        where = f"host={text!r}"
        path, told = _parted(text)
        _check(path, told, where)
        found = re.fullmatch(r"([^()]*)(\(.*\))?", told.strip(), re.DOTALL)
        name = found[1].strip() if found else ""
        if found is None or not all(map(str.isidentifier, name.split("."))):
            rule = f"{told!r} is no name" if told else "names nothing in the file"
            listed = ", ".join(_defined(path)) or "nothing that can be called"
            raise InputError(f"{where}: {rule}; {WRITE}. In {path.name}: {listed}")
        return cls(text, path, name, found[2] or "")

    def build(self) -> tuple[nn.Module, str]:
        """Run the file and call what is named; a network that is there already is taken as it is.

        Returns:
            The network, and the expression that gives it, such as `build(num_classes=3)`.

        Raises:
            InputError: There is nothing of that name, it needs other options, it failed, or it
                gave no network; with file and line where there are any.
        """
        where = f"host={self.text!r}"
        options = self._options(where)
        module = self._guarded(lambda: run_file(self.file), self.file.name, where)
        target: Any = module
        for part in self.name.split("."):
            if not hasattr(target, part):
                raise InputError(
                    f"{where}: {self.file.name} has no {self.name!r};"
                    f" {suggestion(self.name, _callables(module))}"
                )
            target = getattr(target, part)
        if isinstance(target, nn.Module) and self.brackets:
            raise InputError(f"{where}: {self.name} is a network already; leave out the brackets")
        if not callable(target):
            kind = type(target).__name__
            raise InputError(
                f"{where}: {self.name} is of type {kind}, no function and no class; name one that"
                " returns the network"
            )
        if isinstance(target, nn.Module):
            return _network(target, self.name, where), self.name
        self._check_options(target, options, where)
        made = self._guarded(lambda: target(**options), self.name, where)
        return _network(made, self.name, where), f"{self.name}{self.brackets or '()'}"

    def _options(self, where: str) -> dict[str, Any]:
        text = self.brackets[1:-1]
        try:
            found = read_options(text)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        for part in split(text, ",") if text.strip() else []:
            name, value = split(part, "=")
            with suppress(ValueError, SyntaxError):  # a list of the user's is to stay a list
                found[name.strip()] = ast.literal_eval(value.strip())
        return found

    def _check_options(self, target: Any, options: Mapping[str, Any], where: str) -> None:
        try:
            signature = inspect.signature(target)
        except (ValueError, TypeError):  # of C; its own message will do
            return
        takes = signature.parameters
        free = [p.name for p in takes.values() if p.kind is p.VAR_KEYWORD]
        named = [p for p in takes.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        for name in options:
            if not free and name not in [p.name for p in named]:
                known = suggestion(name, [p.name for p in named])
                raise InputError(f"{where}: {self.name} has no option {name!r}; {known}")
        missing = [p.name for p in named if p.default is p.empty and p.name not in options]
        if missing:
            given = {**options, **dict.fromkeys(missing, "...")}
            listed = ", ".join(f"{name}={value}" for name, value in given.items())
            raise InputError(
                f"{where}: {self.name} needs {', '.join(missing)}; write"
                f" {self.file}:{self.name}({listed}), or a function that needs nothing"
            )

    def _guarded(self, run: Callable[[], Any], what: str, where: str) -> Any:
        try:
            return run()
        except (Exception, SystemExit) as error:
            remedy = (
                "what is to run as a script belongs under if __name__ == '__main__'"
                if isinstance(error, SystemExit)
                else "mend it there; --debug shows the whole way"
            )
            raise InputError(
                f"{where}: {what} raised {_told(error, self.file)}; {remedy}"
            ) from error


def _parted(text: str) -> tuple[Path, str]:
    """The file, and what follows the colon behind it."""
    ends = [found.end() for found in re.finditer(r"\.py(?=:|$)", text)]
    paths = [(Path(text[:end]).expanduser(), text[end + 1 :]) for end in ends]
    there = next((path for path in paths if path[0].is_file()), None)
    if paths:
        return there or paths[0]
    drive = 2 if re.match(r"[A-Za-z]:[\\/]", text) else 0
    path, _, told = text[drive:].partition(":")
    return Path(text[:drive] + path).expanduser(), told


def _check(path: Path, told: str, where: str) -> None:
    """Raise an InputError where there is no such Python file."""
    if path.is_dir():
        files = sorted(file.name for file in path.glob("*.py"))
        listed = ", ".join(files[:6]) or "none"
        raise InputError(
            f"{where}: {path} is a folder; name a Python file in it and what to call, {WRITE}."
            f" Python files there: {listed}"
        )
    if path.is_file():
        if path.suffix != ".py":
            raise InputError(
                f"{where}: {path} is no Python file (.py); {WRITE}, e.g. my/net.py:build"
            )
        return
    if path.is_symlink():
        raise InputError(
            f"{where}: {path} is a link to a file that is not there; check where it leads"
        )
    dotted = Path(*path.parts[:-1], *path.name.split(".")).with_suffix(".py")
    for likely in (path.with_name(f"{path.name}.py"), dotted):
        if path.name and likely != path and likely.is_file():
            raise InputError(f"{where}: no such file; did you mean {likely}:{told or 'NAME'}?")
    near = suggestion(path.name, [file.name for file in path.parent.glob("*.py")])
    raise InputError(
        f"{where}: no such file; {near if near.startswith(('did', 'known')) else WRITE}"
    )


def _defined(path: Path) -> list[str]:
    """Functions and classes at the top of a file; nothing runs."""
    try:
        body = ast.parse(path.read_bytes()).body
    except (SyntaxError, ValueError, OSError, RecursionError):
        return []
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node.name for node in body if isinstance(node, kinds) and node.name[0] != "_"]


def _callables(module: Any) -> list[str]:
    """What can be called in a module: what is its own, or else all that it has."""
    found = {
        name: value
        for name, value in vars(module).items()
        if callable(value) and not name.startswith("_")
    }
    own = [n for n, v in found.items() if getattr(v, "__module__", "") == module.__name__]
    return own or list(found)


def _network(found: Any, name: str, where: str) -> nn.Module:
    """What was returned, where it is a network with weights.

    Raises:
        InputError: It is not.
    """
    if not isinstance(found, nn.Module):
        what = f"something of type {type(found).__name__}"
        if isinstance(found, type):
            what = f"the class {found.__name__}, not an object of it"
        raise InputError(
            f"{where}: {name} returned {what}; it must return a network, one torch.nn.Module"
        )
    weights = [*found.parameters(), *found.buffers()]
    if any(is_lazy(value) for value in weights):
        raise InputError(
            f"{where}: {name} returned a network with lazy modules, which have no weights yet; run"
            " it once on a picture before it is returned"
        )
    if any(value.is_meta for value in weights):
        raise InputError(
            f"{where}: the weights of {name} are on the meta device, which keeps no numbers; build"
            " it on the CPU"
        )
    return found


def _told(error: BaseException, file: Path) -> str:
    """An error's kind and text, and the last line of the user's own files on the way to it."""
    text, (name, number, line) = str(error), _step(error, file)
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        text, name, number, line = error.msg, error.filename, error.lineno, error.text
    kind = type(error).__name__
    told = " ".join((f"{kind}: {text}" if text.strip() else kind).split())[:TOLD]
    shown = " ".join((line or "").split())[:80]
    place = f" ({Path(name).name}, line {number}{shown and ': '}{shown})" if name else ""
    return told + place


def _step(error: BaseException, file: Path) -> tuple[str, int | None, str | None]:
    near = {file.parent.absolute(), file.parent.resolve(), Path.cwd()}
    for step in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(step.filename).absolute()
        elsewhere = {"site-packages", "dist-packages"} & {*path.parts} or OURS in path.parents
        if near & {*path.parents} and not elsewhere:
            return step.filename, step.lineno, step.line
    return "", None, None
