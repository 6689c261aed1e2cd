"""`pixelwise.load`: a saved network, or other people's checkpoint."""

from pathlib import Path

from pixelwise.networks import single_file
from pixelwise.networks.segmenter import Segmenter


def load(where: str | Path) -> Segmenter:
    """A network with its weights, in evaluation mode.

    `where` is a run's or a `save_pretrained` folder, a model's name on the Hub, a safetensors file
    of `pixelwise export`, or a checkpoint file of another code base, which is recognised by its
    keys.

    Raises:
        InputError: There is nothing, or nothing that fits, with the reason.
    """
    if Path(where).is_file():
        if single_file.description(Path(where)) is not None:
            return single_file.read(Path(where))
        from pixelwise.interop.convert import import_checkpoint

        return import_checkpoint(where).model
    return Segmenter.from_pretrained(where)
