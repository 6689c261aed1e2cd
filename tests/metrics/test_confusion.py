"""The confusion matrix: a worked example, brute force, and what does not count."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.errors import InputError
from pixelwise.metrics import Confusion


def test_worked_example():
    mask = torch.tensor([[0, 0, 1], [1, 1, 255]])
    prediction = torch.tensor([[0, 1, 1], [1, 2, 0]])
    confusion = Confusion(4)
    confusion.update(prediction, mask)
    assert confusion.matrix.tolist() == [[1, 1, 0, 0], [0, 2, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    scores = confusion.scores()
    assert scores.iou == (1 / 2, 2 / 4, None, None)
    assert scores.miou == pytest.approx(0.5)
    assert scores.accuracy == pytest.approx(3 / 5)
    assert scores.pixels == (2, 3, 0, 0)


def test_never_right_is_zero_and_absent_is_none():
    confusion = Confusion(3)
    confusion.update(torch.tensor([[1, 1]]), torch.tensor([[0, 1]]))
    assert confusion.scores().iou == (0.0, 0.5, None)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 6), ignore_index=st.sampled_from([255, 6, 300]))
def test_equals_counting_one_by_one(seed, k, ignore_index):
    generator = torch.Generator().manual_seed(seed)
    prediction = torch.randint(0, k, (2, 5, 4), generator=generator)
    mask = torch.randint(0, k + 1, (2, 5, 4), generator=generator)
    mask[mask == k] = ignore_index
    mask[0, 0, 0] = 0
    confusion = Confusion(k, ignore_index)
    confusion.update(prediction, mask)
    pairs = list(zip(mask.flatten().tolist(), prediction.flatten().tolist(), strict=True))
    for truth in range(k):
        for guess in range(k):
            assert confusion.matrix[truth, guess] == pairs.count((truth, guess))
    scores = confusion.scores()
    pairs = [(t, p) for t, p in pairs if t != ignore_index]
    for c in range(k):
        both = sum(t == c and p == c for t, p in pairs)
        either = sum(t == c or p == c for t, p in pairs)
        present = any(t == c for t, _ in pairs)
        assert scores.iou[c] == (pytest.approx(both / either) if present else None)
    assert scores.accuracy == pytest.approx(sum(t == p for t, p in pairs) / len(pairs))


def test_parts_add_up():
    torch.manual_seed(0)
    prediction, mask = torch.randint(0, 3, (2, 4, 6, 6))
    whole, first, second = Confusion(3), Confusion(3), Confusion(3)
    whole.update(prediction, mask)
    first.update(prediction[:1], mask[:1])
    for one in range(1, 4):
        second.update(prediction[one], mask[one])
    total = first + second
    assert torch.equal(total.matrix, whole.matrix)
    assert first.matrix.sum() == 36
    assert total.scores() == whole.scores()


def test_faults():
    confusion = Confusion(3)
    with pytest.raises(InputError, match="no pixel was counted"):
        confusion.scores()
    with pytest.raises(InputError, match=r"num_classes=3: the prediction has 3..3"):
        confusion.update(torch.full((2, 2), 3), torch.zeros(2, 2, dtype=torch.int64))
    with pytest.raises(InputError, match=r"the mask 7..7"):
        confusion.update(torch.zeros(2, 2, dtype=torch.int64), torch.full((2, 2), 7))
    with pytest.raises(InputError, match="to add up"):
        confusion + Confusion(4)
    with pytest.raises(InputError, match="num_classes"):
        Confusion(0)
    assert confusion.matrix.sum() == 0


def test_precision_recall_and_f1():
    confusion = Confusion(4)
    confusion.update(torch.tensor([[0, 1, 1, 1, 2, 2]]), torch.tensor([[0, 0, 1, 1, 1, 3]]))
    rates = confusion.rates()
    assert rates.precision == (1.0, 2 / 3, 0.0, None)
    assert rates.recall == (1 / 2, 2 / 3, None, 0.0)
    assert rates.f1 == (2 / 3, 2 / 3, None, 0.0)
