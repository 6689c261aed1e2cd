"""Networks without attention: what their answer depends on, and doors where nothing tells."""

import copy

import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.explanation.explain import explain
from pixelwise.layers.registry import create

IMAGE = torch.randn(1, 3, 24, 32, generator=torch.Generator().manual_seed(0))


def network(*before, after=()):
    torch.manual_seed(0)
    return nn.Sequential(
        *before, nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1), *after
    )


class Of(nn.Module):
    def __init__(self, function, inner=None):
        super().__init__()
        self.function, self.inner = function, network() if inner is None else inner

    def forward(self, image):
        return self.function(self.inner, image)


def test_the_receptive_field_of_two_convolutions_is_five_by_five():
    model = network().train()
    found = explain(model, IMAGE, (10, 20))
    assert found.maps == ()
    assert found.notes == ()
    field = found.receptive
    assert field.values.shape == (24, 32)
    assert field.values.sum().item() == pytest.approx(1)
    assert (field.values > 0).nonzero().amin(0).tolist() == [8, 18]
    assert (field.values > 0).nonzero().amax(0).tolist() == [12, 22]
    assert field.own == pytest.approx(field.values[10, 20].item())
    half, most = field.reaches
    assert (half.share, most.share) == (0.5, 0.9)
    assert 1 <= half.radius <= most.radius <= 8**0.5
    assert half.area >= 5 / (24 * 32)
    assert [one.method for one in found.class_maps] == ["gradient", "occlusion"]
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    again = explain(model, IMAGE, (10, 20))
    assert torch.equal(again.receptive.values, field.values)


def test_it_is_the_squared_jacobian():
    model = network()
    field = explain(model, IMAGE, (0, 31), deletion=False).receptive
    rows = torch.autograd.functional.jacobian(lambda x: model(x)[0, :, 0, 31], IMAGE)
    wanted = rows.square().sum((0, 1, 2))
    assert (field.values - wanted / wanted.sum()).abs().max() < 0.15  # four draws of signs


def test_without_the_deletion_check_no_occlusion_map():
    found = explain(network(), IMAGE, (1, 1), deletion=False)
    assert [one.method for one in found.class_maps] == ["gradient"]
    assert found.notes == ("No occlusion map: it was left out with the deletion check.",)
    found = explain(network(), IMAGE, (1, 1), deletion=False, class_maps=True)
    assert len(found.class_maps) == 2


def test_beside_attention_on_request():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), create("pam", 8), nn.Conv2d(8, 2, 1))
    options = {"deletion": False, "rollout": False}
    assert explain(model, IMAGE, (3, 4), **options).receptive is None
    found = explain(model, IMAGE, (3, 4), receptive_field=True, **options)
    assert [one.key for one in found.maps] == ["pam"]
    assert found.receptive.values.shape == (24, 32)
    assert found.class_maps == ()
    stopped = Of(lambda inner, x: inner(x.round().detach()), model)
    with pytest.raises(InputError, match=r"receptive field: no gradient .*; leave it out"):
        explain(stopped, IMAGE, (3, 4), receptive_field=True, **options)


def test_a_network_that_answers_for_the_picture_has_no_circle():
    model = network(after=(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    field = explain(model, IMAGE, (3, 4)).receptive
    assert field.own == 0
    assert [one.radius for one in field.reaches] == [None, None]
    assert 0.2 < field.reaches[0].area < field.reaches[1].area <= 1


def test_a_pixel_that_depends_on_itself_alone_and_a_picture_of_one():
    field = explain(nn.Conv2d(3, 4, 1), IMAGE, (3, 4)).receptive
    assert field.own == 1
    assert [one.radius for one in field.reaches] == [None, None]
    assert field.reaches[0].area == 1 / (24 * 32)
    single = explain(network(), IMAGE[..., :1, :1], (0, 0)).receptive
    assert single.values.tolist() == [[1]]


def rounded(inner, image):
    return inner(image.byte().float())


def blind(inner, image):
    with torch.no_grad():
        return inner(image)


def written(inner, image):
    return inner(image.sub_(0.5).mul_(2))


def overwritten(inner, image):
    y = inner(image).exp()
    return y.mul(y.zero_().add_(1))


def steep(inner, image):
    return inner((image - image).sqrt() + image)


DOORS = {
    "rounded": (rounded, ["receptive field: no gradient reaches"]),
    "blind": (blind, ["receptive field: no gradient", "gradient map: no gradient"]),
    "in place, of the picture": (written, []),
    "in place, of what is needed": (overwritten, ["cannot be differentiated", "gradient map"]),
    "not finite": (steep, ["receptive field: its gradient is not finite in torch.float32"]),
}


@pytest.mark.parametrize("door", DOORS)
def test_what_has_no_gradient_is_said_and_the_rest_is_shown(door):
    function, parts = DOORS[door]
    image = IMAGE.abs() * 50 if door == "rounded" else IMAGE
    before = image.clone()
    found = explain(Of(function), image, (3, 4))
    assert torch.equal(image, before)
    assert len(found.notes) == len(parts)
    for note, part in zip(found.notes, parts, strict=True):
        assert part in note
        assert "\n" not in note
    assert found.class_maps[-1].method == "occlusion"
    assert (found.receptive is None) == bool(parts)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_half_precision(kind):
    wanted = explain(network(), IMAGE, (10, 20), deletion=False).receptive
    found = explain(network().to(kind), IMAGE, (10, 20), deletion=False).receptive
    torch.testing.assert_close(found.values, wanted.values, atol=5e-3, rtol=0.05)
    tiny = network(after=(Of(lambda _, x: x * 1e-7, nn.Identity()),)).half()
    (note,) = explain(tiny, IMAGE, (10, 20), deletion=False, class_maps=True).notes[:1]
    assert "receptive field: no gradient" in note


def test_batch_norms_in_train_mode_and_without_statistics():
    model = network(after=(nn.BatchNorm2d(4, track_running_stats=False),)).train()
    found = explain(model, IMAGE, (10, 20), deletion=False)
    assert (found.receptive.values > 0).all()  # the statistics are of all pixels
    model = network(after=(nn.BatchNorm2d(4),)).train()
    state = copy.deepcopy(model.state_dict())
    explain(model, IMAGE, (10, 20), deletion=False)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_logits_that_are_not_numbers_are_refused():
    model = Of(lambda inner, x: inner(x) * float("nan"))
    with pytest.raises(InputError, match=r"at=3,4: the network's logits there are NaN; look"):
        explain(model, IMAGE, (3, 4))


def test_layers_of_a_network_without_attention_are_refused():
    with pytest.raises(InputError, match=r"layers=0, 2: Sequential used no attention; leave"):
        explain(network(), IMAGE, (3, 4), layers=["0", "2"])


def test_memory_that_does_not_suffice_stays_what_it_is():
    def full(inner, image):
        if image.requires_grad:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return inner(image)

    with pytest.raises(torch.OutOfMemoryError):
        explain(Of(full), IMAGE, (3, 4))
