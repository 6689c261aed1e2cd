"""A file of the user's as a module, with what it imports from beside it."""

import hashlib
import importlib
import sys
from pathlib import Path
from types import ModuleType


def run_file(file: Path) -> ModuleType:
    """Run a file as if it were imported.

    `sys.path` gets the file's folder, that of its package, and the current one, as `python FILE`
    and `python -m` have them; they stay, since networks import some things when they first run.
    """
    file = file.absolute()
    folders = list(dict.fromkeys([file.parent, file.resolve().parent]))
    root, parts = file.parent, list[str]()
    while (root / "__init__.py").is_file() and root.name:
        parts.insert(0, root.name)
        root = root.parent
    for folder in reversed([*folders, root, Path.cwd()]):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    package = _imported(".".join(parts), file.parent)
    if package and file.name == "__init__.py":
        return sys.modules[package]
    package = package or _made(folders)
    module = ModuleType(f"{package}.{file.stem}")
    module.__file__, module.__package__ = str(file), package
    sys.modules[module.__name__] = module
    code = compile(file.read_bytes(), str(file), "exec", dont_inherit=True)
    exec(code, module.__dict__)
    return module


def _imported(package: str, folder: Path) -> str:
    """The package of that name, where it is the one in that folder; "" if it is another one."""
    if not package:
        return ""
    found = importlib.import_module(package)
    paths = [Path(path).resolve() for path in getattr(found, "__path__", [])]
    return package if folder.resolve() in paths else ""


def _made(folders: list[Path]) -> str:
    """A package of those folders, so that `from .blocks import Block` finds what lies there."""
    name = f"own_{hashlib.sha256(str(folders[0]).encode()).hexdigest()[:12]}"
    package = ModuleType(name)
    package.__path__ = [str(folder) for folder in folders]
    sys.modules[name] = package
    return name
