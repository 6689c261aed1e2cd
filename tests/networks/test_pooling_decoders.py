"""Decoders that pool the last feature map into bins, or see it through dilated convolutions."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pixelwise.errors import InputError
from pixelwise.networks.decoders.ann import ANN
from pixelwise.networks.decoders.apcnet import APCNet
from pixelwise.networks.decoders.deeplabv3plus import DeepLabV3Plus
from pixelwise.networks.decoders.dmnet import DMNet
from pixelwise.networks.decoders.pspnet import PSPNet

CHANNELS = [8, 12, 16, 24]
PARAMETERS = {
    PSPNet: 25_448_230,
    DeepLabV3Plus: 20_062_614,
    ANN: 22_701_350,
    APCNet: 32_830_296,
    DMNet: 29_648_678,
}
"""Those of mmsegmentation's published heads for ResNet-50 and 19 classes, auxiliary included."""


def maps(*sizes, images=2):
    generator = torch.Generator().manual_seed(0)
    pairs = zip(CHANNELS[-len(sizes) :], sizes, strict=True)
    return [torch.randn(images, c, *size, generator=generator).double() for c, size in pairs]


def built(kind, **options):
    torch.manual_seed(0)
    decoder = kind(CHANNELS, 3, **options).double().eval()
    for norm in decoder.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.running_mean, -0.2, 0.2)
            nn.init.uniform_(norm.running_var, 0.5, 2.0)
            nn.init.uniform_(norm.bias, -0.2, 0.2)
    return decoder


FOUR = [(24, 20), (12, 10), (6, 5), (6, 5)]


@pytest.mark.parametrize("kind", PARAMETERS)
def test_published_sizes(kind):
    with torch.device("meta"):
        decoder = kind([64, 256, 512, 1024, 2048], 19)
    assert sum(p.numel() for p in decoder.parameters()) == PARAMETERS[kind]


@pytest.mark.parametrize("kind", PARAMETERS)
def test_a_single_pixel_and_a_single_map(kind):
    assert built(kind)(maps(*[(1, 1)] * 4)).shape == (2, 3, 1, 1)
    alone = kind([24], 3).double().eval()
    assert alone.auxiliary_weights == {}
    assert alone(maps((5, 3), images=1)).shape == (1, 3, 5, 3)


@pytest.mark.parametrize("kind", [PSPNet, DeepLabV3Plus, APCNet])
def test_one_image_cannot_be_trained_on(kind):
    decoder = built(kind).train()
    features = maps(*FOUR, images=1)
    with pytest.raises(InputError, match="got a batch of 1: must be at least 2 in training"):
        decoder(features)
    assert decoder.eval()(features).isfinite().all()


@pytest.mark.parametrize(
    ("kind", "options"), [(ANN, {}), (DMNet, {}), (PSPNet, {"pool_scales": (2, 3)})]
)
def test_one_image_trains_where_no_vector_is_normalised(kind, options):
    assert built(kind, **options).train()(maps(*FOUR, images=1)).isfinite().all()


def resized(y, x, align_corners=False):
    return F.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=align_corners)


@pytest.mark.parametrize("align_corners", [False, True])
def test_pspnet_is_its_equations(align_corners):
    decoder, (x,) = built(PSPNet), maps((7, 9))
    decoder.align_corners = align_corners
    pooled = [
        resized(grid(F.adaptive_avg_pool2d(x, s)), x, align_corners)
        for grid, s in zip(decoder.grids, (1, 2, 3, 6), strict=True)
    ]
    wanted = decoder.classify(decoder.join(torch.cat([x, *pooled], dim=1)))
    torch.testing.assert_close(decoder([x]), wanted, rtol=1e-10, atol=1e-10)


def separable(part, x):
    return part.across(part.around(x))


def test_deeplabv3plus_is_its_equations():
    decoder, features = built(DeepLabV3Plus, dilations=(1, 2), detail_width=5), maps(*FOUR)
    x = features[-1]
    alone, around = decoder.branches
    assert around.around[0].dilation == (2, 2)
    mean = resized(decoder.average(F.adaptive_avg_pool2d(x, 1)), x)
    y = decoder.join(torch.cat([mean, alone(x), separable(around, x)], dim=1))
    fine = decoder.detail(features[0])
    z = torch.cat([resized(y, fine), fine], dim=1)
    for part in decoder.refine:
        z = separable(part, z)
    assert z.shape[2:] == (24, 20)
    torch.testing.assert_close(decoder(features), decoder.classify(z), rtol=1e-10, atol=1e-10)


def test_deeplabv3plus_without_the_fine_map():
    decoder = built(DeepLabV3Plus, detail_width=0)
    assert decoder.detail is None
    assert decoder(maps(*FOUR)).shape == (2, 3, 6, 5)


@pytest.mark.parametrize("stages", [1, 2])
def test_ann_block_is_its_equations(stages):
    decoder = built(ANN, query_scales=(1,) * stages)
    low, high = maps((9, 7), (6, 5))

    def bins(z):
        return torch.cat([F.adaptive_avg_pool2d(z, s).flatten(2) for s in (1, 3, 6, 8)], dim=2)

    context = 0
    for part in decoder.fusion.stages:
        query, key = part.query(high).flatten(2), bins(part.keys(low))
        weights = (query.mT @ key / query.shape[1] ** 0.5).softmax(dim=-1)
        seen = (bins(part.value(low)) @ weights.mT).view(2, -1, 6, 5)
        context = context + part.project(seen)
    wanted = decoder.fusion.join(torch.cat([context, high], dim=1))
    torch.testing.assert_close(decoder.fusion(high, low), wanted, rtol=1e-10, atol=1e-10)


def test_ann_takes_a_shared_projection_under_either_name_or_both():
    decoder = built(ANN, auxiliary=False)
    names = {
        "keys.0": "key_project.conv",
        "keys.1": "key_project.bn",
        "reduce.0": "bottleneck.conv",
    }
    names |= {"query.0": "query_project.conv", "query.1": "query_project.bn"}
    names |= {".value.": ".value_project.", ".project.": ".out_project.", "classify.1": "conv_seg"}
    names |= {"reduce.1": "bottleneck.bn", "join.0": "bottleneck.conv", "join.1": "bottleneck.bn"}
    state = {}
    for name, value in decoder.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        state[name] = value
    start = "context.stages.0."
    shared = {k: v for k, v in state.items() if k.startswith(start + "key_project")}
    rest = {k: v for k, v in state.items() if k not in shared}
    query = {k.replace("key_project", "query_project"): v for k, v in shared.items()}
    for given in (rest | shared, rest | query, rest | shared | query):
        other = ANN(CHANNELS, 3, auxiliary=False).double()
        other.load_reference(given)
        assert all(torch.equal(v, other.state_dict()[k]) for k, v in decoder.state_dict().items())


def test_ann_refuses_query_scales():
    for scales in ((2,), ()):
        with pytest.raises(InputError, match=r"query_scales=.*must be ones"):
            ANN(CHANNELS, 3, query_scales=scales)


@pytest.mark.parametrize("fusion", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_apcnet_context_is_its_equations(fusion, training):
    decoder, (x,) = built(APCNet, fusion=fusion).train(training), maps((7, 9))
    for part, s in zip(decoder.contexts, (1, 2, 3, 6), strict=True):
        y, bins = part.reduce(x), part.bins(F.adaptive_avg_pool2d(x, s))
        affinity = part.affinity(y + part.average(y.mean(dim=(2, 3), keepdim=True))).sigmoid()
        z = torch.einsum("bjhw,bcj->bchw", affinity, bins.flatten(2))
        z = (part.mixed(z) + y).relu()
        wanted = part.fuse(z) if fusion else z
        torch.testing.assert_close(part(x), wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("exporting", [False, True])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_dmnet_filter_is_its_equation(size, exporting, monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: exporting)
    decoder, (x,) = built(DMNet, filter_sizes=(size,), fusion=True), maps((6, 7))
    (part,) = decoder.filters
    taps, y = part.taps(F.adaptive_avg_pool2d(x, size)), part.reduce(x)
    before, after = size // 2, (size - 1) // 2
    padded = F.pad(y, (before, after, before, after))
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)
    filtered = torch.einsum("bchwij,bcij->bchw", windows, taps)
    wanted = part.fuse(part.norm(filtered).relu())
    torch.testing.assert_close(part(x), wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (PSPNet, {"width": 0}),
        (PSPNet, {"pool_scales": (2, 0)}),
        (DeepLabV3Plus, {"dilations": (0,)}),
        (DeepLabV3Plus, {"detail_width": -1}),
        (ANN, {"key_width": 0}),
        (ANN, {"pool_scales": ()}),
        (APCNet, {"pool_scales": (0,)}),
        (DMNet, {"filter_sizes": (-3,)}),
    ],
)
def test_what_is_refused(kind, options):
    with pytest.raises(InputError, match=f"{next(iter(options))}=.*must be at least"):
        kind(CHANNELS, 3, **options)
