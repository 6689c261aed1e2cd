"""A folded network computes what the network does in eval mode, and the network is left alone."""

import copy
import inspect
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm
from torch.utils._pytree import tree_leaves

from pixelwise import create_layer, create_model, insert, list_layers, list_models, load
from pixelwise.errors import InputError
from pixelwise.folding import fold, foldable
from pixelwise.merging import is_norm

WIDTHS = {"channels": (16, 24, 32, 48), "layers": (1, 1, 1, 1)}
ACMIX = {"channels": (16, 32, 32, 64), "layers": (1, 1, 1, 1)}
KEPT = {
    "maxvit": 4,  # norms before convolutions, in its MBConv blocks
    "densenet": 6,  # norms before convolutions, of concatenations
}


def trained(network):
    """A network whose norms do something, and whose zeros hide nothing."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any() or parameter.ndim == 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
        for norm in filter(is_norm, network.modules()):
            norm.running_mean.normal_(std=0.2)
            norm.running_var.uniform_(0.5, 2)
    return network


def picture(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1)).to(dtype)


def tensors(network, *given):
    with torch.no_grad():
        return [t for t in tree_leaves(network(*given)) if isinstance(t, Tensor)]


def close(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= tolerance * other.abs().max()


def norms(network):
    return sum(map(is_norm, network.modules()))


def equal(network, example):
    """Fold a network, compare the outputs, and say how many norms went.

    Weights are merged in float64 for every type, so the network folded in float64 and then cast is
    the network folded in float32.
    """
    folded = fold(network.double().eval(), example)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        found = tensors(folded.to(dtype), example.to(dtype))
        close(found, tensors(network.to(dtype), example.to(dtype)), tolerance)
    return norms(network) - norms(folded)


def resnet(**options):
    from timm import create_model

    return trained(create_model("resnet18", **WIDTHS, **options))


def timm(name, **options):
    from timm import create_model

    return create_model(name, num_classes=5, **options)


def torchvision():
    from torchvision.models.segmentation import lraspp_mobilenet_v3_large

    return lraspp_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=4)


def smp():
    from segmentation_models_pytorch import Unet

    options = {"decoder_channels": (32, 16, 16, 16, 16)}
    return Unet("resnet18", encoder_weights=None, classes=4, **options)


HOSTS = {
    "resnet": lambda: timm("resnet50", **WIDTHS),
    "mobilenet": lambda: timm("mobilenetv3_small_050"),
    "efficientnet": lambda: timm("test_efficientnet"),
    "padded": lambda: timm("tf_mobilenetv3_small_minimal_100"),
    "regnet": lambda: timm("regnetx_002"),
    "maxvit": lambda: timm("test_maxvit", img_size=64),
    "densenet": lambda: timm("densenet121", block_config=(2, 2), growth_rate=8),
    "convnext": lambda: timm("convnext_atto", depths=(1, 1, 1, 1), dims=(16, 24, 32, 48)),
    "torchvision": torchvision,
    "smp": smp,
}


@pytest.mark.parametrize("name", HOSTS)
def test_networks_of_other_libraries(name):
    network = trained(HOSTS[name]())
    assert equal(network, picture(1, 3, 64, 64)) == norms(network) - KEPT.get(name, 0)


@pytest.mark.parametrize("arch", list_models())
def test_own_networks(arch):
    shape = ACMIX if arch == "acmix_resnet" else WIDTHS
    options = {} if arch == "bisenetv2" else {"backbone": "resnet18", "backbone_options": shape}
    network = trained(create_model(arch, num_classes=3, **options)).double().eval()
    x = picture(1, 3, 64, 64, dtype=torch.float64)
    folded = fold(network, x)
    assert norms(network) - norms(folded) > 8
    with torch.no_grad():
        expected, found = (n.with_auxiliary(x) for n in (network, folded))
        close([found.logits], [expected.logits], 1e-9)
        for name, logits in expected.auxiliary.items():
            close([found.auxiliary[name]], [logits], 1e-9)
        close([folded.float()(x.float())], [network.float()(x.float())], 1e-4)


@pytest.mark.parametrize("key", list_layers())
def test_layers_and_their_maps(key):
    layer = trained(create_layer(key, 64)).double().eval()
    given = (picture(1, 64, 16, 16, dtype=torch.float64),)
    if "guide" in inspect.signature(layer.forward).parameters:
        side = 16 if key == "ocr" else 8
        given += (picture(1, 64, side, side, dtype=torch.float64),)
    folded = fold(layer, given)
    assert norms(layer) - norms(folded) == len(foldable(layer, given))
    close(tensors(folded, *given), tensors(layer, *given), 1e-9)
    if hasattr(layer, "maps"):
        with torch.no_grad():
            found, expected = (one.maps(*given, at=(3, 4)) for one in (folded, layer))
        pairs = [(a, b) for a, b in zip(found, expected, strict=True) if b is not None]
        close(*zip(*pairs, strict=True), 1e-9)


KINDS = {
    "1d": (nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6), (2, 4, 9)),
    "2d, grouped": (nn.Conv2d(4, 6, 3, groups=2), nn.BatchNorm2d(6), (2, 4, 9, 7)),
    "3d": (nn.Conv3d(4, 6, 3, bias=False), nn.BatchNorm3d(6), (2, 4, 4, 5, 6)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2), nn.BatchNorm2d(6), (2, 4, 5, 6)),
    "transposed, grouped": (
        nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False),
        nn.BatchNorm2d(6),
        (2, 4, 5, 6),
    ),
    "linear": (nn.Linear(4, 6), nn.BatchNorm1d(6), (5, 4)),
    "no affine": (nn.Conv2d(4, 6, 1), nn.BatchNorm2d(6, affine=False), (2, 4, 3, 3)),
    "instance": (
        nn.Conv2d(4, 6, 1),
        nn.InstanceNorm2d(6, track_running_stats=True, affine=True),
        (2, 4, 3, 3),
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_of_convolutions_and_norms(name):
    convolution, norm, shape = KINDS[name]
    assert equal(trained(nn.Sequential(convolution, norm, nn.ReLU(True))), picture(*shape)) == 1


def test_frozen_norms_of_torchvision():
    from torchvision.ops import FrozenBatchNorm2d

    norm = FrozenBatchNorm2d(6)
    norm.weight.uniform_(0.5, 2)
    assert equal(trained(nn.Sequential(nn.Conv2d(3, 6, 3), norm)), picture(2, 3, 8, 8)) == 1


def test_the_original_is_untouched():
    network = resnet().train()
    network.layer1.eval()
    modes = [module.training for module in network.modules()]
    state = copy.deepcopy(network.state_dict())
    folded = fold(network)
    assert list(network.state_dict()) == list(state)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert not any(module._forward_hooks for module in network.modules())
    own = {value.data_ptr() for value in network.state_dict().values()}
    assert own.isdisjoint(value.data_ptr() for value in folded.state_dict().values())
    assert not any(module.training for module in folded.modules())


def test_names_and_what_is_left():
    network = resnet()
    pairs = foldable(network)
    assert pairs[:2] == [("conv1", "bn1"), ("layer1.0.conv1", "layer1.0.bn1")]
    folded = fold(network)
    assert type(folded.bn1) is nn.Identity
    assert folded.conv1.bias is not None
    again = pickle.loads(pickle.dumps(folded))
    x = picture(1, 3, 64, 64)
    assert torch.equal(again(x), copy.deepcopy(folded)(x))
    assert foldable(folded) == []
    norm = fold(trained(timm("test_efficientnet"))).bn1
    assert [name for name, _ in norm.named_children()] == ["act"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types(dtype):
    network = resnet().to(dtype).eval()
    folded = fold(network)
    assert {p.dtype for p in folded.parameters()} == {dtype}
    x = picture(1, 3, 64, 64, dtype=dtype)
    exact = tensors(copy.deepcopy(network).double(), x.double())
    error = {n: (tensors(n, x)[0] - exact[0]).abs().max() for n in (network, folded)}
    assert error[folded] <= 3 * error[network]


def test_memory_format_and_frozen_weights_stay():
    network = resnet().to(memory_format=torch.channels_last)
    network.conv1.weight.requires_grad_(False)
    folded = fold(network)
    assert folded.conv1.weight.is_contiguous(memory_format=torch.channels_last)
    assert not folded.conv1.weight.requires_grad
    assert folded.layer1[0].conv1.weight.requires_grad


def test_weights_that_would_leave_their_range_stay():
    network = trained(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)))
    network[1].running_var.fill_(1e-6)
    network[0].weight.data.fill_(60000.0)
    assert foldable(network) == [("0", "1")]
    assert foldable(network.half()) == []


class Pair(nn.Module):
    """A convolution, a norm, and ways to use them that forbid or allow folding."""

    def __init__(self, use):
        super().__init__()
        self.first = nn.Conv2d(3, 4, 1)
        self.convolution, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.other, self.use = nn.BatchNorm2d(4), use
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return self.use(self, self.first(x))


def twice(m, x):
    y = m.convolution(x)
    return m.norm(y) + y


def hidden(m, x):
    y = m.convolution(x)
    return x + m.gain * (m.norm(y) + y)


def changed(m, x):
    return m.norm(m.convolution(x).relu_())


def changed_later(m, x):
    y = m.convolution(x)
    return m.norm(y) + y.relu_()


def shared(m, x):
    return m.norm(m.convolution(m.convolution(x)))


def two_norms(m, x):
    y = m.convolution(x)
    return m.norm(y) + m.other(y)


def one_norm_of_two(m, x):
    return m.norm(m.convolution(x)) + m.norm(m.first(picture(2, 3, 8, 8).to(x)))


def functional(m, x):
    n = m.norm
    y = nn.functional.batch_norm(
        m.convolution(x), n.running_mean, n.running_var, n.weight, n.bias, False, 0.0, n.eps
    )
    return y


def reading(m, x):
    return m.norm(m.convolution(x)) * m.norm.weight.mean()


def by_weight(m, x):
    return m.norm(m.convolution(x)) + nn.functional.conv2d(x, m.convolution.weight, padding=1)


@pytest.mark.parametrize(
    "use",
    [
        twice,
        hidden,
        changed,
        changed_later,
        shared,
        two_norms,
        one_norm_of_two,
        functional,
        reading,
        by_weight,
    ],
)
def test_what_must_not_be_folded(use):
    network = Pair(use)  # as it was made: the norm is nearly the identity
    x = picture(2, 3, 8, 8)
    assert foldable(network, x) == []
    assert torch.equal(fold(network, x)(x), network.eval()(x))


def test_wrong_pairs_do_not_keep_right_ones():
    blocks = nn.Sequential(*(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)) for _ in "12345"))
    blocks.insert(2, Pair(twice))
    blocks.insert(3, nn.Conv2d(4, 3, 1))
    expected = [(f"{n}.0", f"{n}.1") for n in (0, 1, 4, 5, 6)]
    assert foldable(blocks) == expected
    assert equal(trained(blocks), picture(2, 3, 8, 8)) == 5


def always(m, x):
    return m.norm(m.convolution(m.norm(m.convolution(x)).relu()))


def test_a_pair_that_always_runs_together_is_folded_however_often():
    assert equal(trained(Pair(always)), picture(2, 3, 8, 8)) == 1


def test_no_statistics_and_weights_that_are_not_its_own():
    def network():
        return nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1))

    assert foldable(network()) == [("0", "1")]
    without = network()
    without[1] = nn.BatchNorm2d(3, track_running_stats=False)
    assert foldable(without) == []
    normed = network()
    weight_norm(normed[0])
    assert foldable(normed) == []
    tied = network()
    tied[2].weight = tied[0].weight
    assert foldable(tied) == []


@pytest.mark.parametrize("hooked", ["conv1", "bn1"])
@pytest.mark.parametrize("before", [False, True])
def test_hooks_keep_what_they_are_on(hooked, before):
    network = resnet().eval()
    module = network.get_submodule(hooked)
    if before:
        module.register_forward_pre_hook(lambda m, x: (x[0] * 2,))
    else:
        module.register_forward_hook(lambda m, x, y: y * 2)
    assert ("conv1", "bn1") not in foldable(network)
    assert equal(network, picture(1, 3, 64, 64)) == norms(network) - 1


def test_inserted_layers_stay():
    network = resnet()
    report = insert(network, {"layer1.0.bn2": "se", "layer3": "coord"})
    trained(report.module)
    names = foldable(network)
    assert ("layer1.0.conv2", "layer1.0.bn2") not in names
    assert ("inserted.layer3.layer.reduce", "inserted.layer3.layer.norm") in names
    assert equal(network, picture(1, 3, 64, 64)) == norms(network) - 1


def test_a_folded_network_does_not_save_itself(tmp_path):
    shape = {"backbone": "resnet18", "backbone_options": WIDTHS}
    network = trained(create_model("fcn", num_classes=3, **shape)).eval()
    with pytest.raises(InputError, match="save the original"):
        fold(network).save_pretrained(tmp_path)
    network.save_pretrained(tmp_path)
    x = picture(1, 3, 64, 64)
    assert torch.equal(fold(load(tmp_path))(x), fold(network)(x))


class Named(nn.Module):
    """A network of two named inputs, whose parts cannot tell what it takes."""

    def __init__(self):
        super().__init__()
        self.steps = nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5))

    def forward(self, values, *, counts):
        return {"sum": self.steps(values) * counts[:, None]}


def test_examples():
    network = trained(Named()).eval()
    given = {"values": picture(4, 7), "counts": torch.arange(4)}
    folded = fold(network, given)
    assert norms(folded) == 0
    close([folded(**given)["sum"]], [network(**given)["sum"]], 1e-4)
    with torch.inference_mode():
        assert not fold(network, given).steps[0].weight.is_inference()


def test_what_is_refused():
    with pytest.raises(InputError, match="give its input as example="):
        fold(Named())
    with pytest.raises(InputError, match=r"Named did not run in float64 on the example .*valeus"):
        fold(Named(), {"valeus": picture(4, 7), "counts": torch.arange(4)})
    with pytest.raises(InputError, match=r"did not run .* example="):
        fold(resnet(), picture(1, 4, 64, 64))
    with pytest.raises(InputError, match="NaN in it"):
        fold(resnet(), torch.full((1, 3, 64, 64), torch.nan))
    silent = nn.Conv2d(3, 3, 1)
    silent.register_forward_hook(lambda m, x, y: "nothing")
    with pytest.raises(InputError, match="no tensor in it"):
        fold(silent, picture(1, 3, 8, 8))
    uncopied = nn.Conv2d(3, 3, 1)
    uncopied.last = uncopied.weight * 2
    with pytest.raises(InputError, match="Conv2d cannot be copied"):
        fold(uncopied)
