"""Fabric for a run: its device, its numbers' type, and how several processes share the work."""

from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from lightning_fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning_fabric.strategies import DDPStrategy, ModelParallelStrategy
from torch import nn

from pixelwise.errors import InputError
from pixelwise.networks.segmenter import Segmenter
from pixelwise.train.plan import TrainingPlan
from pixelwise.train.processes import Processes, current


def engine(plan: TrainingPlan) -> Fabric:
    """What moves a plan's network and batches, and brings gradients together.

    Raises:
        InputError: Its settings do not work in so many processes, or not on the device.
    """
    settings, processes = plan.settings, current()
    kind, _, number = plan.device.partition(":")
    _check(plan, processes)
    plugins: list[Any] = [_environment(processes)]
    precision: Any = "bf16-mixed" if settings.precision == "bf16" else "32-true"
    if settings.precision == "fp16":  # the factor on the loss is that of `LossScale`
        off = torch.amp.GradScaler(kind, enabled=False)
        plugins.append(MixedPrecision("16-mixed", kind, off))
        precision = None
    if processes.count == 1:
        devices: Any = [int(number)] if number else 1
        return Fabric(accelerator=kind, devices=devices, precision=precision, plugins=plugins)
    local, machines = processes.start.local_count, 1
    machines = processes.count // local
    strategy: DDPStrategy | ModelParallelStrategy = DDPStrategy(find_unused_parameters=True)
    if settings.strategy == "fsdp":
        strategy = ModelParallelStrategy(
            _sharded, data_parallel_size=processes.count, tensor_parallel_size=1
        )
    fabric = Fabric(
        accelerator=kind,
        devices=local,
        num_nodes=machines,
        strategy=strategy,
        precision=precision,
        plugins=plugins,
    )
    fabric.launch()
    return fabric


def _check(plan: TrainingPlan, processes: Processes) -> None:
    settings, count = plan.settings, processes.count
    kind, _, number = plan.device.partition(":")
    if settings.precision == "fp16" and kind == "mps":
        raise InputError("precision='fp16': is for cuda and cpu; take bf16 or 32")
    if count == 1:
        return
    if number or kind == "mps":
        raise InputError(
            f"device={plan.device!r}: {count} processes take a device each; write cuda or cpu"
        )
    here = torch.cuda.device_count()
    if kind == "cuda" and processes.start.local_count > here:
        raise InputError(
            f"device='cuda': {processes.start.local_count} processes on this machine see"
            f" {here} GPUs; start one for each GPU, and let each see all of them (--gres=gpu:N)"
        )
    if settings.per_batch < count:
        raise InputError(
            f"batch_size={settings.per_batch}: is for all {count} processes together, one picture"
            " each at least; raise it, or start fewer"
        )
    if settings.strategy == "fsdp" and settings.ema:
        raise InputError(f"ema={settings.ema:g}: not with strategy='fsdp'; take ddp, or leave it")
    if settings.strategy == "fsdp" and settings.compile != "off":
        raise InputError("compile='auto': not with strategy='fsdp'; take ddp, or leave it out")


def _environment(processes: Processes) -> ClusterEnvironment:
    if processes.count == 1:  # whatever variables a shell has
        return LightningEnvironment()
    return SLURMEnvironment() if processes.start.slurm else TorchElasticEnvironment()


def _sharded(network: nn.Module, mesh: Any) -> nn.Module:
    """FSDP2: each process keeps its part of every weight, and of what the optimiser knows of it."""
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    assert isinstance(network, Segmenter)
    data = mesh["data_parallel"]
    fully_shard(network.backbone, mesh=data)
    fully_shard(network, mesh=data)
    register_fsdp_forward_method(network, "with_auxiliary")
    return network
