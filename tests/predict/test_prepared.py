import copy

import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.language import speaking
from pixelwise.networks.factory import create_model
from pixelwise.predict import prepared as module
from pixelwise.predict.images import predict_answer
from pixelwise.predict.prepared import MANY, Chosen, Prepared, chosen, prepared


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = create_model("fcn", "test_resnet", num_classes=5).eval()
    for part in model.modules():  # as after training
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(std=0.1)
            part.running_var.uniform_(0.5, 2.0)
    return model


def norms(model):
    return sum(isinstance(part, nn.BatchNorm2d) for part in model.modules())


@pytest.mark.parametrize("pictures", [1, MANY])
def test_logits_differ_by_rounding_and_the_network_stays_as_it_is(model, pictures):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    strides = {name: value.stride() for name, value in model.state_dict().items()}
    quick = prepared(model, pictures=pictures)
    x = torch.randn(2, 3, 45, 61)
    with torch.no_grad():
        expected, found = model(x), quick(x)
    assert float((found - expected).abs().max()) <= 1e-5 * float(expected.abs().max())
    (network,) = quick.network
    assert (norms(network) < norms(model) / 4) == (pictures == MANY)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
        assert value.stride() == strides[name]


def test_all_but_the_logits_is_that_of_the_network_given(model, tmp_path):
    quick = prepared(model)
    assert quick.config is model.config
    assert type(quick.task) is type(model.task)
    assert quick.device == model.device
    assert [*map(id, quick.parameters())] == [*map(id, model.parameters())]
    quick.train()
    assert model.training
    assert not quick.network[0].training
    quick.eval()
    assert not model.training
    model.save_pretrained(tmp_path / "saved")


def test_answers_are_the_same(model):
    image = torch.randint(0, 256, (3, 70, 50), dtype=torch.uint8)
    whole, tiled = (predict_answer(prepared(model), image, window=w) for w in (None, 32))
    assert torch.equal(whole, predict_answer(model, image, window=None))
    assert torch.equal(tiled, predict_answer(model, image, window=32))


def test_a_network_that_does_not_run_in_double_precision_is_not_folded(model, monkeypatch):
    def refuse(_):
        raise InputError("did not run in float64")

    monkeypatch.setattr(module, "fold", refuse)
    quick = prepared(model, pictures=MANY)
    assert norms(quick.network[0]) == norms(model)


def test_a_network_that_cannot_be_copied_runs_as_it_is(model):
    class Stubborn(type(model)):
        def __deepcopy__(self, memo):
            raise TypeError("no")

    stubborn = copy.copy(model)
    stubborn.__class__ = Stubborn
    assert prepared(stubborn).network[0] is stubborn


def test_bfloat16_gives_full_numbers_that_are_close(model):
    quick = prepared(model, "bf16")
    assert isinstance(quick, Prepared)
    x = torch.randn(1, 3, 40, 40)
    with torch.no_grad():
        expected, found = model(x), quick(x)
    assert found.dtype == torch.float32
    off = float((found - expected).abs().max() / expected.abs().max())
    assert 1e-5 < off < 0.05


@pytest.mark.parametrize(
    ("asked", "amx", "avx", "expected"),
    [
        ("32", True, True, Chosen()),
        ("auto", True, True, Chosen("bf16", "cpu has AMX")),
        ("auto", False, True, Chosen("bf16", "cpu has AVX512-BF16")),
        ("auto", False, False, Chosen("32", "cpu has no instructions for bfloat16")),
        ("bf16", False, False, Chosen("bf16", "asked for")),
    ],
)
def test_auto_asks_the_processor(model, monkeypatch, asked, amx, avx, expected):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx, raising=False)
    assert chosen(asked, model, "cpu") == expected


def test_a_line_says_what_was_taken(model):
    told = []
    Chosen().tell(told.append)
    Chosen("bf16", "asked for").tell(told.append)
    with speaking("zh"):
        chosen("bf16", model, "cpu").tell(told.append)
    english, chinese = told
    assert english == "bits    bfloat16: asked for"
    assert chinese.endswith("用户指定")
