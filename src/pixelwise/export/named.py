"""Exported files by their names; needs no torch."""

from pathlib import Path

ONNX = (".onnx", ".ort")
PROGRAM = (".pt2",)
SCRIPT = (".ts", ".torchscript")
WEIGHTS = (".safetensors",)
FORMATS = {"onnx": ".onnx", "torch-export": ".pt2", "safetensors": ".safetensors"}
"""What is written: name -> suffix of the file."""
SUFFIXES = (*ONNX, *PROGRAM, *SCRIPT, *WEIGHTS)


def is_exported(text: str | Path) -> bool:
    """Whether it is named as a file that `pixelwise export` writes, or one like it.

    The weights of a run's folder are none.
    """
    path = Path(text)
    own = path.name == "model.safetensors" and path.with_name("config.json").exists()
    return path.suffix.lower() in SUFFIXES and not path.is_dir() and not own


def runs_alone(text: str | Path) -> bool:
    """Whether it is one that runs without the network's code."""
    return is_exported(text) and Path(text).suffix.lower() not in WEIGHTS


def results_of(run: str | Path) -> Path:
    """The folder of results where nothing is said: the run's, or one beside an exported file."""
    path = Path(run)
    return path.with_name(path.name.replace(".", "_")) if is_exported(path) else path
