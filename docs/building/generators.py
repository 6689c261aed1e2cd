"""Runs what writes pages, at once, and keeps what it wrote until one of its sources changes."""

import ast
import hashlib
import importlib
import multiprocessing
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from building.places import CACHE, DOCS, ROOT

GENERATORS = ("gallery", "errors_page", "reference", "notebooks", "agents")
"""Modules of this package; each has `write(source)`, which writes its pages below a folder."""
READS = ("src", "studies", "tests/golden/adapters", "docs")
"""Folders that a generator reads unless it says less in a `READS` of its own."""
PASSED_OVER = ("docs/_build", "docs/_theme", "docs/building", "docs/locale", "docs/pictures")
KINDS = {".py", ".md", ".csv", ".yaml", ".toml", ".json"}


def generate(into: Path, say: Callable[[str], None]) -> None:
    """Write the pages of all generators.

    Args:
        into: the folder of sources.
        say: takes a line for the reader of the build.
    """
    keys = {name: _key(name) for name in GENERATORS}
    kept = {name: CACHE / name / key for name, key in keys.items()}
    missing = [name for name in keys if not kept[name].is_dir()]
    if missing:
        with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
            running = {name: pool.submit(written, name, kept[name]) for name in missing}
            for name, job in running.items():
                say(f"{name}: {job.result():.1f} s")
    for folder in kept.values():
        shutil.copytree(folder, into, dirs_exist_ok=True)


def written(name: str, kept: Path) -> float:
    """Let a generator write its pages into a folder of the cache; older ones go.

    Args:
        name: of the generator.
        kept: the folder; there only once all is written.

    Returns:
        The seconds it took.
    """
    began = time.perf_counter()
    shutil.rmtree(kept.parent, ignore_errors=True)
    unfinished = kept.with_name(f"{kept.name}-unfinished")
    unfinished.mkdir(parents=True)
    importlib.import_module(f"building.{name}").write(unfinished)
    unfinished.rename(kept)
    return time.perf_counter() - began


def _key(name: str) -> str:
    """A hash of all that a generator reads, and of the modules that it is made of."""
    modules = _modules(name)
    reads = _reads(next(f for f in modules if f.name in (f"{name}.py", "__init__.py")))
    found = hashlib.sha256()
    for file in sorted({*_files(reads), *modules}):
        found.update(file.relative_to(ROOT).as_posix().encode() + b"\0" + file.read_bytes())
    return found.hexdigest()[:20]


def _modules(name: str) -> list[Path]:
    """The files of a generator, and those of this package that they import, near and far."""
    room = DOCS / "building"
    waiting = [room / f"{name}.py"] if (room / f"{name}.py").is_file() else []
    waiting += sorted(file for file in (room / name).rglob("*") if file.suffix in KINDS)
    found: list[Path] = []
    while waiting:
        file = waiting.pop(0)
        if file in found:
            continue
        found.append(file)
        if file.suffix != ".py":
            continue
        for statement in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(statement, ast.ImportFrom) and statement.module:
                first, *path = statement.module.split(".")
                imported = room.joinpath(*path).with_suffix(".py")
                if first == "building" and imported.is_file():
                    waiting.append(imported)
    return found


def _reads(module: Path) -> tuple[str, ...]:
    """`READS` of a generator, found without importing what it imports."""
    for statement in ast.parse(module.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "READS":
            return tuple(ast.literal_eval(statement.value))
    return READS


def _files(reads: tuple[str, ...]) -> Iterator[Path]:
    for name in reads:
        place = ROOT / name
        passed = [ROOT / other for other in PASSED_OVER if other != name]
        for file in [place] if place.is_file() else place.rglob("*"):
            if file.suffix in KINDS and not any(file.is_relative_to(other) for other in passed):
                yield file
