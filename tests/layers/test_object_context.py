import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.object_context import (
    ObjectAttention,
    ObjectContext,
)
from pixelwise.ops.regions import gather_regions, region_maps

PER_PIXEL = {"ocr"}
OPTIONS = {"ocr": {"dropout": 0.0}}
VARIANTS = {
    "ocr": [
        {"pool": 2, "bias": True, "scale": 0.5, "activation": "leaky_relu"},
        {"key_channels": 3, "out_channels": 6},
    ]
}
REGIONS = 5


def guide(x):
    """Rough logits: some channels of x, at another contrast."""
    channels = [2 * r % x.shape[1] for r in range(REGIONS)]
    return 1.5 * x[:, channels].flip(2, 3)


def output_shape(layer, x):
    return len(x), 6, *x.shape[2:]  # of the variant with other widths


def reconstruct(layer, x, guide, at):
    heads = layer.maps(x, guide, at).spatial
    belongs = heads.sum((2, 3))
    regions = torch.einsum("brij,bcij->bcr", heads / belongs[:, :, None, None], x)
    said = torch.einsum("br,bdr->bd", belongs, layer.attention.value(regions[..., None])[..., 0])
    context = layer.attention.expand(said[:, :, None, None])
    pixel = x[:, :, at[0], at[1]][:, :, None, None]
    return layer.fusion(torch.cat([context, pixel], 1))[:, :, 0, 0]


def disturbed(layer):
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        for part in layer.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)
    return layer.double().eval()


def picture(channels=8, size=(5, 6), batch=2):
    torch.manual_seed(4)
    return torch.randn(batch, channels, *size).double()


def test_maps_say_where_and_how_much():
    layer, x = disturbed(ObjectContext(8)), picture()
    maps = layer.maps(x, guide(x), (3, 1)).spatial
    assert maps.shape == (2, REGIONS, 5, 6)
    torch.testing.assert_close(maps.sum((1, 2, 3)), torch.ones(2).double())


def test_regions_are_means_weighed_by_the_guide():
    x = picture()
    even = gather_regions(x, torch.zeros(2, 3, 5, 6).double())
    torch.testing.assert_close(even, x.mean((2, 3))[:, :, None].expand(-1, -1, 3))
    one = torch.full((2, 1, 5, 6), -1e4).double()
    one[:, :, 2, 3] = 0
    torch.testing.assert_close(gather_regions(x, one)[:, :, 0], x[:, :, 2, 3])
    sharper = region_maps(guide(x), 3.0).amax(-1)
    assert (sharper > region_maps(guide(x)).amax(-1)).all()


def test_float16_regions_of_a_large_map_are_summed_in_float32():
    x = torch.full((1, 2, 300, 300), 3.0).half()
    found = gather_regions(x, torch.zeros(1, 1, 300, 300).half())
    torch.testing.assert_close(found, torch.full((1, 2, 1), 3.0).half())


def test_options_and_widths():
    layer = disturbed(ObjectContext(8, key_channels=3, out_channels=6, bias=True, scale=0.5))
    assert not layer.keeps_shape
    assert layer.dropout.p == 0.1
    x = picture()
    y = layer(x, guide(x))
    assert y.shape == (2, 6, 5, 6)
    torch.testing.assert_close(reconstruct(layer, x, guide(x), (4, 5)), y[:, :, 4, 5])


def test_any_number_of_regions_in_eval():
    layer, x = disturbed(ObjectContext(8)), picture()
    one = guide(x)[:, :1]
    torch.testing.assert_close(reconstruct(layer, x, one, (0, 2)), layer(x, one)[:, :, 0, 2])
    # One region has all the weight of every pixel, so that all pixels have one context.
    context = layer.attention(x, gather_regions(x, one))
    torch.testing.assert_close(context, context[:, :, :1, :1].expand_as(context))


def test_pooled_attention_and_its_maps():
    attention = disturbed(ObjectAttention(8, pool=2))
    plain = ObjectAttention(8).double().eval()
    plain.load_state_dict(attention.state_dict())
    x = picture(size=(7, 9))
    regions = gather_regions(x, guide(x))
    small = plain(F.max_pool2d(x, 2), regions)
    wanted = F.interpolate(small, size=(7, 9), mode="bilinear", align_corners=True)
    torch.testing.assert_close(attention(x, regions), wanted)
    layer = disturbed(ObjectContext(8, pool=2))
    weights = layer.attention.weights(F.max_pool2d(x, 2), regions).view(2, -1, 3, 4)
    resized = F.interpolate(weights, size=(7, 9), mode="bilinear", align_corners=True)
    for at in [(0, 0), (3, 7), (6, 8)]:
        belongs = layer.maps(x, guide(x), at).spatial.sum((2, 3))
        torch.testing.assert_close(belongs, resized[:, :, at[0], at[1]])


def test_limits():
    layer, x = ObjectContext(8, pool=3).double().eval(), picture(size=(2, 4))
    for call in (layer, lambda *given: layer.maps(*given, (0, 0))):
        with pytest.raises(InputError, match=r"rows and columns .* must be at least 3"):
            call(x, guide(x))
    x = picture(size=(3, 4))
    assert layer(x, guide(x)).shape == x.shape


def test_guide_of_another_size():
    x = picture()
    with pytest.raises(InputError, match=r"guide=\(2, 5, 6, 5\): must have the 5 rows"):
        gather_regions(x, guide(x).mT)


def test_one_region_of_one_image_cannot_train():
    layer, x = disturbed(ObjectContext(8)).train(), picture()
    assert torch.isfinite(layer(x, guide(x)[:, :1])).all()
    with pytest.raises(InputError, match=r"guide=1 region of 1 image: .* give more images"):
        layer(x[:1], guide(x)[:1, :1])


def test_dropout_drops_channels_in_training_only():
    layer, x = disturbed(ObjectContext(8, dropout=0.5)).train(), picture() + 1
    y = layer(x, guide(x))
    assert 0 < (y == 0).all(dim=(2, 3)).sum() < 16


NESTED, FLAT = {"0": "0.0", "1.0": "0.1", "2": "1.0", "3.0": "1.1"}, {"0": "0", "1.0": "1"}
MMCV = {"0.conv": "0.0", "0.bn": "0.1", "1.conv": "1.0", "1.bn": "1.1"}
MMCV_ONE = {"conv": "0", "bn": "1"}
HRNET = {
    "object_context_block.f_pixel": ("attention.query", NESTED),
    "object_context_block.f_object": ("attention.keys", NESTED),
    "object_context_block.f_down": ("attention.value", FLAT),
    "object_context_block.f_up": ("attention.expand", FLAT),
    "conv_bn_dropout": ("fusion", FLAT),
}
MMSEGMENTATION = {
    "object_context_block.query_project": ("attention.query", MMCV),
    "object_context_block.key_project": ("attention.keys", MMCV),
    "object_context_block.value_project": ("attention.value", MMCV_ONE),
    "object_context_block.out_project": ("attention.expand", MMCV_ONE),
    "object_context_block.bottleneck": ("fusion", MMCV_ONE),
}


def written(layer, layout):
    names = {
        f"{ours}.{place}": f"{theirs}.{part}"
        for theirs, (ours, places) in layout.items()
        for part, place in places.items()
    }
    state = {}
    for name, value in layer.state_dict().items():
        module, _, parameter = name.rpartition(".")
        state[f"{names[module]}.{parameter}"] = value.clone()
    return state


@pytest.mark.parametrize("bias", [False, True], ids=["HRNet", "openseg"])
def test_layout_of_hrnet_and_openseg(bias):
    layer, other = disturbed(ObjectContext(8, bias=bias)), ObjectContext(8, bias=bias)
    other.double().eval().load_reference(written(layer, HRNET))
    x = picture()
    assert torch.equal(layer(x, guide(x)), other(x, guide(x)))


def test_layout_of_mmsegmentation():
    layer, other = disturbed(ObjectContext(8)), ObjectContext(8).double().eval()
    other.load_reference(written(layer, MMSEGMENTATION))
    x = picture()
    assert torch.equal(layer(x, guide(x)), other(x, guide(x)))


def test_the_attention_alone_loads_too():
    layer, other = disturbed(ObjectAttention(8)), ObjectAttention(8).double().eval()
    layout = {
        theirs.removeprefix("object_context_block."): (ours.removeprefix("attention."), places)
        for theirs, (ours, places) in HRNET.items()
    }
    other.load_reference(written(layer, layout))
    x = picture()
    regions = gather_regions(x, guide(x))
    assert torch.equal(layer(x, regions), other(x, regions))


def test_inplace_abn():
    layer = disturbed(ObjectContext(8, activation="leaky_relu"))
    state = {}
    for key, value in written(layer, HRNET).items():
        module, _, parameter = key.rpartition(".")
        if module.endswith(".0") and parameter != "num_batches_tracked":
            if value.ndim == 1 and parameter == "weight":
                value = value.abs() - 1e-5
            key = f"{module.removesuffix('.0')}.{parameter}" if value.ndim == 1 else key
        if parameter != "num_batches_tracked":
            state[key] = value
    for part in layer.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.weight.data.abs_()
    other = ObjectContext(8, activation="leaky_relu").double().eval()
    other.load_reference(state)
    x = picture()
    torch.testing.assert_close(layer(x, guide(x)), other(x, guide(x)))
    with pytest.raises(InputError, match="activation='relu': the checkpoint has InPlaceABN"):
        ObjectContext(8).load_reference(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"key_channels": 0}, "key_channels=0: must be at least 1"),
        ({"out_channels": 0}, "out_channels=0: must be at least 1"),
        ({"pool": 0}, "pool=0: must be at least 1"),
        ({"dropout": 1.0}, r"dropout=1\.0: must be at least 0 and below 1"),
        ({"activation": "tanh"}, "activation='tanh': must be one of 'relu', 'leaky_relu'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        ObjectContext(16, **options)
