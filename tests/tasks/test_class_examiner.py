"""What `evaluate` counts beside the matrix: the same in strips, and nothing that is ignored."""

import csv
import io

import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.networks.config import ModelConfig
from pixelwise.tasks import class_examiner
from pixelwise.tasks.registry import task_of


def task(count=3, key="multiclass", **options):
    names = tuple("abc"[: max(2, count)])
    return task_of(key, ModelConfig("fcn", "x", count, task=key, names=names, task_options=options))


def drawn(of, pictures=4):
    """Names, logits and masks of a few pictures of several sizes."""
    torch.manual_seed(0)
    for i in range(pictures):
        size = (7 + i, 9)
        mask = torch.randint(0, of.count, size)
        mask[0] = 255
        yield f"picture {i}", 2 * torch.randn(of.outputs, *size), mask


def examined(of, boundary=None, **given):
    scorer = of.examiner(boundary=boundary)
    for name, logits, mask in drawn(of, **given):
        scorer.look(name, logits, mask)
        scorer.update(of.answer(logits[None])[0], mask)
    return scorer.result()


def rows(found, name):
    return list(csv.DictReader(io.StringIO(found.files()[name].decode())))


def test_the_matrix_is_that_of_the_scorer_and_strips_change_nothing(monkeypatch):
    of = task()
    plain = of.scorer()
    for _, logits, mask in drawn(of):
        plain.update(of.answer(logits[None])[0], mask)
    found = examined(of, boundary=1)
    assert torch.equal(found.confusion.matrix, plain.confusion.matrix)
    assert found.numbers() == plain.result().numbers()
    monkeypatch.setattr(class_examiner, "AT_ONCE", 1)
    strips = examined(of, boundary=1)
    assert strips.calibration_error == pytest.approx(found.calibration_error, abs=1e-6)
    assert torch.equal(strips.counts.thresholds.counts, found.counts.thresholds.counts)


def test_tables_and_files():
    found = examined(task(), boundary=1)
    assert {*found.files()} == {*task().result_files, *task().examiner_files}
    low, high = found.summary()["miou_interval"]
    assert 0 < low <= found.best <= high < 1
    text = found.table()
    for part in ("95 % interval", "tolerant F1", "calibration error (ECE)", "4 pictures"):
        assert part in text
    worst = rows(found, "pictures.csv")
    assert [row["miou"] for row in worst] == sorted(row["miou"] for row in worst)
    assert sum(int(row["truth_pixels"]) for row in worst) == int(found.confusion.matrix.sum())
    assert [row["class"] for row in rows(found, "classes.csv")] == ["a", "b", "c"]
    assert len(rows(found, "thresholds.csv")) == 3 * 99


def test_a_picture_named_twice_is_two():
    of = task()
    scorer = of.examiner()
    for _, logits, mask in drawn(of, pictures=2):
        scorer.look("same", logits, mask)
        scorer.update(of.answer(logits[None])[0], mask)
    assert [*scorer.pictures.counts] == ["same", "same (2)"]


@pytest.mark.parametrize(("key", "count"), [("multiclass", 2), ("binary", 1)])
def test_a_class_that_is_never_there(key, count):
    of = task(count, key)
    scorer = of.examiner(boundary=2)
    mask = torch.zeros(1, 1, dtype=torch.int64)
    logits = torch.full((count, 1, 1), -3.0)
    scorer.look("one", logits, mask)
    scorer.update(of.answer(logits[None])[0], mask)
    found = scorer.result()
    assert found.summary()["iou"]["b"] is None
    assert found.best_threshold is None
    assert "absent" in found.table()
    assert found.files()["thresholds.png"].startswith(b"\x89PNG")


def test_nothing_counted_is_an_input_error():
    of = task()
    scorer = of.examiner(boundary=1)
    mask = torch.full((3, 3), 255)
    scorer.look("one", torch.zeros(3, 3, 3), mask)
    scorer.update(torch.zeros(3, 3, dtype=torch.int64), mask)
    with pytest.raises(InputError, match="no pixel was counted"):
        scorer.result()


def test_the_best_threshold_is_best_where_it_is_used():
    found = examined(task(1, "binary"))
    best = found.best_threshold
    scores = {}
    for threshold in (best, 0.2, 0.5, 0.8):
        scores[threshold] = examined(task(1, "binary", threshold=threshold)).rates.f1[1]
    assert max(scores.values()) == scores[best]
    at = round(best * 1000) - 1
    assert scores[best] == pytest.approx(float(found.curves[1].f1[at]))
    assert f"at threshold {best:g}" in found.table()


def test_half_is_the_sign_of_the_logit():
    logits = torch.tensor([-1.0, -1e-6, 1e-6, 1.0]).view(1, 1, 1, 4)
    plain, half = task(1, "binary"), task(1, "binary", threshold=0.5)
    assert torch.equal(plain.answer(logits), half.answer(logits))


@pytest.mark.parametrize("value", [0, 1, -0.5, "0.5", True, float("nan"), None])
def test_what_is_no_threshold(value):
    with pytest.raises(InputError, match="must be a probability between 0 and 1"):
        task(1, "binary", threshold=value)


def test_other_options_and_other_tasks():
    with pytest.raises(InputError, match="did you mean 'threshold'"):
        task(1, "binary", treshold=0.5)
    config = ModelConfig("fcn", "x", 1, task="regression")
    with pytest.raises(InputError, match="boundary=3: is for one class per pixel"):
        task_of("regression", config).examiner(boundary=3)


@pytest.mark.parametrize("boundary", [None, 1])
def test_parts_of_several_processes_add_up(boundary):
    of, whole = task(), examined(task(), boundary=boundary)
    parts = []
    for name, logits, mask in drawn(of):
        part = of.examiner(boundary=boundary)
        part.look(name, logits, mask)
        part.update(of.answer(logits[None])[0], mask)
        parts.append(part)
    a, b, c, d = parts
    for total in (((a + b) + c) + d, (d + c) + (b + a)):
        assert total.result().summary() == whole.summary()
        assert total.result().files()["pictures.csv"] == whole.files()["pictures.csv"]
    with pytest.raises(InputError, match="picture 0: a picture counts once"):
        (a + b) + a
    first, second = of.scorer(), of.scorer()
    for scorer, (_, logits, mask) in zip((first, second), drawn(of, pictures=2), strict=True):
        scorer.update(of.answer(logits[None])[0], mask)
    both = examined(of, pictures=2)
    assert torch.equal((first + second).confusion.matrix, both.confusion.matrix)
