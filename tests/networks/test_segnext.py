"""SegNeXt: its head by the equations, its backbone's sizes, and the names of its weights."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import decoder_named

CHANNELS = [4, 6, 8, 10]
SMALL = {"widths": (8, 8, 16, 16), "depths": (1, 1, 1, 1)}


@pytest.mark.parametrize("norm_groups", [None, 4])
@pytest.mark.parametrize("align", [False, True])
def test_the_head_joins_the_resized_maps(norm_groups, align):
    torch.manual_seed(0)
    head = decoder_named("segnext")(CHANNELS, 3, width=8, ham_width=12, norm_groups=norm_groups)
    head = head.double().eval()
    head.align_corners = align
    features = [
        torch.randn(2, c, s, s + 2, dtype=torch.float64)
        for c, s in zip(CHANNELS, (9, 5, 3, 1), strict=True)
    ]
    size = features[1].shape[2:]
    up = [F.interpolate(x, size=size, mode="bilinear", align_corners=align) for x in features[1:]]
    z = head.squeeze(torch.cat(up, 1))
    wanted = head.classify(head.align(head.hamburger.plain(z)))
    assert head.hamburger.altered() is None
    torch.testing.assert_close(head(features), wanted)
    assert torch.equal(head(features), head(features))


@pytest.mark.parametrize(
    ("variant", "width", "millions"),
    [("t", 256, 4.3), ("s", 256, 13.9), ("b", 512, 27.6), ("l", 1024, 48.9)],
)
def test_published_sizes(variant, width, millions):
    """Table 4 of the paper, for 150 classes."""
    with torch.device("meta"):
        model = create_model("segnext", f"mscan_{variant}", num_classes=150, width=width)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize("size", [(1, 1), (31, 33), (8, 200)])
def test_pictures_of_any_size(size):
    model = create_model("segnext", num_classes=3, backbone_options=SMALL, width=32).eval()
    assert model.backbone.multiple == 1
    with torch.no_grad():
        logits = model(torch.randn(2, 3, *size))
    assert logits.shape == (2, 3, *size)
    assert logits.isfinite().all()


def test_the_normalised_map_goes_on_to_the_next_stage():
    model = create_model("segnext", num_classes=3, backbone_options=SMALL).eval()
    body = model.backbone.body
    with torch.no_grad():
        first, second, *_ = body(torch.randn(1, 3, 40, 24))
        mean, var = first.mean(1), first.var(1, unbiased=False)
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-5)
        torch.testing.assert_close(var, torch.ones_like(var), rtol=0.05, atol=0)
        torch.testing.assert_close(body.stages[1](first), second)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width=0: must be at least 1"),
        ({"width": 40}, "width=40: must be a multiple of norm_groups=32; take such a number, or"),
        ({"ham_width": 8}, "ham_width=8: must be a multiple of norm_groups=32; take such"),
        ({"norm_groups": -1}, "norm_groups=-1: must be at least 1"),
        ({"draw": "never"}, "draw='never': must be one of 'once', 'training', 'always'"),
    ],
)
def test_options_of_the_head(options, message):
    with pytest.raises(InputError, match=message):
        decoder_named("segnext")(CHANNELS, 3, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": (2, 2)}, r"depths=\(2, 2\): must be one number per stage, as widths has 4; gi"),
        ({"expansions": (8, 8, 4, 0)}, "expansions=0: must be at least 1"),
        ({"drop_path": 1.0}, r"drop_path=1\.0: must be from 0 to below 1; e\.g\."),
        ({"strips": (7, 8)}, "strips=8: must be odd"),
    ],
)
def test_options_of_the_backbone(options, message):
    with pytest.raises(InputError, match=message):
        create_model("segnext", num_classes=3, backbone_options=options)
