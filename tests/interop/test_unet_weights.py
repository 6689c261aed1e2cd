"""AttU_Net and U_Net: imported, they equal the equations over the weights of the file."""

import keys
import pytest
import torch
import torch.nn.functional as F
from files import numbers, write

import pixelwise
from pixelwise.errors import InputError
from pixelwise.interop.convert import import_checkpoint
from pixelwise.networks.segmenter import Segmenter


class Reference:
    """The network of Oktay et al., written plainly over a state with AttU_Net's names."""

    def __init__(self, state):
        self.state = {k: v.double() for k, v in state.items()}
        self.gated = any(key.startswith("Att") for key in state)

    def step(self, x, name, conv, norm):
        w = self.state[f"{name}.{conv}.weight"]
        x = F.conv2d(x, w, self.state[f"{name}.{conv}.bias"], padding=w.shape[-1] // 2)
        parts = ("running_mean", "running_var", "weight", "bias")
        return F.batch_norm(x, *(self.state[f"{name}.{norm}.{part}"] for part in parts))

    def double(self, x, name):
        x = self.step(x, f"{name}.conv", 0, 1).relu()
        return self.step(x, f"{name}.conv", 3, 4).relu()

    def gate(self, x, g, name):
        both = self.step(g, f"{name}.W_g", 0, 1) + self.step(x, f"{name}.W_x", 0, 1)
        return x * self.step(both.relu(), f"{name}.psi", 0, 1).sigmoid()

    def __call__(self, image):
        maps = [self.double(image, "Conv1")]
        for i in (2, 3, 4, 5):
            maps.append(self.double(F.max_pool2d(maps[-1], 2), f"Conv{i}"))
        y = maps.pop()
        for i in (5, 4, 3, 2):
            y = y.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
            y = self.step(y, f"Up{i}.up", 1, 2).relu()
            x = maps.pop()
            x = self.gate(x, y, f"Att{i}") if self.gated else x
            y = self.double(torch.cat([x, y], dim=1), f"Up_conv{i}")
        return F.conv2d(y, self.state["Conv_1x1.weight"], self.state["Conv_1x1.bias"])


@pytest.mark.parametrize("gates", [True, False])
@pytest.mark.parametrize("classes", [1, 4])
def test_logits_equal_the_equations(gates, classes, tmp_path):
    state = numbers(keys.unet(classes=classes, gates=gates))
    file = write(tmp_path / "att_unet.pth", state)
    model = pixelwise.load(file)
    assert model.config.task == ("binary" if classes == 1 else "multiclass")
    image = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    with torch.no_grad():
        wanted, found = Reference(state)(image), model.double()(image)
    assert wanted.std() > 1e-3
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12 * float(wanted.abs().max()))


def test_saved_and_loaded_again(tmp_path):
    file = write(tmp_path / "att_unet.pth", numbers(keys.unet()))
    model = import_checkpoint(file).model
    model.save_pretrained(tmp_path / "kept")
    again = Segmenter.from_pretrained(tmp_path / "kept")
    image = torch.randn(1, 3, 37, 50)  # of no multiple of 16, which the known code refuses
    with torch.no_grad():
        assert torch.equal(again(image), model(image))


def test_the_classifier_has_two_known_names(tmp_path):
    state = numbers(keys.unet(gates=False))
    other = {key.replace("Conv_1x1", "Conv"): value for key, value in state.items()}
    image = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        one, two = (
            pixelwise.load(write(tmp_path / f"{i}.pth", s))(image)
            for i, s in enumerate((state, other))
        )
    assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s.pop("Att3.psi.1.bias"), "1 missing in the file: decoder.gates.2.score.1.bias"),
        (lambda s: s.pop("Conv2.conv.3.bias"), "1 missing in the file: backbone.body.stages.1"),
        (lambda s: s.update({"Att6.psi.0.bias": torch.ones(1)}), "1 left over: Att6.psi.0.bias"),
        (lambda s: s.update({"Conv6.conv.0.bias": torch.ones(1)}), "1 left over: Conv6"),
        (lambda s: s.update({"Up4.up.1.weight": torch.ones(3, 3)}), "1 of another shape"),
    ],
)
def test_every_tensor_must_fit(change, told, tmp_path):
    state = numbers(keys.unet())
    change(state)
    with pytest.raises(InputError, match=told):
        pixelwise.load(write(tmp_path / "att_unet.pth", state))
