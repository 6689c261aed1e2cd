"""Answers averaged over scales and the mirrored picture, equal to means written by hand."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.networks.config import ModelConfig
from pixelwise.predict.images import predict_answer
from pixelwise.predict.views import TTA, WHOLE, Views, read_scales
from pixelwise.predict.windows import predict_logits
from pixelwise.tasks.registry import task_of


def task(key, count, **options):
    return task_of(key, ModelConfig("fcn", "x", count, task=key, task_options=options))


def network(count, stride=1):
    """Sees where it is, so that mirrors and scales matter."""
    torch.manual_seed(0)
    convolution = torch.nn.Conv2d(3, count, 5, padding=2, stride=stride)

    def run(image):
        logits = 4 * convolution(image)
        return logits + torch.linspace(-1, 1, logits.shape[-1])

    return torch.no_grad()(run)


PICTURE = torch.rand(1, 3, 21, 30, generator=torch.Generator().manual_seed(1))


def by_hand(run, image, scales, flip, probabilities):
    size, found = image.shape[-2:], []
    for scale in scales:
        shape = [int(scale * side + 0.5) for side in size]
        seen = image
        if shape != [*size]:
            seen = F.interpolate(image, shape, mode="bilinear", antialias=scale < 1)
        for mirror in (False, True)[: 1 + flip]:
            logits = run(seen.flip(-1)).flip(-1) if mirror else run(seen)
            if shape != [*size]:
                logits = F.interpolate(logits, [*size], mode="bilinear", antialias=scale > 1)
            found.append(probabilities(logits))
    return sum(found) / len(found)


@pytest.mark.parametrize(
    ("key", "count", "probabilities"),
    [
        ("multiclass", 4, lambda z: z.softmax(1)),
        ("binary", 1, torch.sigmoid),
        ("multilabel", 3, torch.sigmoid),
    ],
)
@pytest.mark.parametrize("flip", [False, True])
def test_probabilities_are_the_plain_mean(key, count, probabilities, flip):
    of, run, scales = task(key, count), network(count), (0.5, 1.0, 1.4)
    found = Views(scales, flip).averaged(run, of)(PICTURE)
    expected = by_hand(run, PICTURE, scales, flip, probabilities)
    torch.testing.assert_close(probabilities(found), expected, atol=1e-6, rtol=1e-5)
    if key != "multilabel":
        assert torch.equal(of.answer(found).bool(), of.answer(expected - (count == 1) / 2).bool())


def test_tiles_of_all_views_are_blended_as_those_of_one():
    of, run, views = task("multiclass", 4), network(4), Views((0.5, 1.0), flip=True)

    def tile(image):
        return by_hand(run, image, views.scales, True, lambda z: z.softmax(1)).log()

    mine = predict_logits(views.averaged(run, of), PICTURE, window=(12, 12), overlap=0.5)
    theirs = predict_logits(tile, PICTURE, window=(12, 12), overlap=0.5)
    torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("positive", [False, True])
def test_values_are_the_plain_mean(positive):
    of = task("regression", 2, positive=positive, mean=(3.0, 40.0), std=(0.5, 9.0))
    run = network(2)
    found = of.answer(Views(flip=True).averaged(run, of)(PICTURE))
    expected = (of.answer(run(PICTURE)) + of.answer(run(PICTURE.flip(-1)).flip(-1))) / 2
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("target", ["gaussian", "udp_offset"])
def test_mirrored_points_are_those_of_the_tasks_own_option(target):
    offsets = target == "udp_offset"
    options = {
        "target": target,
        "decoder": target if offsets else "dark",
        "pairs": ((0, 2),),
        "size": (24, 32),
    }
    run = network(9 if offsets else 3, stride=4)
    crop = torch.rand(2, 3, 24, 32)
    own = task("keypoints", 3, **options, flip=True).predictor(run)(crop)
    plain = task("keypoints", 3, **options)
    assert torch.equal(Views(flip=True).averaged(run, plain)(crop), own)
    assert not torch.equal(plain.predictor(run)(crop), own)


def test_one_view_is_the_network_itself():
    run = network(4)
    assert WHOLE.averaged(run, task("multiclass", 4)) is run


def test_sure_answers_and_tiny_pictures():
    of, views = task("multiclass", 3), Views((0.1, 1.0, 2.0), flip=True)
    sure = torch.tensor([900.0, -900.0, 0.0]).view(1, 3, 1, 1)
    found = views.averaged(lambda x: sure.expand(1, 3, *x.shape[-2:]), of)(PICTURE[..., :1, :1])
    assert found.isfinite().all()
    assert torch.equal(found.softmax(1), sure.softmax(1))
    one = task("binary", 1)
    found = views.averaged(lambda x: sure[:, :1].expand(1, 1, *x.shape[-2:]), one)(PICTURE)
    assert torch.equal(found.sigmoid(), torch.ones(1, 1, 21, 30))


@pytest.mark.parametrize(("key", "count"), [("regression", 1), ("keypoints", 3)])
def test_tasks_with_a_scale_of_their_own(key, count):
    with pytest.raises(InputError, match=rf"scales=0.5,1: does not suit task '{key}', since"):
        Views((0.5, 1.0)).averaged(network(count), task(key, count))
    assert TTA.suited(task(key, count)) == Views(flip=True)


def test_the_usual_views_are_those_that_the_option_stands_for():
    assert TTA.suited(task("multiclass", 3)) == Views(read_scales("0.75,1,1.25"), flip=True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "must be numbers with commas"),
        ("1;2", "must be numbers with commas"),
        ("1,1.0", "has a number twice"),
        ("0", "must be from 0.1 to 8"),
        ("nan", "must be from 0.1 to 8"),
        ("1,inf", "must be from 0.1 to 8"),
        (",".join(str(1 + i / 10) for i in range(17)), "must be 1 to 16 numbers"),
    ],
)
def test_what_are_no_scales(text, told):
    with pytest.raises(InputError, match=told):
        Views(read_scales(text))


def test_prediction_takes_the_same_views():
    from pixelwise.networks.factory import create_model

    torch.manual_seed(0)
    model = create_model("fcn", "test_resnet", num_classes=3).eval()
    raw = (255 * PICTURE[0]).to(torch.uint8)
    views = Views((0.75, 1.0), flip=True)
    with torch.no_grad():
        seen = (raw[None] / 255 - 0.5) / 0.25
        expected = views.averaged(model, model.task)(seen).argmax(1)[0]
    assert torch.equal(predict_answer(model, raw, views=views), expected)
