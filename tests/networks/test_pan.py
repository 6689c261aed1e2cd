"""Both forms of PAN, and the sizes that their layers cannot take by themselves."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.networks.decoders.pan import PAN

CHANNELS = (8, 12, 16, 24)
VARIANTS = ("smp", "javeywang")


def maps(*sides, channels=CHANNELS):
    torch.manual_seed(0)
    return [torch.randn(2, c, *side) for c, side in zip(channels, sides, strict=True)]


def test_sizes_of_both_forms():
    with torch.device("meta"):
        wide = PAN((256, 512, 1024, 2048), 21, variant="javeywang")
    assert sum(p.numel() for p in (*wide.pyramid.parameters(), *wide.upsamples.parameters())) == (
        143_358_464
    )
    smp = PAN((64, 64, 128, 256, 512), 5)
    assert sum(p.numel() for p in smp.parameters()) == 192_300


@pytest.mark.parametrize("variant", VARIANTS)
def test_where_everything_fits_nothing_is_added(variant):
    decoder = PAN(CHANNELS, 3, variant=variant).eval()
    x1, x2, x3, x4 = features = maps((32, 48), (16, 24), (8, 16), (8, 16))
    if variant == "javeywang":
        x2, x1 = (F.interpolate(x, size=s) for x, s in ((x2, (16, 32)), (x1, (32, 64))))
        features = [x1, x2, x3, x4]
    y = decoder.pyramid(x4)
    for gate, x in zip(decoder.upsamples, (x3, x2, x1), strict=True):
        y = gate(x, y)
    torch.testing.assert_close(decoder(features), decoder.classify(y))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    "sides",
    [
        [(1, 1)] * 4,
        [(13, 7), (7, 4), (4, 2), (4, 2)],
        [(17, 20), (9, 10), (5, 5), (3, 3)],
        [(6, 6)] * 4,
    ],
)
def test_any_sizes(variant, sides):
    decoder = PAN(CHANNELS, 3, variant=variant)
    features = maps(*sides)
    assert decoder(features).shape == (2, 3, *sides[0])
    decoder.eval()
    assert decoder([x[:1] for x in features]).shape == (1, 3, *sides[0])


@pytest.mark.parametrize("variant", VARIANTS)
def test_fewer_maps(variant):
    decoder = PAN(CHANNELS[:2], 3, variant=variant)
    assert decoder(maps((6, 5), (3, 3), channels=CHANNELS[:2])).shape == (2, 3, 6, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "paper"}, "variant='paper': must be one of"),
        ({"interpolation": "cubic"}, "interpolation='cubic': must be one of"),
        ({"width": 0}, "width=0: must be at least 1"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        PAN(CHANNELS, 3, **options)
