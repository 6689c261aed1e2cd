"""What pictures add to the scores of each task sums up to the scores themselves."""

import pytest
import torch

from pixelwise.networks.config import ModelConfig
from pixelwise.tasks.keypoints.crops import PointTarget
from pixelwise.tasks.registry import task_of


def scorer_of(key, count, **options):
    names = tuple("abc"[:count])
    config = ModelConfig("fcn", "x", count, task=key, names=names, task_options=options)
    return task_of(key, config).scorer()


def fed(scorer, answers, targets):
    for number, (answer, target) in enumerate(zip(answers, targets, strict=True)):
        scorer.look(f"p{number}", torch.empty(0), target)
        scorer.update(answer, target)
    return scorer.result()


@pytest.mark.parametrize("bands", [1, 2])
@pytest.mark.parametrize("low", [0.5, -1.0])
def test_values(bands, low):
    torch.manual_seed(0)
    truth = [low + torch.rand(bands, 5, 6) for _ in range(4)]
    truth[1][:, :3] = torch.nan
    result = fed(
        scorer_of("regression", bands, std=tuple(1.0 + i for i in range(bands))),
        [one.nan_to_num() + 0.3 * torch.randn(bands, 5, 6) for one in truth],
        truth,
    )
    found, numbers = result.tallies(), result.numbers()
    assert len(found.pictures) == 4
    assert found.counted[1] == 12 * bands
    for kind, value in zip(found.kinds, found.scores(), strict=True):
        assert numbers[kind.name] == pytest.approx(value)
    told = [kind.name for kind in found.kinds if kind.name.startswith("relative")]
    assert len(told) == (bands if low > 0 else 0)
    assert all(low_ <= high for low_, high in found.intervals())


@pytest.mark.parametrize("thresholds", [0.5, (0.3, 0.62), "auto"])
def test_labels(thresholds):
    torch.manual_seed(0)
    truth = [torch.randint(0, 2, (2, 6, 7)) for _ in range(4)]
    truth[2][0, :2] = 255
    result = fed(
        scorer_of("multilabel", 2, thresholds=thresholds),
        [(one.clamp(max=1) * 0.4 + 0.6 * torch.rand(2, 6, 7)) for one in truth],
        truth,
    )
    found, numbers = result.tallies(), result.numbers()
    for kind, value in zip(found.kinds, found.scores(), strict=True):
        assert numbers[kind.name] == pytest.approx(value)


def test_points_of_a_picture_stay_together():
    torch.manual_seed(0)
    scorer = scorer_of("keypoints", 3, sigmas=(0.1, 0.1, 0.1), pck=("a", "b", 0.5))
    matrix = torch.eye(2, 3).double().numpy()
    for number in range(5):
        points = 20 * torch.rand(3, 2).double()
        visible = torch.tensor([2.0, 2.0, float(number % 2)]).double()
        target = PointTarget(points, visible, matrix, 400.0, (0.0, 0.0, 20.0, 20.0)).packed()
        answer = torch.cat([points + 4 * torch.randn(3, 2), torch.ones(3, 1)], dim=1)
        if number == 1:
            answer[0, :2] = torch.nan
        scorer.look(f"p{number // 2}", torch.empty(0), target)
        scorer.update(answer, target)
    result = scorer.result()
    found, numbers = result.tallies(), result.numbers()
    assert found.pictures == ("p0", "p1", "p2")
    assert found.counted.tolist() == [5, 5, 2]
    scores = {kind.name: value for kind, value in zip(found.kinds, found.scores(), strict=True)}
    for name in ("mean_error", "within_5", "oks", "PCK@0.5 of a to b"):
        assert scores[name] == pytest.approx(numbers[name]), name
    assert not found.kinds[0].larger


@pytest.mark.parametrize("key", ["regression", "multilabel"])
def test_the_last_picture_is_told_and_training_needs_no_names(key):
    scorer = scorer_of(key, 1)
    target = torch.ones(1, 2, 2, dtype=torch.int64 if key == "multilabel" else torch.float32)
    scorer.update(torch.full((1, 2, 2), 0.75), target)
    assert scorer.last() == pytest.approx(1.0 if key == "multilabel" else -0.25)
    assert scorer.result().tallies() is None
    unknown = torch.full_like(target, 255) if key == "multilabel" else target * torch.nan
    scorer.update(torch.full((1, 2, 2), 0.75), unknown)
    assert scorer.last() is None
