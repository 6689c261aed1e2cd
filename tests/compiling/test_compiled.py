"""Layers that are compiled give what they gave; the others, and all names, are left alone."""

import copy
import functools
import io
import multiprocessing
import os

import pytest
import torch
from torch import nn

from pixelwise import create_layer
from pixelwise.compiling import measuring, verdicts
from pixelwise.compiling.per_mode import compiled, compiler
from pixelwise.cost import flops
from pixelwise.errors import InputError
from pixelwise.folding import fold
from pixelwise.layers.registry import available

TRIED = {key: layer.worth_compiling for key, layer in available().items() if layer.worth_compiling}
needs_compiler = pytest.mark.skipif(
    compiler() is None, reason="torch.compile needs a C++ compiler, and there is none"
)


@pytest.fixture(scope="module")
def plain_process():
    """A process where shapes are not checked at run time: the checks cannot be compiled."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        yield pool


def build(key):
    torch.manual_seed(3)
    layer = create_layer(key, 16)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return layer


def picture():
    return torch.randn(2, 16, 7, 6, generator=torch.Generator().manual_seed(1))


def gradients(layer, x):
    x = x.clone().requires_grad_()
    y = layer(x)
    g = (torch.arange(y.numel()) * 0.7).sin().view_as(y)
    sought = [value for value in (x, *layer.parameters()) if value.requires_grad]
    return [y, *torch.autograd.grad(y, sought, g)]


def taken_with(backend):
    """From here on every compiled form that gives the same numbers is taken, and none is timed."""
    torch._dynamo.reset()
    torch.compile = functools.partial(torch.compile, backend=backend)
    measuring.timed = lambda ours, theirs: ([2.0, 2.0], [1.0, 1.0])
    verdicts.forget()
    os.environ["PIXELWISE_CACHE"] = "off"


def compare(key, backend):
    """In eval and train mode, and say for which of its modes a graph was made."""
    taken_with(backend)
    layer, x, made = build(key), picture(), set()
    other = compiled(copy.deepcopy(layer))
    with torch.no_grad():
        torch.testing.assert_close(other.eval()(x), layer.eval()(x))
    made |= other.forward.modes
    other.forward.forms.clear()
    for training in (False, True):
        pairs = zip(
            gradients(other.train(training), x), gradients(layer.train(training), x), strict=True
        )
        for found, expected in pairs:
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    made |= other.forward.modes
    for name, value in other.state_dict().items():
        torch.testing.assert_close(value, layer.state_dict()[name])
    return made


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("key", TRIED)
def test_outputs_and_gradients(key, plain_process):
    made = plain_process.apply(compare, (key, "aot_eager"))
    assert made == set(TRIED[key])


@needs_compiler
@pytest.mark.slow
def test_outputs_and_gradients_of_machine_code(plain_process):
    made = plain_process.apply(compare, ("bam", "inductor"))
    assert made == {"forward", "train"}


def network():
    torch.manual_seed(3)
    return nn.Sequential(nn.Conv2d(3, 16, 3), build("bam"), build("gc"), build("bam"))


def named(model):
    return [name for name, module in model.named_modules() if "forward" in vars(module)]


@needs_compiler
def test_only_what_is_worth_trying():
    model = network()
    keys = list(model.state_dict())
    assert compiled(model) is model
    assert named(compiled(model)) == ["1", "3"]
    assert list(model.state_dict()) == keys
    network().load_state_dict(model.state_dict())


def test_nothing_to_compile_is_no_error(monkeypatch):
    monkeypatch.setattr("pixelwise.compiling.per_mode.compiler", lambda: None)
    model = nn.Sequential(nn.Conv2d(3, 16, 3), build("gc"))
    assert compiled(model) is model
    assert named(model) == []
    with pytest.raises(InputError, match="no C"):
        compiled(network())


@needs_compiler
def test_a_forward_that_someone_put_there_stays():
    layer = build("bam")
    layer.forward = lambda x: x
    x = picture()
    assert compiled(layer)(x) is x


def copies():
    """Whose forward a copy calls, and what it gives; in and out of other tools."""
    taken_with("aot_eager")
    model, x = compiled(network().eval()), torch.randn(1, 3, 9, 8)
    plain = network().eval()
    expected = plain(x)
    model(x)
    assert model[1].forward.modes
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for other in (copy.deepcopy(model), torch.load(file, weights_only=False)):
        assert other[1].forward.layer is other[1]
        assert not other[1].forward.forms
        other[1].expand.bias.data.add_(1)
        assert not torch.allclose(other(x), expected)
    torch.testing.assert_close(model(x), expected)
    calls = []
    model[1].register_forward_hook(lambda module, inputs, y: calls.append(y))
    with torch.no_grad():
        model(x)
        assert len(calls) == 1
        tools = {
            "export": lambda: torch.export.export(model, (x,)).module()(x),
            "trace": lambda: torch.jit.trace(model, x)(x),
            "whole": lambda: torch.compile(model)(x),
            "fold": lambda: fold(model)(x),
        }
        for name, use in tools.items():
            torch.testing.assert_close(use(), expected, msg=name)
    assert flops(model, x) == flops(plain, x)
    layer = compiled(build("bam").to("meta"))
    assert layer(picture().to("meta")).shape == picture().shape
    assert not layer.forward.forms


@pytest.mark.slow
@needs_compiler
def test_copies_and_other_tools(plain_process):
    plain_process.apply(copies)
