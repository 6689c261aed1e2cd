"""Plain DistributedDataParallel around a network with auxiliary heads, called as `model(x)`."""

import pytest
import torch
from torch import distributed, nn

from pixelwise.networks.factory import create_model
from pixelwise.networks.taking_part import with_all

NETWORKS = ("fcn", "bisenetv2", "fpn")


def train(rank, file):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
    for name in NETWORKS:
        torch.manual_seed(rank)  # DistributedDataParallel gives all the weights of the first
        model = create_model(name, "test_resnet", num_classes=3)
        inside = nn.parallel.DistributedDataParallel(model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        heads = {n: p.clone() for n, p in model.named_parameters() if "auxiliary" in n}
        for _ in range(3):
            image, mask = torch.randn(2, 3, 64, 64), torch.randint(3, (2, 64, 64))
            optimizer.zero_grad()
            nn.functional.cross_entropy(inside(image), mask).backward()
            optimizer.step()
        for parameter in model.parameters():
            other = parameter.detach().clone()
            distributed.broadcast(other, 0)
            assert torch.equal(parameter, other)
        for n, before in heads.items():
            assert torch.equal(before, model.get_parameter(n))
    distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_train_with_plain_calls(tmp_path):
    torch.multiprocessing.start_processes(
        train, (str(tmp_path / "meeting"),), nprocs=2, start_method="spawn"
    )


def test_a_process_alone_is_left_as_it_is():
    model = create_model("fcn", "test_resnet", num_classes=3)
    model(torch.randn(2, 3, 64, 64)).sum().backward()
    unused = [n for n, p in model.named_parameters() if p.grad is None]
    assert unused
    assert all("auxiliary" in name for name in unused)


def test_unused_parameters_get_a_gradient_of_zero_whatever_they_hold(monkeypatch):
    monkeypatch.setattr("pixelwise.networks.taking_part.is_initialized", lambda: True)
    model = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    nn.init.constant_(model[1].weight, float("nan"))
    plain = model[0](torch.ones(1, 2))
    logits = with_all(plain, model)
    assert torch.equal(logits, plain)
    logits.sum().backward()
    assert torch.equal(model[1].weight.grad, torch.zeros(2, 2))
