"""Region losses: equal to others' where they mean the same, finite everywhere else too."""

import itertools

import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.losses import LOSSES, loss_for

smp = pytest.importorskip("segmentation_models_pytorch.losses")

SIZES = [(1, 1, 1), (1, 1, 7), (2, 5, 6)]
EVERY = [
    *LOSSES,
    "ce(smoothing=0.1)",
    "focal(gamma=0)",
    "focal(gamma=0.5)",
    "focal_tversky(gamma=3)",
    "ce+0.5*dice+0.01*boundary",
]


def drawn(task, size, *, k=4, ignored=0.2):
    """Logits, and a mask in which the last class never occurs."""
    torch.manual_seed(sum(size))
    n, h, w = size
    k = 1 if task == "binary" else k
    labels = (n, k, h, w) if task == "multilabel" else (n, h, w)
    mask = torch.randint(0, 2 if task != "multiclass" else k - 1, labels)
    mask[torch.rand(labels) < ignored] = 255
    return (2 * torch.randn(n, k, h, w)).requires_grad_(), mask


def assert_equal(mine, theirs, logits):
    torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
    mine, theirs = (torch.autograd.grad(x, logits)[0] for x in (mine, theirs))
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


PEERS = {
    "dice": (smp.DiceLoss, {}),
    "dice(smooth=2)": (smp.DiceLoss, {"smooth": 1.0}),  # it halves the ratio's parts
    "tversky": (smp.TverskyLoss, {"alpha": 0.3, "beta": 0.7}),
    "focal_tversky(alpha=0.4,beta=0.6,gamma=1.25)": (
        smp.TverskyLoss,
        {"alpha": 0.4, "beta": 0.6, "gamma": 0.8},  # applied to the mean, so one class only
    ),
}


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("task", ["multiclass", "binary"])
def test_overlap_equals_smp(name, task):
    """smp divides by all classes, present or not."""
    if "focal" in name and task == "multiclass":
        pytest.skip("smp takes the power of the mean")
    peer, options = PEERS[name]
    logits, mask = drawn(task, (2, 6, 7), ignored=0)
    mine = loss_for(task, loss=name)(logits, mask)
    theirs = peer(task, **options)(logits, mask)
    classes = 1 if task == "binary" else 4 / 3
    assert_equal(mine, theirs * classes, logits)


@pytest.mark.parametrize("name", ["dice", "tversky", "focal_tversky"])
@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel"])
def test_overlap_is_the_equation(name, task):
    logits, mask = drawn(task, (2, 6, 7))
    p = logits.softmax(1) if task == "multiclass" else logits.sigmoid()
    truth = mask if task == "multilabel" else mask[:, None]
    values = range(4) if task == "multiclass" else [1] * p.shape[1]
    losses = []
    for c, value in enumerate(values):
        labels = truth[:, c] if task == "multilabel" else truth[:, 0]
        t, q = (labels[labels != 255] == value).float(), p[:, c][labels != 255]
        if t.sum() == 0:
            continue
        tp, fp, fn = (q * t).sum(), (q * (1 - t)).sum(), ((1 - q) * t).sum()
        alpha, beta = (0.5, 0.5) if name == "dice" else (0.3, 0.7)
        loss = 1 - tp / (tp + alpha * fp + beta * fn)
        losses.append(loss**0.75 if name == "focal_tversky" else loss)
    assert len(losses) == {"multiclass": 3, "binary": 1, "multilabel": 4}[task]
    assert_equal(loss_for(task, loss=name)(logits, mask), torch.stack(losses).mean(), logits)


@pytest.mark.parametrize("task", ["multiclass", "binary"])
def test_lovasz_equals_smp(task):
    logits, mask = drawn(task, (2, 6, 7))
    mine = loss_for(task, loss="lovasz")(logits, mask)
    assert_equal(mine, smp.LovaszLoss(task, ignore_index=255)(logits, mask), logits)


def test_lovasz_of_labels_is_the_mean_of_their_hinges():
    logits, mask = drawn("multilabel", (2, 6, 7))
    each = [loss_for("binary", loss="lovasz")(logits[:, c : c + 1], mask[:, c]) for c in range(4)]
    mine = loss_for("multilabel", loss="lovasz")(logits, mask)
    assert_equal(mine, torch.stack(each).mean(), logits)


def test_focal_equals_smp_for_one_logit():
    logits, mask = drawn("binary", (2, 6, 7))
    theirs = smp.FocalLoss("binary", gamma=2.0, ignore_index=255)(logits, mask)
    assert_equal(loss_for("binary", loss="focal")(logits, mask), theirs, logits)


def test_focal_of_classes_equals_kornia():
    """kornia divides by the classes too."""
    kornia = pytest.importorskip("kornia.losses")
    logits, mask = drawn("multiclass", (2, 6, 7), ignored=0)
    theirs = kornia.focal_loss(logits, mask, alpha=None, gamma=2.0, reduction="mean")
    mine = loss_for("multiclass", loss="focal")(logits, mask)
    assert_equal(mine, theirs * 4, logits)


def test_dice_equals_monai_where_every_class_occurs():
    monai = pytest.importorskip("monai.losses")
    logits, mask = drawn("multiclass", (2, 6, 7), ignored=0)
    mask[0, 0, 0] = 3
    theirs = monai.DiceLoss(
        softmax=True, to_onehot_y=True, batch=True, smooth_nr=0.0, smooth_dr=0.0
    )(logits, mask[:, None])
    assert_equal(loss_for("multiclass", loss="dice")(logits, mask), theirs, logits)


@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel"])
@pytest.mark.parametrize("name", EVERY)
def test_ignored_pixels_do_not_matter(name, task):
    logits, mask = drawn(task, (2, 5, 6))
    loss = loss_for(task, loss=name)
    ignored = (mask == 255) if task == "multilabel" else (mask == 255)[:, None]
    before = loss(logits, mask)
    after = loss(torch.where(ignored, torch.randn_like(logits) * 9, logits), mask)
    torch.testing.assert_close(before, after)
    gradient = torch.autograd.grad(before, logits)[0]
    assert gradient.abs().sum() > 0
    assert (gradient.masked_select(ignored) == 0).all()


@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel"])
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("size", SIZES)
def test_nothing_counted_is_zero_with_zero_gradient(name, task, size):
    logits, mask = drawn(task, size)
    loss = loss_for(task, loss=name)(logits, torch.full_like(mask, 255))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("size", SIZES)
def test_extreme_logits_of_half_precision(name, dtype, size):
    tasks, far = ("multiclass", "binary", "multilabel"), (0.0, 60.0, 1e4)
    for task, value, single in itertools.product(tasks, far, (False, True)):
        logits, mask = drawn(task, size)
        if single:
            mask = torch.where(mask == 255, 255, 0)
        logits = (value * logits.detach().sign()).to(dtype).requires_grad_()
        loss = loss_for(task, loss=name)(logits, mask)
        loss.backward()
        assert loss.dtype == torch.float32
        assert loss.isfinite(), (task, value, single)
        assert logits.grad.isfinite().all(), (task, value, single)
        # Beside float64 from the same logits.
        wide = logits.detach().double()
        exact = loss_for(task, loss=name)(wide, mask)
        torch.testing.assert_close(loss.double(), exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_perfect_prediction_is_a_loss_of_zero(name):
    if "smoothing" in name or "boundary" in name:
        pytest.skip("its least value is not 0")
    _, mask = drawn("multiclass", (2, 5, 6))
    where = torch.where(mask == 255, 0, mask)
    logits = 200 * torch.nn.functional.one_hot(where, 4).permute(0, 3, 1, 2).float()
    loss = loss_for("multiclass", loss=name)(logits, mask)
    assert 0 <= loss < (1e-2 if "tversky(gamma=3)" in name else 1e-4)


def test_sums_add_up():
    logits, mask = drawn("multiclass", (2, 5, 6))
    parts = {name: loss_for("multiclass", loss=name)(logits, mask) for name in ("ce", "dice")}
    found = loss_for("multiclass", loss="ce + 0.5*dice")(logits, mask)
    torch.testing.assert_close(found, parts["ce"] + 0.5 * parts["dice"])


def test_weights_are_of_pixel_losses():
    weights = torch.tensor([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(InputError, match="weighs all classes alike"):
        loss_for("multiclass", loss="dice", class_weights=weights)
    logits, mask = drawn("multiclass", (2, 5, 6))
    weighted = loss_for("multiclass", loss="ce", class_weights=weights)(logits, mask)
    plain = loss_for("multiclass", loss="dice")(logits, mask)
    found = loss_for("multiclass", loss="ce+dice", class_weights=weights)(logits, mask)
    torch.testing.assert_close(found, weighted + plain)


@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel"])
@pytest.mark.parametrize("name", EVERY)
def test_gradients_are_those_of_the_values(name, task):
    logits, mask = drawn(task, (2, 3, 4))
    loss = loss_for(task, loss=name)
    assert torch.autograd.gradcheck(
        lambda x: loss(x, mask), logits.detach().double().requires_grad_()
    )


@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel"])
@pytest.mark.parametrize("name", [name for name in EVERY if name != "boundary"])
def test_descent_finds_the_truth(name, task):
    logits, mask = drawn(task, (2, 5, 6))
    logits = (0.1 * logits.detach()).requires_grad_()
    loss = loss_for(task, loss=name)
    optimizer = torch.optim.Adam([logits], lr=0.2)
    for _ in range(100):
        optimizer.zero_grad()
        loss(logits, mask).backward()
        optimizer.step()
    answer = logits.argmax(1) if task == "multiclass" else (logits > 0).long()
    answer = answer[:, 0] if task == "binary" else answer
    assert torch.equal(answer[mask != 255], mask[mask != 255])
