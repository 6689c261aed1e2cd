"""Losses, answers and scores of values against their equations."""

import math

import numpy as np
import pytest
import tifffile
import torch
from torch import Tensor

from pixelwise import pictures
from pixelwise.data.georeference import geo_tags, values_tiff
from pixelwise.errors import InputError
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import available
from pixelwise.tasks.base import LossChoice
from pixelwise.tasks.regression.losses import LOSSES, log_softplus
from pixelwise.tasks.regression.task import Regression

NAN = float("nan")


def task(count=1, **options):
    names = ("depth", "height")[:count]
    config = ModelConfig(
        "fcn", "test_resnet", count, task="regression", names=names, task_options=options
    )
    return Regression(config)


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_follow_their_equations(name):
    rng = np.random.default_rng(0)
    logits, truth = rng.normal(size=(3, 1, 4, 5)), rng.uniform(0.5, 9, (3, 1, 4, 5))
    truth[0, 0, 0, 0], truth[1] = NAN, NAN
    mean, std = 4.0, 2.5
    values = std * softplus(logits + mean / std)
    known = np.isfinite(truth)
    e = np.abs(values - truth)[known] / std
    d = np.where(known, np.log(values) - np.log(truth), NAN)
    pictures_known = [d[i][known[i]] for i in (0, 2)]
    wanted = {
        "l1": e.mean(),
        "huber": np.where(e < 1, e**2 / 2, e - 0.5).mean(),
        "l2": (e**2).mean(),
        "log": np.nanmean(np.abs(d)),
        "scale_invariant_log": np.mean([(x**2).mean() - x.mean() ** 2 / 2 for x in pictures_known]),
    }[name]
    loss = task(positive=True, mean=(mean,), std=(std,)).loss(LossChoice(name))
    found = loss(torch.from_numpy(logits), torch.from_numpy(truth))
    assert found.item() == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_unknown_pixels_give_no_loss_and_no_gradient(name, share):
    torch.manual_seed(0)
    logits = (30 * torch.randn(2, 2, 6, 6)).requires_grad_()
    truth = torch.rand(2, 2, 6, 6) + 0.1
    unknown = torch.rand(truth.shape) >= share
    loss = task(2, positive=True).loss(LossChoice(name))(logits, truth.masked_fill(unknown, NAN))
    loss.backward()
    assert isinstance(logits.grad, Tensor)
    assert logits.grad.isfinite().all()
    assert not logits.grad[unknown].any()
    assert logits.grad[~unknown].all()
    assert loss.item() == 0 if share == 0 else loss.item() > 0


def test_a_common_factor_counts_half_in_the_scale_invariant_loss():
    truth = torch.rand(1, 1, 8, 8, dtype=torch.float64) + 1
    logits = (truth * 3).expm1().log()  # softplus gives 3 times the truth
    loss = task(positive=True).loss(LossChoice("scale_invariant_log"))(logits, truth)
    assert loss.item() == pytest.approx(math.log(3) ** 2 / 2, rel=1e-9)


def test_logarithms_of_softplus_far_below_zero():
    x = torch.tensor([-200.0, -15.1, -14.9, -1.0, 0.0, 40.0], requires_grad=True)
    found = log_softplus(x)
    wide = x.detach().double()
    near = torch.where(wide < -50, wide, torch.nn.functional.softplus(wide, threshold=60).log())
    assert torch.allclose(found.detach().double(), near, rtol=1e-5)
    found.sum().backward()
    assert isinstance(x.grad, Tensor)
    assert x.grad[:2].tolist() == [1.0, 1.0]


def test_values_are_in_the_units_of_the_data():
    logits = torch.tensor([[[[-2.0, 0.0]], [[1.0, 2.0]]]])
    plain = task(2, mean=(10.0, -1.0), std=(2.0, 0.5)).answer(logits)
    assert plain.tolist() == [[[[6.0, 10.0]], [[-0.5, 0.0]]]]
    above = task(1, mean=(0.1,), std=(0.2,), positive=True).answer(torch.full((1, 1, 1, 1), -9.0))
    assert 0 < above.item() < 1e-3


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("log", {"positive": True, "lowest": (-3.0,)}, "depth goes down to -3"),
        ("scale_invariant_log", {"positive": True, "lowest": (0.0,)}, "depth goes down to 0"),
        ("log", {}, "positive: true"),
        ("cross_entropy", {}, "l1, huber"),
    ],
)
def test_losses_that_do_not_fit_are_refused(name, options, told):
    with pytest.raises(InputError, match=told):
        task(**options).loss(LossChoice(name))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"men": (1.0,)}, "mean"),
        ({"mean": (1.0, 2.0)}, "one per band, 1"),
        ({"std": (0.0,)}, "above 0"),
        ({"std": 1.0}, "one per band"),
        ({"positive": "yes"}, "true or false"),
        ({"quantiles": ((1.0, 2.0),)}, "must be 11"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, told):
    with pytest.raises(InputError, match=told):
        task(**options)


def scored(truth, answer, **options):
    scorer = task(len(truth), **options).scorer()
    for i in range(truth.shape[1]):  # picture by picture
        scorer.update(torch.from_numpy(answer[:, i]), torch.from_numpy(truth[:, i]))
    return scorer.result()


def test_scores_follow_their_equations():
    rng = np.random.default_rng(1)
    truth = rng.uniform(1, 5, (1, 3, 6, 7)).astype(np.float32)
    answer = (truth + rng.normal(0, 1, truth.shape)).astype(np.float32)
    truth[0, 0, :2] = NAN
    quantiles = (tuple(np.linspace(1, 5, 11)),)
    result = scored(truth, answer, quantiles=quantiles, units=("m",))
    known = np.isfinite(truth)
    t, p = truth[known].astype(float), answer[known].astype(float)
    ratio = np.maximum(p / t, t / p)
    numbers = result.numbers()
    assert numbers == {
        "mae": pytest.approx(np.abs(p - t).mean()),
        "rmse": pytest.approx(np.sqrt(((p - t) ** 2).mean())),
        "bias": pytest.approx((p - t).mean()),
        "relative": pytest.approx((np.abs(p - t) / t).mean()),
        "within": pytest.approx(((ratio < 1.25) & (p > 0)).mean()),
    }
    assert result.best == -numbers["mae"]
    ranges = result.summary()["bias_by_range"]["depth"]
    assert sum(count for _, _, count, _ in ranges) == known.sum()
    inside = (t >= quantiles[0][3]) & (t < quantiles[0][4])
    assert ranges[3][2:] == [inside.sum(), pytest.approx((p - t)[inside].mean())]
    assert (ranges[0][0], ranges[-1][1]) == (None, None)
    assert "m" in result.line()
    assert {"bands.csv", "bias.csv", "bias.png"} == set(result.files())


def test_ratios_are_not_told_of_values_that_are_not_above_zero():
    truth = np.array([[[[1.0, 0.0]]]], np.float32)
    numbers = scored(truth, truth + 1).numbers()
    assert (numbers["relative"], numbers["within"]) == (None, None)
    assert "none" in scored(truth, truth).table()


def test_several_bands_count_alike():
    truth = np.stack([np.zeros((1, 2, 2)), np.zeros((1, 2, 2))]).astype(np.float32)
    truth[1, 0, 0] = NAN
    answer = truth + np.array([1.0, 300.0], np.float32)[:, None, None, None]
    result = scored(truth, answer, std=(2.0, 100.0))
    assert result.best == -(0.5 + 3.0) / 2
    assert result.numbers()["mae_height"] == 300


def test_without_a_known_pixel_there_is_no_score():
    truth = np.full((1, 1, 2, 2), NAN, np.float32)
    with pytest.raises(InputError, match="none is known"):
        scored(truth, np.zeros_like(truth))


def test_a_network_that_says_the_mean_is_told():
    truth = np.random.default_rng(2).random((1, 2, 9, 9), np.float32)
    flat = np.full_like(truth, truth.mean())
    assert "hardly nearer" in scored(truth, flat).warning()
    assert scored(truth, truth * 0.5 + flat * 0.5).warning() is None


def test_files_hold_the_values_where_the_picture_lies(tmp_path):
    place = [
        (33550, 12, 3, (0.5, 0.5, 0.0), True),
        (33922, 12, 6, (0.0, 0.0, 0.0, 1000.0, 2000.0, 0.0), True),
        (34735, 3, 8, (1, 1, 0, 1, 3072, 0, 1, 32632), True),
        (34737, 2, 0, "somewhere|", True),
    ]
    source = tmp_path / "a.tif"
    tifffile.imwrite(source, np.zeros((4, 6, 3), np.uint8), photometric="rgb", extratags=place)
    values = torch.arange(48.0).view(2, 4, 6)
    missing = torch.zeros(4, 6, dtype=torch.bool)
    missing[1, 2] = True
    image = np.zeros((4, 6, 3), np.uint8)
    task(2, units=("m", "")).write(tmp_path, "out", image, values, missing, source)
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        page = file.pages[0]
        found = file.asarray()
        for code, _, _, value, _ in place:
            assert page.tags[code].value == value
        assert page.tags[42113].value == "nan"
    assert found.dtype == np.float32
    assert np.array_equal(np.isnan(found), missing.expand(2, 4, 6).numpy())
    assert np.array_equal(found[:, ~missing], values[:, ~missing].numpy())
    assert (tmp_path / "out_values.png").stat().st_size > 1000


def test_other_pictures_have_no_place(tmp_path):
    (tmp_path / "a.png").write_bytes(pictures.png(np.zeros((4, 6, 3), np.uint8)))
    assert geo_tags(tmp_path / "a.png") == ()
    turned = values_tiff(np.zeros((1, 4, 6), np.float32), [(274, 3, 1, 6, True)])
    (tmp_path / "b.tif").write_bytes(turned)
    assert geo_tags(tmp_path / "b.tif") == ()


def test_colours_rise_with_the_values_and_gaps_are_striped():
    values = np.array([[0.0, 5.0, 10.0, 99.0, NAN]])
    row = pictures.shaded(values, (0.0, 10.0))[0].astype(int)
    lightness = row.sum(axis=1)
    assert lightness[0] < lightness[1] < lightness[2]
    assert (row[2] == row[3]).all()
    assert len(set(row[4].tolist())) == 1  # grey or white
    bar = pictures.colour_bar((0.0, 10.0), "depth, m", 200)
    assert (bar[5, 5] > bar[-5, 5]).any()
    assert bar.shape[0] == 200


@pytest.mark.parametrize("arch", available())
def test_every_network_learns_values(arch):
    torch.manual_seed(0)
    model = create_model(arch, "test_resnet", num_classes=2, task="regression")
    truth = torch.rand(2, 2, 64, 96)
    truth[:, 0, :9] = NAN
    outputs = model.with_auxiliary(torch.randn(2, 3, 64, 96))
    loss = model.task.loss(LossChoice(preferred=model.decoder.loss))
    total = sum(loss(o, truth) for o in (outputs.logits, *outputs.auxiliary.values()))
    total.backward()
    assert total.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
    assert model.task.answer(outputs.logits).shape == (2, 2, 64, 96)
