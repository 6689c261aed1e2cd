"""Losses: equal to torch's on the pixels that count, and never NaN."""

import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.losses import LOSSES, class_weights_from_counts, loss_for, presence_loss
from pixelwise.losses.kinds import KINDS


@pytest.fixture
def batch():
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 5, 6, requires_grad=True)
    mask = torch.randint(0, 4, (2, 5, 6))
    mask[0, :2] = 255
    mask[1, 3, 4] = 255
    return logits, mask


def counted(logits, mask):
    """Only the pixels that count, as rows."""
    keep = mask != 255
    return logits.permute(0, 2, 3, 1)[keep], mask[keep]


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 0.0, 2.0, 1.0])])
def test_multiclass_equals_cross_entropy_of_the_counted_pixels(batch, weights):
    logits, mask = batch
    loss = loss_for("multiclass", class_weights=weights)(logits, mask)
    rows, labels = counted(logits, mask)
    expected = F.cross_entropy(rows, labels, weight=weights)
    torch.testing.assert_close(loss, expected)
    mine, theirs = (torch.autograd.grad(x, logits)[0] for x in (loss, expected))
    torch.testing.assert_close(mine, theirs)
    assert (mine.permute(0, 2, 3, 1)[mask == 255] == 0).all()


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 3.0])])
def test_binary_equals_binary_cross_entropy_of_the_counted_pixels(batch, weights):
    logits, mask = batch[0][:, :1], batch[1]
    mask = torch.where(mask == 255, 255, mask % 2)
    loss = loss_for("binary", class_weights=weights)(logits, mask)
    rows, labels = counted(logits, mask)
    each = F.binary_cross_entropy_with_logits(rows[:, 0], labels.float(), reduction="none")
    share = torch.ones_like(each) if weights is None else weights[labels]
    torch.testing.assert_close(loss, (share * each).sum() / share.sum())


def test_binary_equals_two_classes():
    """One logit z is the two logits (0, z)."""
    torch.manual_seed(1)
    one = torch.randn(1, 1, 4, 4)
    mask = torch.randint(0, 2, (1, 4, 4))
    two = torch.cat([torch.zeros_like(one), one], dim=1)
    torch.testing.assert_close(loss_for("binary")(one, mask), loss_for("multiclass")(two, mask))


@pytest.mark.parametrize(("task", "k"), [("multiclass", 3), ("binary", 1)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", LOSSES)
def test_nothing_counted_is_zero_with_zero_gradient(task, k, weighted, name):
    logits = torch.randn(1, k, 3, 3, requires_grad=True)
    if weighted and not KINDS[name].weighted:
        name += "+ce"
    weights = torch.ones(3 if k == 3 else 2) if weighted else None
    loss = loss_for(task, loss=name, class_weights=weights)(logits, torch.full((1, 3, 3), 255))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize(("task", "k"), [("multiclass", 3), ("binary", 1)])
def test_only_classes_without_weight_is_zero(task, k):
    logits = torch.randn(1, k, 3, 3, requires_grad=True)
    weights = torch.tensor([0.0, 1.0, 1.0][: max(k, 2)])
    mask = torch.zeros(1, 3, 3, dtype=torch.int64)
    loss = loss_for(task, class_weights=weights)(logits, mask)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_another_ignore_index(batch):
    logits, mask = batch
    other = torch.where(mask == 255, 9, mask)
    torch.testing.assert_close(
        loss_for("multiclass", ignore_index=9)(logits, other), loss_for("multiclass")(logits, mask)
    )


def test_half_precision_logits_give_a_float_loss(batch):
    logits, mask = batch
    loss = loss_for("multiclass")(logits.bfloat16(), mask)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(loss_for("multiclass")(logits, mask).item(), rel=1e-2)


def test_faults():
    with pytest.raises(InputError, match="did you mean 'multiclass'"):
        loss_for("multiclas")
    with pytest.raises(InputError, match="loss='ohm': unknown loss 'ohm'; did you mean 'ohem'"):
        loss_for("multiclass", loss="ohm")
    with pytest.raises(InputError, match=r"threshold=0\.0: must be from"):
        loss_for("multiclass", loss="ohem(threshold=0.0)")
    with pytest.raises(InputError, match="must be one finite number"):
        loss_for("multiclass", class_weights=torch.tensor([1.0, -1.0]))
    with pytest.raises(InputError, match="must be two for task 'binary'"):
        loss_for("binary", class_weights=torch.ones(3))
    with pytest.raises(InputError, match="must be pixels per class"):
        class_weights_from_counts((0, 0))


def test_rare_classes_weigh_more_within_bounds():
    weights = class_weights_from_counts((100, 60, 0, 30, 10))
    shares = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    assert weights[2] == 0
    found = weights[[0, 1, 3, 4]].double()
    torch.testing.assert_close(found, 1 / (1.02 + shares).log(), rtol=1e-6, atol=0)
    assert class_weights_from_counts((1, 0)).tolist() == pytest.approx([1.4223, 0], abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_presence_is_of_the_classes_that_count(dtype):
    torch.manual_seed(0)
    logits = torch.randn(2, 4).to(dtype)
    mask = torch.tensor([[[0, 2, 255], [2, 9, -1]], [[255, 255, 255], [3, 3, 3]]])
    wanted = torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 1]])
    exact = F.binary_cross_entropy_with_logits(logits.double(), wanted.double())
    found = presence_loss(logits, mask)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(found.double(), exact)
    other = presence_loss(logits, torch.where(mask == 2, 7, mask), ignore_index=7)
    wanted[0, 2] = 0
    exact = F.binary_cross_entropy_with_logits(logits.double(), wanted.double())
    torch.testing.assert_close(other.double(), exact)


def test_presence_of_a_binary_task_is_that_of_class_1():
    logits = torch.tensor([[0.5], [-2.0]])
    mask = torch.tensor([[[0, 1]], [[0, 255]]])
    exact = F.binary_cross_entropy_with_logits(logits, torch.tensor([[1.0], [0.0]]))
    torch.testing.assert_close(presence_loss(logits, mask), exact)


@pytest.mark.parametrize("threshold", [0.7, 0.2, 1e-6])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 3.0, 2.0, 1.0])])
def test_ohem_takes_the_hard_pixels_or_a_sixteenth(batch, threshold, weights):
    logits, mask = batch
    loss = loss_for("multiclass", loss=f"ohem(threshold={threshold})", class_weights=weights)
    rows, labels = counted(logits, mask)
    each = F.cross_entropy(rows, labels, reduction="none")
    probability = rows.softmax(1).gather(1, labels[:, None])[:, 0]
    hard = probability < threshold
    if hard.sum() < len(each) // 16:
        hard = torch.zeros_like(hard)
        hard[each.argsort(descending=True)[: len(each) // 16]] = True
    assert hard.any()
    share = hard.float() if weights is None else hard * weights[labels]
    expected = (each * share).sum() / share.sum()
    found = loss(logits, mask)
    torch.testing.assert_close(found, expected)
    mine, theirs = (torch.autograd.grad(x, logits)[0] for x in (found, expected))
    torch.testing.assert_close(mine, theirs)


def test_ohem_of_two_classes_is_that_of_a_binary_task():
    torch.manual_seed(1)
    one, mask = torch.randn(1, 1, 8, 8), torch.randint(0, 2, (1, 8, 8))
    two = torch.cat([torch.zeros_like(one), one], dim=1)
    binary, multiclass = (loss_for(task, loss="ohem") for task in ("binary", "multiclass"))
    torch.testing.assert_close(binary(one, mask), multiclass(two, mask))
    assert binary(one, mask) > loss_for("binary")(one, mask)


def test_ohem_of_few_easy_pixels_is_zero():
    logits = torch.tensor([9.0, -9.0]).view(1, 2, 1, 1).expand(1, 2, 3, 5).clone().requires_grad_()
    loss = loss_for("multiclass", loss="ohem")(logits, torch.zeros(1, 3, 5, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 3.0, 2.0, 1.0])])
def test_smoothing_equals_torch(batch, weights):
    logits, mask = batch
    loss = loss_for("multiclass", loss="ce(smoothing=0.2)", class_weights=weights)(logits, mask)
    expected = F.cross_entropy(logits, mask, weight=weights, ignore_index=255, label_smoothing=0.2)
    torch.testing.assert_close(loss, expected)
    mine, theirs = (torch.autograd.grad(x, logits)[0] for x in (loss, expected))
    torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("name", ["ce", "ce(smoothing=0.2)", "focal(gamma=1.5)", "ohem"])
@pytest.mark.parametrize("weights", [None, torch.tensor([0.5, 3.0])])
def test_one_logit_is_two_classes(name, weights):
    torch.manual_seed(1)
    one, mask = torch.randn(2, 1, 6, 5), torch.randint(0, 2, (2, 6, 5))
    mask[0, 0] = 255
    two = torch.cat([torch.zeros_like(one), one], dim=1)
    binary, multiclass = (
        loss_for(task, loss=name, class_weights=weights) for task in ("binary", "multiclass")
    )
    torch.testing.assert_close(binary(one, mask), multiclass(two, mask))
