"""Exported files by their names; needs no torch."""

from pathlib import Path

ONNX = (".onnx", ".ort")
PROGRAM = (".pt2",)
SCRIPT = (".ts", ".torchscript")
SUFFIXES = (*ONNX, *PROGRAM, *SCRIPT)


def is_exported(text: str | Path) -> bool:
    """Whether it is named as a file that runs without the network's code."""
    path = Path(text)
    return path.suffix.lower() in SUFFIXES and not path.is_dir()


def results_of(run: str | Path) -> Path:
    """The folder of results where nothing is said: the run's, or one beside an exported file."""
    path = Path(run)
    return path.with_name(path.name.replace(".", "_")) if is_exported(path) else path
