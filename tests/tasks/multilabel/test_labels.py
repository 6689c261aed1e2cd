"""Losses and scores of labels against plain sums, and what the task makes of logits."""

import numpy as np
import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.networks.config import ModelConfig
from pixelwise.pictures import label_overlay
from pixelwise.tasks.base import LossChoice
from pixelwise.tasks.multilabel.results import LabelScorer
from pixelwise.tasks.multilabel.scores import GRID
from pixelwise.tasks.multilabel.task import Multilabel


def task(count=3, **options):
    names = tuple("abcdefgh"[:count])
    config = ModelConfig(
        "fcn", "test_resnet", count, task="multilabel", names=names, task_options=options
    )
    return Multilabel(config)


def batch(seed=0, count=3):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, count, 5, 6, generator=generator, dtype=torch.float64)
    truth = torch.randint(0, 2, (2, count, 5, 6), generator=generator)
    truth[torch.rand(truth.shape, generator=generator) < 0.2] = 255
    return logits, truth


DICE = "dice(smooth=1)"
LOSSES = ("ce", "focal", DICE, f"ce+{DICE}")


def by_hand(name, logits, truth, weights):
    """The sums of the module's formulas, pixel by pixel."""
    chance = 1 / (1 + np.exp(-logits.numpy()))
    y = truth.numpy()
    above = below = 0.0
    dice = []
    for label in range(logits.shape[1]):
        p, t = chance[:, label][y[:, label] != 255], y[:, label][y[:, label] != 255]
        of_truth = np.where(t == 1, p, 1 - p)
        weight = np.ones_like(p) if weights is None else weights.double().numpy()[t, label]
        each = -np.log(of_truth) * ((1 - of_truth) ** 2 if name == "focal" else 1)
        above, below = above + (weight * each).sum(), below + weight.sum()
        if len(t):
            dice.append(1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1))
    plain, overlap = above / below, np.mean(dice)
    return {"ce": plain, "focal": plain, DICE: overlap, f"ce+{DICE}": plain + overlap}[name]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_are_the_sums_of_their_formulas(name, weighted):
    logits, truth = batch()
    truth[:, 2] = 255  # nothing is known of one label
    weights = torch.tensor([[1.0, 2.0, 3.0], [4.0, 0.5, 7.0]]) if weighted else None
    if weighted and name == DICE:
        with pytest.raises(InputError, match="takes no class weights"):
            task().loss(LossChoice(name, weights=weights))
        return
    found = task().loss(LossChoice(name, weights=weights))(logits, truth)
    assert found.item() == pytest.approx(by_hand(name, logits, truth, weights), abs=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_what_is_ignored_has_neither_loss_nor_gradient(name):
    logits, truth = batch()
    logits.requires_grad_()
    loss = task().loss(LossChoice(name))
    loss(logits, truth).backward()
    assert (logits.grad[truth == 255] == 0).all()
    assert (logits.grad[truth != 255] != 0).all()
    nothing = torch.full_like(truth, 255)
    assert loss(logits, nothing).item() == 0
    far = torch.full((1, 1, 2, 2), -200.0, requires_grad=True)
    loss(far, torch.ones(1, 1, 2, 2, dtype=torch.int64)).backward()
    assert far.grad.isfinite().all()


def test_what_occurs_is_counted_where_it_is_known():
    target = torch.zeros(1, 3, 2, 2, dtype=torch.int64)
    target[0, 0, 1, 1], target[0, 0, 0, 0], target[0, 2, 0, 0] = 1, 255, 255
    logits = torch.tensor([[1.0, 2.0, 50.0]])
    found = task().presence_loss(logits, target)
    wanted = (np.log1p(np.exp(-1.0)) + np.log1p(np.exp(2.0))) / 2  # nothing is known of the third
    assert found.item() == pytest.approx(wanted)


def test_scores_over_many_pictures_are_exact():
    generator = torch.Generator().manual_seed(1)
    thresholds = (0.5, 0.3, 0.731)
    scorer = LabelScorer(("a", "b", "c"), thresholds)
    answers, truths = [], []
    for side in (3, 8, 1):
        answer = torch.rand(3, side, 7, generator=generator)
        truth = torch.randint(0, 2, (3, side, 7), generator=generator)
        truth[torch.rand(truth.shape, generator=generator) < 0.3] = 255
        answer[0, 0, 0], answer[1, 0, 0], truth[:2, 0, 0] = 0.5, 0.3, 1  # exactly at it: there
        scorer.update(answer, truth)
        answers.append(answer.flatten(1))
        truths.append(truth.flatten(1))
    answer, truth = torch.cat(answers, 1).numpy(), torch.cat(truths, 1).numpy()
    result = scorer.result()
    ious = []
    for i, (threshold, found) in enumerate(zip(thresholds, result.labels.values(), strict=True)):
        known = truth[i] != 255
        said, true = (answer[i] >= np.float32(threshold))[known], truth[i][known] == 1
        both = (said & true).sum()
        assert found.iou == both / (said | true).sum()
        assert found.precision == both / said.sum()
        assert found.recall == both / true.sum()
        assert found.f1 == pytest.approx(2 * both / (said.sum() + true.sum()))
        at = [((answer[i] >= np.float32(e))[known] & true).sum() for e in GRID]
        either = [((answer[i] >= np.float32(e))[known] | true).sum() for e in GRID]
        assert found.by_threshold == tuple(a / b for a, b in zip(at, either, strict=True))
        ious.append(found.iou)
    assert result.best == pytest.approx(np.mean(ious))
    assert result.learnt() == {}


def test_the_chosen_threshold_has_the_largest_iou():
    scorer = LabelScorer(("a", "b"), None)
    answer = torch.tensor([[[0.1, 0.2, 0.32, 0.34]], [[0.1, 0.2, 0.3, 0.4]]])
    scorer.update(answer, torch.tensor([[[0, 0, 1, 1]], [[0, 0, 0, 0]]]))
    result = scorer.result()
    assert result.learnt() == {"thresholds": (0.3, 0.5)}  # nearest to 0.5 of the best
    assert result.labels["a"].iou == 1
    assert result.labels["b"].iou is None
    assert result.best == 1
    assert "chosen on these pictures" in result.table()
    assert result.numbers()["iou_b"] is None


def test_pictures_without_any_label_are_told_and_unknown_ones_refused():
    scorer = LabelScorer(("a",), None)
    scorer.update(torch.rand(1, 2, 2), torch.full((1, 2, 2), 255))
    with pytest.raises(InputError, match="no pixel was counted"):
        scorer.result()
    scorer.update(torch.rand(1, 2, 2), torch.zeros(1, 2, 2, dtype=torch.int64))
    result = scorer.result()  # a few pictures of val may have none
    assert (result.best, result.numbers()["miou"]) == (0, None)
    assert result.line() in result.table()
    assert result.warning() is None
    assert result.learnt() == {"thresholds": (0.5,)}
    assert result.files()["thresholds.png"]


def test_a_network_that_never_says_a_label_is_warned_of():
    scorer = LabelScorer(("a", "b"), (0.5, 0.5))
    scorer.update(torch.tensor([[[0.9, 0.1]], [[0.1, 0.1]]]), torch.ones(2, 1, 2).long())
    assert "b nowhere" in scorer.result().warning()
    scorer.update(torch.ones(2, 1, 2), torch.ones(2, 1, 2).long())
    assert scorer.result().warning() is None


def test_every_label_is_on_its_own():
    logits = torch.tensor([3.0, 2.0, -1.0])[None, :, None, None]
    answer = task(thresholds=(0.5, 0.5, 0.2)).answer(logits)
    assert answer.flatten().tolist() == pytest.approx([0.9526, 0.8808, 0.2689], abs=1e-4)
    assert task(thresholds=(0.5, 0.9, 0.2)).labels(answer[0]).flatten().tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "options",
    [{"thresholds": 0}, {"thresholds": (0.5,)}, {"thresholds": "best"}, {"tresholds": 0.5}],
)
def test_options_that_cannot_be_are_refused(options):
    with pytest.raises(InputError, match="thresholds"):
        task(**options)


def test_overlapping_labels_take_turns_in_an_overlay():
    labels = np.zeros((3, 24, 24), bool)
    labels[0, 2:22, 2:22] = labels[1, 2:22, 2:22] = True
    image = np.zeros((24, 24, 3), np.uint8)
    shown = label_overlay(image, labels, ((200, 0, 0), (0, 200, 0), (0, 0, 200)))
    inner = {tuple(colour) for colour in shown[5:19, 5:19].reshape(-1, 3).tolist()}
    assert inner == {(110, 0, 0), (0, 110, 0)}
    assert (shown[0] == 0).all()
