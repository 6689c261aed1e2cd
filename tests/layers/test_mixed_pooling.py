import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.shared.mixed_pooling import MixedPooling


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (5, 1), (7, 9), (33, 40)])
@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
def test_any_size_and_type(size, kind):
    block = MixedPooling(18, (4, 3)).eval()
    x = torch.randn(1, 18, *size)
    y = block.to(kind)(x.to(kind))
    assert (y.shape, y.dtype) == (x.shape, kind)
    assert y.min() >= 0
    exact = block.double()(x.to(kind).double())
    torch.testing.assert_close(y.double(), exact, rtol=0, atol=0.03 * exact.abs().max().item())


def test_what_is_far_comes_from_the_whole_row_and_column():
    torch.manual_seed(0)
    block = MixedPooling(8, (1, 1)).double().eval()
    for level in block.levels:  # without bins, which see the whole map
        torch.nn.init.zeros_(level[0].weight)
    x = torch.randn(1, 8, 21, 23).double()
    other = x.clone()
    other[:, :, 10, 11] += 50.0
    seen = (block(x) != block(other)).any(1)[0]
    assert seen[10].all()
    assert seen[:, 11].all()
    rows, columns = torch.meshgrid(torch.arange(21), torch.arange(23), indexing="ij")
    beside = ((rows - 10).abs() > 2) & ((columns - 11).abs() > 2)
    assert not seen[beside].any()


def test_corners_are_kept_unless_told_otherwise():
    block, other = (MixedPooling(8, (3, 2), align_corners=kept).eval() for kept in (True, False))
    other.load_state_dict(block.state_dict())
    x = torch.randn(1, 8, 9, 7)
    assert not torch.allclose(block(x), other(x))


def test_one_image_is_refused_in_training_where_a_level_has_one_bin():
    x = torch.randn(1, 8, 6, 7)
    assert MixedPooling(8, (2, 3))(x).shape == x.shape
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        MixedPooling(8, (1, 3))(x)


@pytest.mark.slow
def test_exports_with_free_height_and_width():
    block, x = MixedPooling(8, (4, 3)).eval(), torch.randn(2, 8, 16, 17)
    free = ({2: torch.export.Dim("h", min=2), 3: torch.export.Dim("w", min=2)},)
    program = torch.export.export(block, (x,), dynamic_shapes=free).module()
    for size in [(16, 17), (3, 33), (23, 4)]:
        x = torch.randn(2, 8, *size)
        torch.testing.assert_close(program(x), block(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"in_channels": 3}, "in_channels=3: must be at least 4; raise in_channels"),
        ({"pool_sizes": (0, 3)}, "pool_sizes=0: must be at least 1; raise pool_sizes"),
        ({"pool_sizes": (3,)}, r"pool_sizes=\(3,\): must be the bins of two levels; e.g. \(20"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        MixedPooling(**{"in_channels": 8, **options})
