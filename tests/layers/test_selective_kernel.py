import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.layers.selective_kernel import SelectiveKernel

OPTIONS = {"sk": {"hidden": 4}}
VARIANTS = {
    "sk": [
        {"hidden": 3, "split": True, "activation": "silu"},
        {"hidden": 5, "kernel_sizes": (1, 3, 5), "dilate": False, "bias": True, "groups": 4},
        {"hidden": 5, "kernel_sizes": (3, 3), "groups": (1, 8), "squeeze_norm": False},
        {"hidden": 4, "out_channels": 24, "stride": 2, "dilation": 2},
    ]
}


def reconstruct(layer, x, at):
    last = layer.maps(x, at).channel
    near, wide = (branch(x)[:, :, at[0], at[1]] for branch in layer.branches)
    return near * (1 - last) + wide * last


def output_shape(layer, x):
    first = layer.branches[0][0]
    rows, columns = (-(-side // first.stride[0]) for side in x.shape[2:])
    return (len(x), first.out_channels, rows, columns)


def test_three_branches_by_hand():
    layer = SelectiveKernel(6, kernel_sizes=(1, 3, 5), dilate=False, hidden=4, bias=True).double()
    layer.eval()
    x = torch.randn(2, 6, 5, 7).double()
    features = torch.stack([branch(x) for branch in layer.branches], 1)  # (b, branches, c, h, w)
    hidden = layer.norm(layer.reduce(features.sum(1).mean((2, 3)))).relu()
    weights = layer.select(hidden).view(2, 3, 6).softmax(1)
    wanted = (features * weights[..., None, None]).sum(1)
    torch.testing.assert_close(layer(x), wanted)
    torch.testing.assert_close(layer.maps(x).channel, weights[:, 2])


def test_larger_kernels_are_3x3_with_gaps():
    convs = [branch[0] for branch in SelectiveKernel(32, kernel_sizes=(1, 3, 5, 7)).branches]
    assert [conv.kernel_size[0] for conv in convs] == [1, 3, 3, 3]
    assert [conv.dilation[0] for conv in convs[1:]] == [1, 2, 3]
    whole = SelectiveKernel(32, kernel_sizes=(3, 5), dilate=False).branches[1][0]
    assert (whole.kernel_size, whole.dilation) == ((5, 5), (1, 1))


def test_a_branch_sees_its_share_of_the_channels():
    layer, x = SelectiveKernel(8, split=True, hidden=4).eval(), torch.randn(1, 8, 6, 6)
    seen = []
    for branch in layer.branches:
        branch[0].register_forward_hook(lambda part, inputs, y: seen.append(inputs[0]))
    layer(x)
    assert torch.equal(torch.cat(seen, 1), x)


def test_hidden_width_has_a_least():
    assert SelectiveKernel(64).reduce.out_features == 32
    assert SelectiveKernel(64, reduction=1).reduce.out_features == 64
    assert SelectiveKernel(64, hidden=4).reduce.out_features == 4


def test_stride_and_width():
    layer = SelectiveKernel(16, out_channels=24, stride=2)
    assert not layer.keeps_shape
    assert layer.eval()(torch.randn(1, 16, 7, 8)).shape == (1, 24, 4, 4)
    assert SelectiveKernel(16).keeps_shape


def test_norm_over_images_needs_two():
    layer, x = SelectiveKernel(16), torch.randn(2, 16, 4, 4)
    with pytest.raises(InputError, match="batch of 1 and must have at least 2"):
        layer(x[:1])
    SelectiveKernel(16, squeeze_norm=False)(x[:1])


def test_a_linear_map_for_each_branch_is_joined():
    layer = SelectiveKernel(8, kernel_sizes=(1, 3), dilate=False, bias=True, squeeze_norm=False)
    state = {"fc.weight": torch.randn(32, 8), "fc.bias": torch.randn(32)}
    for i, side in enumerate((1, 3)):
        branch = nn.Sequential(nn.Conv2d(8, 8, side), nn.BatchNorm2d(8)).state_dict()
        for key, value in branch.items():
            place, part = key.split(".")
            state[f"convs.{i}.{'conv' if place == '0' else 'bn'}.{part}"] = value
        state[f"fcs.{i}.weight"], state[f"fcs.{i}.bias"] = torch.randn(8, 32), torch.randn(8)
    layer.load_reference(state)
    assert torch.equal(layer.select.weight[8:], state["fcs.1.weight"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel_sizes": (3,)}, r"kernel_sizes=\(3,\): must be two or more odd numbers; e\.g\."),
        ({"kernel_sizes": (3, 4)}, r"kernel_sizes=\(3, 4\): must be two or more odd numbers; e"),
        ({"groups": 3}, "groups=3: must divide the 16 input channels of a branch and its 16 out"),
        ({"groups": (1, 2, 4)}, r"groups=\(1, 2, 4\): must be one number, or one for each of 2 b"),
        ({"groups": 0}, "groups=0: must divide"),
        ({"split": True, "kernel_sizes": (3, 5, 7)}, "split=True: channels=16 must be a multiple"),
        ({"stride": 0}, "stride=0: must be at least 1; raise stride"),
        ({"dilation": 0}, "dilation=0: must be at least 1; raise dilation"),
        ({"reduction": 0}, "reduction=0: must be at least 1; raise reduction"),
        ({"hidden": 0}, "hidden=0: must be at least 1; raise hidden"),
        ({"out_channels": 0}, "out_channels=0: must be at least 1; raise out_channels"),
        ({"activation": "tanh"}, "activation='tanh': must be one of 'relu', 'silu', 'gelu', 'ha"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        SelectiveKernel(16, **options)
