"""A network or layer in a written form, plain or at the authors' cost, gives the same numbers."""

import pytest
import torch

from pixelwise.benchmarks.cases import parse_case
from pixelwise.benchmarks.settings import AUTHORS, OURS, PLAIN
from pixelwise.benchmarks.work import ALL_PLAIN, Work, difference, prepare, written_forms
from pixelwise.layers.position_attention import PositionAttention
from pixelwise.layers.registry import available
from pixelwise.networks.factory import create_model
from pixelwise.ops.running import choice, taken


@pytest.mark.parametrize("arch", ["danet", "psanet", "encnet", "ann", "attention_unet"])
def test_plain_network_equals_the_network(arch):
    torch.manual_seed(0)
    model = create_model(arch, "resnet18", num_classes=3).double().eval()
    image = torch.randn(1, 3, 40, 56, dtype=torch.float64)
    with torch.no_grad():
        ours = model(image)
        with choice.forced(**ALL_PLAIN):
            theirs = model(image)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_all_plain_takes_the_plain_form_of_the_layers_inside(monkeypatch):
    seen = []
    form = PositionAttention.plain
    monkeypatch.setattr(
        PositionAttention, "plain", lambda layer, x: seen.append(layer) or form(layer, x)
    )
    model = create_model("danet", "resnet18", num_classes=3).eval()
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        with choice.forced(**ALL_PLAIN):
            model(image)
        assert seen == [model.decoder.position]
        model(image)
        assert len(seen) == 1


WRITTEN = [key for key, layer in available().items() if layer.authors_forms]


def test_forms_at_the_authors_cost_exist():
    assert WRITTEN == ["deform", "encoding"]
    for key in WRITTEN:
        for operation, form in available()[key].authors_forms.items():
            assert form in choice.FORMS[operation]


@pytest.mark.parametrize("key", WRITTEN)
@pytest.mark.parametrize("training", [False, True])
def test_form_at_the_authors_cost_equals_the_layer(key, training):
    work = Work(parse_case(key), (2, 8, 6, 5), training, (OURS, PLAIN, AUTHORS))
    subject = prepare(work)
    module, given = subject.module.double(), [x.double() for x in subject.given]

    def run(form):
        images = [x.detach().requires_grad_() for x in given]
        taken.forget()
        with choice.forced(**({} if form == OURS else written_forms(form, module))):
            y = module(*images)
        weights = torch.arange(y.numel(), dtype=y.dtype).view(y.shape).cos()
        return y, *torch.autograd.grad((weights * y).sum(), [*images, *module.parameters()])

    wanted = run(OURS)
    for form in (PLAIN, AUTHORS):
        for found, one in zip(run(form), wanted, strict=True):
            torch.testing.assert_close(found, one, rtol=1e-9, atol=1e-9)
        for operation, one in available()[key].authors_forms.items():
            ran = taken.forms().get(operation, [])
            assert (one in ran) == (form == AUTHORS) or operation == "layer"


def test_a_network_takes_the_authors_forms_of_its_layers():
    work = Work(parse_case("encnet"), (1, 3, 64, 64), False, (AUTHORS,), backbone="resnet18")
    subject = prepare(work)
    assert subject.call(AUTHORS) is not None
    assert written_forms(AUTHORS, subject.module)["encoding"] == "authors"
    assert difference(subject, AUTHORS) < 1e-9


def test_a_layer_without_one_has_none():
    subject = prepare(Work(parse_case("se"), (1, 16, 8, 8), False, (AUTHORS,)))
    assert subject.call(AUTHORS) is None
