"""Adapter of PAN's decoder without its classifier."""

from typing import Any

from torch import Tensor, nn

from adapters.convolutional import names_in
from adapters.subject import Adapter, Shapes, Subject, subject, theirs
from pixelwise.networks.decoders.pan import PAN

BLOCKS = [2048, 1024, 512, 256]


def javeywang(config: dict[str, Any]) -> Subject:
    """The authors give the coarsest map first."""
    blocks = config.get("channels_blocks", BLOCKS)
    decoder = PAN(blocks[::-1], 1, variant="javeywang")
    decoder.classify = nn.Identity()

    def run(*features: Tensor) -> Tensor:
        return decoder(features[::-1])

    def shapes() -> Shapes:
        names = {"pyramid": ("fpa", names_in(decoder.pyramid, "javeywang"))}
        for level, gate in enumerate(decoder.upsamples):
            kind = "upsample" if level else "reduction"
            inside = names_in(gate, "javeywang")
            inside |= {"lift.0": f"conv_{kind}", "lift.1": f"bn_{kind}"}
            names[f"upsamples.{level}"] = (f"gau_block{level + 1}", inside)
        flat = {f"{o}.{i}": f"{t}.{n}" for o, (t, ns) in names.items() for i, n in ns.items()}
        return theirs(decoder, flat)

    return subject(decoder, shapes, run)


ADAPTERS: dict[str, Adapter] = {"pan_decoder@JaveyWang": javeywang}
