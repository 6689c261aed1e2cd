import copy

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pixelwise.errors import InputError
from pixelwise.layers.pointwise_spatial_attention import PointwiseSpatialAttention
from pixelwise.layers.registry import create

# A shrunk map cannot be exported from 2 rows on: tests of the default follow below.
OPTIONS = {"psanet": {"mask_size": (3, 5), "shrink": 1}}
PER_PIXEL = {"psanet"}
SIDES = (32, 64)


def shrinking_of(layer, size):
    """Rows and columns of the shrunk map, and whether corners are kept on the way back."""
    s = layer.shrink
    mixed = layer.border and not all(side % s for side in size)
    shrunk = tuple(max(side // s, 1) if mixed else (side - 1) // s + 1 for side in size)
    return shrunk, (layer.align_corners if s == 1 else not mixed) if layer.border else True


def neighbours(place, side, shrunk, corners=True):
    """Pixels of the shrunk map around a pixel, and their shares."""
    if corners:
        position = place * (shrunk - 1) / max(1, side - 1)
    else:
        position = min(max((place + 0.5) * shrunk / side - 0.5, 0), shrunk - 1)
    first = min(int(position), shrunk - 1)
    second = min(first + 1, shrunk - 1)
    share = position - first
    return ((first, 1 - share), (second if share else first, share))


def reconstruct(layer, x, at):
    maps = layer.maps(x, at).spatial
    values = [part.reduce(x) for part in layer.branches]
    count = maps.shape[1] // len(values)
    shares, border = [(1.0, True)], layer.border
    if layer.shrink > 1 or border:
        shrunk, corners = shrinking_of(layer, x.shape[2:])
        rows, columns = (
            [(0 <= pixel - border < small, share) for pixel, share in found]
            for small, found in (
                (small, neighbours(place, side, small + 2 * border, corners))
                for place, side, small in zip(at, x.shape[2:], shrunk, strict=True)
            )
        )
        shares = [(down * across, a and b) for a, down in rows for b, across in columns]
    assert len(shares) == count
    assert all(inside or not maps[:, i].any() for i, (_, inside) in enumerate(shares))
    y = 0
    for corner, (share, _) in enumerate(shares):
        seen = [
            torch.einsum("bij,bcij->bc", maps[:, place * count + corner], value)
            for place, value in enumerate(values)
        ]
        y = y + share * layer.project(torch.cat(seen, 1)[:, :, None, None])[:, :, 0, 0]
    return torch.cat((x[:, :, at[0], at[1]], y), 1) if layer.concatenate else y


def layer_of(**options):
    torch.manual_seed(0)
    layer = PointwiseSpatialAttention(12, **options).double()
    for part in layer.branches:
        torch.nn.init.normal_(part.mask.weight)
    return layer


CHOICES = [
    {},
    {"directions": "collect", "shrink": 1},
    {"directions": "distribute", "shrink": 3, "concatenate": True},
    {"softmax": False, "normalisation": None},
    {"normalisation": 2.5, "shrink": 1},
    {"variant": "mmsegmentation"},
    {"variant": "mmsegmentation", "shrink": 1, "directions": "collect"},
    {"variant": "mmsegmentation", "shrink": 3, "softmax": False},
    {"variant": "mmsegmentation", "shrink": 1, "align_corners": True},
]
VARIANTS = {
    "psanet": [{"mask_size": (3, 5), **options} for options in CHOICES] + [{"mask_size": (13, 11)}]
}


def output_shape(layer, x):
    return len(x), 2 * x.shape[1], *x.shape[2:]  # of the variant that concatenates


def test_a_mask_is_read_by_offset():
    layer = layer_of(mask_size=(3, 5), shrink=1, directions="collect")
    masks = torch.arange(15.0).expand(1, 4 * 6, -1)  # every pixel has the places' numbers
    logits = layer._of_pairs(masks, 4, 6).view(4, 6, 4, 6)
    for down, right in [(0, 0), (-1, 2), (1, -2), (0, 1)]:
        assert logits[1, 3, 1 + down, 3 + right] == (1 + down) * 5 + 2 + right
    assert logits[1, 3, 3, 3] == 0  # two rows below, where the mask has one


@pytest.mark.parametrize("options", CHOICES, ids=str)
@pytest.mark.parametrize("at", [(0, 0), (3, 2), (4, 1), (6, 4), (5, 3)], ids=str)
@pytest.mark.parametrize("size", [(7, 5), (8, 6)], ids=str)
def test_maps_give_the_output_with_every_option(options, at, size):
    layer = layer_of(mask_size=(5, 3), **options).eval()
    x = torch.randn(2, 12, *size).double()
    torch.testing.assert_close(
        reconstruct(layer, x, at), layer(x)[:, :, at[0], at[1]], rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("options", CHOICES, ids=str)
def test_compact_masks(options):
    options = {"shrink": 2} | options
    x = torch.randn(2, 12, 7, 5).double()
    shrunk, _ = shrinking_of(layer_of(mask_size=(1, 1), **options), (7, 5))
    layer = layer_of(mask_size=shrunk, compact=True, **options).eval()
    y = layer(x)
    torch.testing.assert_close(y, layer.plain(x), rtol=1e-10, atol=1e-10)
    for at in [(0, 0), (3, 2), (6, 3)]:
        found = reconstruct(layer, x, at)
        torch.testing.assert_close(found, y[:, :, at[0], at[1]], rtol=1e-10, atol=1e-10)
    with pytest.raises(InputError, match=r"mask_size=\(.*got a shrunk map of .* rows"):
        layer(torch.randn(2, 12, 17, 5).double())


def test_compact_masks_of_one_direction_mean_the_other_one_in_mmsegmentation():
    options = {"mask_size": (4, 3), "compact": True, "variant": "mmsegmentation"}
    assert [part.collect for part in layer_of(**options).branches] == [True, False]
    for direction in ("collect", "distribute"):
        (branch,) = layer_of(directions=direction, **options).branches
        assert branch.collect == (direction == "distribute")


@pytest.mark.parametrize("shrink", [1, 2])
def test_maps_are_distributions(shrink):
    layer = PointwiseSpatialAttention(12, mask_size=(3, 5), shrink=shrink)
    maps = layer.maps(torch.randn(2, 12, 6, 5), at=(3, 3)).spatial
    heads = 2 if shrink == 1 else 8
    torch.testing.assert_close(maps.sum((2, 3)), torch.ones(2, heads))


class Pairs(TorchDispatchMode):
    largest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.largest = max(self.largest, value.numel())
        return result


def test_neither_pairs_nor_masks_are_stored():
    layer = PointwiseSpatialAttention(8, mask_size=(59, 59), shrink=1, hidden=2)
    x = torch.randn(1, 8, 30, 30, requires_grad=True)
    with Pairs() as seen:
        layer(x).sum().backward()
    assert 0 < seen.largest < 30**4 / 8


def shrinking(**options):
    torch.manual_seed(0)
    return PointwiseSpatialAttention(16, mask_size=(5, 7), **options).eval()


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (2, 2), (7, 5), (8, 6)], ids=str)
@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(torch.float32, 1e-5), (torch.float16, 4e-3), (torch.bfloat16, 3e-2)],
    ids=str,
)
def test_shrunk_in_every_type_and_format(size, dtype, tolerance):
    layer, x = shrinking().to(dtype), torch.randn(2, 16, *size).to(dtype)
    exact = copy.deepcopy(layer).double()(x.double())
    for image in (x, x.to(memory_format=torch.channels_last)):
        y = layer(image)
        assert y.dtype == dtype
        assert y.stride() == image.stride() or 1 in size
        assert (y.double() - exact).abs().max() <= tolerance * exact.abs().max()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = layer.float()(image.float())
        assert (y.double() - exact).abs().max() <= 3e-2 * exact.abs().max()
        layer.to(dtype)


def test_shrunk_exports_with_free_height_and_width():
    layer = shrinking()
    free = ({2: torch.export.Dim("h", min=3), 3: torch.export.Dim("w", min=3)},)
    program = torch.export.export(layer, (torch.randn(2, 16, 8, 9),), dynamic_shapes=free).module()
    for size in [(8, 9), (5, 17), (23, 4)]:
        x = torch.randn(2, 16, *size)
        torch.testing.assert_close(program(x), layer(x), rtol=1e-5, atol=1e-5)


def test_authors_layout_loads():
    layer = PointwiseSpatialAttention(8, hidden=4, mask_size=(3, 5))
    theirs = {"attention.3.weight": torch.randn(15, 4, 1, 1)}
    theirs["attention_p.3.weight"] = torch.randn(15, 4, 1, 1)
    convs = {"reduce": (4, 8), "reduce_p": (4, 8), "attention": (4, 4), "attention_p": (4, 4)}
    for name, (out, into) in (convs | {"proj": (8, 8)}).items():
        theirs[f"{name}.0.weight"] = torch.randn(out, into, 1, 1)
        theirs[f"{name}.1.num_batches_tracked"] = torch.tensor(3)
        for part in ("weight", "bias", "running_mean", "running_var"):
            theirs[f"{name}.1.{part}"] = torch.rand(out)
    layer.load_reference(theirs)
    collect, distribute = layer.branches
    assert torch.equal(collect.mask.weight, theirs["attention.3.weight"][:, :, 0, 0])
    assert torch.equal(distribute.mask.weight, theirs["attention_p.3.weight"][:, :, 0, 0])
    assert torch.equal(distribute.reduce[0].weight, theirs["reduce_p.0.weight"])
    assert torch.equal(collect.guide[1].running_var, theirs["attention.1.running_var"])
    assert torch.equal(layer.project[1].bias, theirs["proj.1.bias"])


def test_defaults_are_the_authors():
    layer = create("psanet", 2048)
    assert layer.branches[0].mask.weight.shape == (59 * 59, 512)
    assert sum(p.numel() for p in layer.parameters()) == 8_291_328
    assert layer.keeps_shape
    assert not PointwiseSpatialAttention(8, concatenate=True).keeps_shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_size": (59, 58)}, r"mask_size=\(59, 58\): both sides must be odd"),
        ({"mask_size": (-1, 3)}, r"mask_size=\(-1, 3\): both sides must be odd"),
        ({"directions": "none"}, "directions='none': must be one of 'both', 'collect'"),
        ({"shrink": 0}, "shrink=0: must be at least 1"),
        ({"variant": "paper"}, "variant='paper': must be one of 'code', 'mmsegmentation'"),
        ({"normalisation": 0.0}, "normalisation=0.0: must be above 0"),
        ({"reduction": 99}, "reduction=99: must not exceed channels=16"),
        ({"hidden": 0}, "hidden=0: must be at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        PointwiseSpatialAttention(16, **options)
