"""What an exported file says of itself: to us, to people, and to other programs.

    onnx           `metadata_props`: `pixelwise`, and the keys of QGIS' Deepness plug-in
    torch-export   the extra file `pixelwise.json`
    safetensors    the entry `pixelwise` of the header

It is put into the file after the file was proven, without writing the rest again.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pixelwise.errors import InputError
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.single_file import KEY, description
from pixelwise.release import VERSION

EXTRA = "pixelwise.json"
OUTPUTS = ("logits", "probabilities", "answer")
OWN = ("version", "normalises", "answers", "output", "size", "proof")
"""Entries beside those of a network's config."""
OVERLAP = 25
"""Percent that tiles of Deepness overlap."""
TILE = 512
BYTE = 255
"""What Deepness divides values by before it standardises them."""


@dataclass(frozen=True)
class About:
    """What an exported network is.

    Args:
        config: Of the network: it can be rebuilt, without weights.
        normalises: Whether the input is raw values; else `(raw / scale - mean) / std`.
        output: One of `OUTPUTS`, and the name of the file's output.
        size: (height, width) where it is fixed.
        version: Of pixelwise, which wrote the file.
        proof: What was compared: {"size", "batch", "difference"} per run.
    """

    config: ModelConfig
    normalises: bool = False
    output: str = "logits"
    size: tuple[int, int] | None = None
    version: str = VERSION
    proof: tuple[Mapping[str, Any], ...] = ()

    @property
    def answers(self) -> bool:
        """Whether the task's decoder is inside."""
        return self.output == "answer"

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "version": self.version,
            **self.config.plain(),
            "normalises": self.normalises,
            "answers": self.answers,
            "output": self.output,
            "size": self.size,
            "proof": [dict(row) for row in self.proof],
        }

    def properties(self) -> dict[str, str]:
        """Key -> JSON, for the `metadata_props` of an ONNX file."""
        return {KEY: json.dumps(self.plain()), **_for_deepness(self)}


def _for_deepness(about: About) -> dict[str, str]:
    """The keys of QGIS' Deepness, which feeds `(value / 255 - mean) / std`.

    Of several classes the most probable is taken where it reaches the threshold, so that is 0.
    """
    config = about.config
    names = config.names or tuple(str(number) for number in range(config.num_classes))
    if about.normalises:
        mean, std = [0.0] * config.in_channels, [1 / BYTE] * config.in_channels
    else:
        mean = [value * config.scale / BYTE for value in config.mean]
        std = [value * config.scale / BYTE for value in config.std]
    told: dict[str, Any] = {
        "class_names": {str(number): name for number, name in enumerate(names)},
        "standardization_mean": mean,
        "standardization_std": std,
        "tile_size": about.size[0] if about.size else TILE,
        "tiles_overlap": OVERLAP,
    }
    if about.output == "probabilities" and config.task in ("multiclass", "binary"):
        binary = config.task == "binary"
        threshold = config.task_options.get("threshold") or 0.5
        told |= {"model_type": "Segmentor", "seg_thresh": threshold if binary else 0.0}
    if about.answers and config.task == "regression":
        told |= {"model_type": "Regressor", "reg_output_scaling": 1.0}
    return {key: json.dumps(value) for key, value in told.items()}


def write(path: Path, about: About) -> None:
    """Add to an exported file, by its suffix: `.onnx` or `.pt2`."""
    if path.suffix == ".onnx":
        add_properties(path, about.properties())
        return
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].partition("/")[0]
        archive.writestr(f"{root}/extra/{EXTRA}", json.dumps(about.plain()))


def add_properties(path: Path, told: Mapping[str, str]) -> None:
    """Add to the `metadata_props` of an ONNX file."""
    from onnx import ModelProto, StringStringEntryProto

    added = ModelProto()
    added.metadata_props.extend(StringStringEntryProto(key=k, value=v) for k, v in told.items())
    with path.open("ab") as file:  # messages that follow each other are read as one
        file.write(added.SerializeToString())


def check_replaceable(target: Path) -> None:
    """Raise an InputError where a file stands that pixelwise did not export."""
    if target.exists() or target.is_symlink():
        try:
            read(target)
        except InputError as error:
            raise InputError(
                f"{target}: stands there, and is no file that pixelwise exported; choose another"
                " --out, or move it away"
            ) from error


def read(path: Path) -> About:
    """What `write` wrote.

    Raises:
        InputError: The file cannot be read, or says nothing of itself.
    """
    try:
        text = _text(path)
    except InputError:
        raise
    except Exception as error:  # of zip archives, protobuf messages, headers
        told = " ".join(str(error).split())[:120]
        raise InputError(f"{path}: cannot be read ({told}); export the network again") from error
    if text is None:
        raise InputError(
            f"{path}: says nothing of its network; export it by `pixelwise export`, which adds that"
        )
    return parsed(text, path)


def parsed(text: str, path: Path) -> About:
    """From the value of the key `pixelwise`.

    Raises:
        InputError: It does not describe a network.
    """
    try:
        found = json.loads(text)
        own = {name: found.pop(name) for name in OWN}
        size = None if own["size"] is None else (int(own["size"][0]), int(own["size"][1]))
        if own["output"] not in OUTPUTS:
            raise ValueError(f"output {own['output']!r}")
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise InputError(
            f"{path}: its entry {KEY!r} describes no network ({error}); export it again"
        ) from error
    return About(
        ModelConfig.read(found, path),
        bool(own["normalises"]),
        own["output"],
        size,
        str(own["version"]),
        tuple(own["proof"]),
    )


def _text(path: Path) -> str | None:
    if path.suffix == ".onnx":
        try:
            import onnx
        except ImportError as error:
            raise InputError(
                f"{path}: onnx is needed to read it; pip install 'pixelwise[export]'"
            ) from error
        model = onnx.load(path, load_external_data=False)
        return next((entry.value for entry in model.metadata_props if entry.key == KEY), None)
    if path.suffix == ".safetensors":
        return description(path)
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(f"/extra/{EXTRA}")]
        return archive.read(names[-1]).decode() if names else None
