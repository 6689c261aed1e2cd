import pytest
import torch
from torch import nn

from pixelwise import create_layer
from pixelwise.cost import flops, measured, parameters, predict
from pixelwise.errors import InputError


@pytest.mark.parametrize(
    ("function", "operations"),
    [
        (lambda a, v: a @ v, 40),
        (lambda a, v: torch.mv(a, v), 40),
        (lambda a, v: torch.addmv(torch.ones(4), a, v), 40),
        (lambda a, v: torch.dot(v, v), 10),
        (lambda a, v: a @ a.T, 160),
        (lambda a, v: a * v, 20),
        (lambda a, v: a.mean(1), 20),
        (lambda a, v: a.sum(), 20),
        (lambda a, v: a.relu(), 0),
    ],
)
def test_operations(function, operations):
    assert flops(function, torch.ones(4, 5), torch.ones(5)) == operations


def test_convolution_on_the_meta_device():
    layer = nn.Conv2d(3, 8, 3, padding=1, device="meta")
    image = torch.empty(2, 3, 10, 20, device="meta")
    assert flops(layer, image) == 2 * 2 * 8 * 3 * 9 * 200


def test_deformable_convolution_counts_more_than_a_plain_one():
    ops = pytest.importorskip("torchvision").ops
    x, weight, offset = torch.ones(1, 3, 5, 5), torch.ones(4, 3, 3, 3), torch.zeros(1, 18, 5, 5)
    plain = flops(lambda image: nn.functional.conv2d(image, weight, padding=1), x)
    deformed = flops(lambda image: ops.deform_conv2d(image, offset, weight, padding=1), x)
    assert deformed == plain + 8 * 3 * 9 * 25


def test_attention_is_counted():
    q = torch.ones(1, 1, 7, 4)
    count = flops(nn.functional.scaled_dot_product_attention, q, q, q)
    assert count >= 2 * 2 * 7 * 7 * 4


def test_shared_parameters_count_once():
    one = nn.Linear(3, 4)
    assert parameters(nn.Sequential(one, one)) == 16


def test_measured_counts_what_is_alive_at_once():
    before = torch.ones(1000)

    def allocate():
        one = before + 1  # 4,000 bytes
        del one
        two = before.double()  # 8,000
        view = two[10:].view(2, -1)
        three = view * 2  # 7,920
        before.add_(1)
        return three[0]

    found = measured(allocate)
    assert found.peak_bytes == 8000 + 7920
    assert torch.equal(found.result, torch.full((495,), 2.0).double())
    assert 0 < found.seconds < 10


def test_measured_counts_what_autograd_keeps():
    weight = torch.ones(1000, requires_grad=True)

    def allocate():
        loss = (weight * 2).exp().sum()  # keeps the exponential: 4,000 bytes
        return loss, torch.ones(1500)

    assert measured(allocate).peak_bytes == 4000 + 4 + 6000


def test_measured_leaves_nothing_behind_after_an_error():
    with pytest.raises(RuntimeError, match="size"):
        measured(lambda: torch.ones(2) @ torch.ones(3))
    assert measured(lambda: torch.ones(5)).peak_bytes == 20


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_measured_on_cuda():
    found = measured(lambda: torch.ones(1 << 20, device="cuda") + 1, "cuda")
    assert found.peak_bytes == 2 << 22


def test_predicted_is_what_two_convolutions_keep_alive():
    net = nn.Sequential(nn.Conv2d(2, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1))
    pixels = 4 * 30 * 20  # bytes of one channel
    assert predict(net.eval(), (1, 2, 30, 20)) == 16 * pixels  # the first, and its ReLU
    state = {name: value.clone() for name, value in net.state_dict().items()}
    # Kept: 8 and 4 channels; then the gradient of 4, and two of 8 at a time.
    assert predict(net, (1, 2, 30, 20), training=True) >= (8 + 8 + 4 + 4 + 8) * pixels
    assert not net.training
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())


def test_predicts_more_than_the_machine_has_and_devices_that_are_not_there():
    layer = nn.Conv2d(3, 3, 1).eval()
    assert predict(layer, (64, 3, 100_000, 100_000)) == 64 * 3 * 4 * 10**10
    assert predict(layer, (1, 3, 10, 10), device="cuda") == 1200
    assert predict(layer, (1, 3, 10, 10), dtype=torch.float32) == 1200
    assert predict(nn.ReLU().eval(), (1, 5)) == 20


def test_what_cannot_be_predicted_is_told(capfd):
    with pytest.raises(InputError, match="must name a shape"):
        predict(nn.ReLU())
    with pytest.raises(InputError, match=r"\(1, 4, 8, 8\).*expected input"):
        predict(nn.Conv2d(3, 3, 1), (1, 4, 8, 8))
    with pytest.raises(InputError, match=r"x=\(1, 3, 8, 8\): layer .pam. was made for 64 channels"):
        predict(create_layer("pam", 64), (1, 3, 8, 8))  # torch itself would log a traceback
    assert capfd.readouterr().err == ""
