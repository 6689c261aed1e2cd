"""A run's folder, a name on the Hub, or an exported file: a network either way."""

from pathlib import Path

from pixelwise.export.named import WEIGHTS, is_exported
from pixelwise.networks import single_file
from pixelwise.networks.model import Model
from pixelwise.networks.segmenter import load


def open_model(where: str | Path) -> Model:
    """The network, in eval mode.

    Raises:
        InputError: It cannot be read.
    """
    if is_exported(where) and Path(where).suffix.lower() in WEIGHTS:
        return single_file.read(Path(where))
    if is_exported(where):
        from pixelwise.export.exported import open_exported

        return open_exported(where)
    return load(where)
