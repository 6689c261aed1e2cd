"""The mean of a run's newest checkpoints.

    weight = sum_i weight_i / n        over the n newest checkpoints, in float64

The running statistics of a batch norm are those of what comes out of the weights before it, and the
mean of the weights gives something else than the mean of what they gave. They are therefore
measured anew, on training crops: the mean over batches of the batches' own statistics.

Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", 2018,
https://arxiv.org/abs/1803.05407.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pixelwise.checks import at_least
from pixelwise.data.source import Progress
from pixelwise.errors import InputError
from pixelwise.networks.segmenter import Segmenter, load
from pixelwise.tasks.base import Stream
from pixelwise.train import checkpoint
from pixelwise.train.inputs import (
    augmentation,
    balance,
    check_data,
    crop_size,
    open_splits,
    training_stream,
)
from pixelwise.train.saved import find_data, read_settings

CROPS = 256
"""Training crops that statistics are measured on, in batches like those of the training."""
COUNTER = "num_batches_tracked"
Norm = nn.modules.batchnorm._BatchNorm


def average_checkpoints(
    run: str | Path,
    count: int = 2,
    *,
    data: str | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = lambda done, total: None,
) -> Segmenter:
    """The network of a run with the mean of the weights of its newest checkpoints.

    Where the run averages its weights (`ema`), those are what is averaged. Norms that the run kept
    still keep their statistics. What the task chose on val, such as thresholds, is that of the
    run's best network.

    Args:
        run: A training run's folder.
        count: How many checkpoints; `keep` of the training says how many there are.
        data: The training data, where it is no longer where the run says; read for networks with
            batch norms alone.
        device: Where statistics are measured.
        progress: Called with (batches done, batches in all) meanwhile.

    Returns:
        In eval mode, on `device`.

    Raises:
        InputError: Fewer checkpoints than asked for, a damaged one, one of another network, or no
            training data.
    """
    at_least(2, count=count)
    run = Path(run)
    paths = checkpoint.newest_first(run)
    if len(paths) < count:
        has = f"{len(paths)} checkpoints" if paths else "no checkpoints, as saved models have none"
        raise InputError(
            f"average={count}: {run} has {has}; lower it, or train with `keep: {count}` in the"
            " settings"
        )
    model = load(run)
    total, counters = _summed(paths[:count], model)
    state = {
        name: (total[name] / count).to(value.dtype) if name in total else value
        for name, value in model.state_dict().items()
    }
    model.load_state_dict(state)
    norms = [norm for name, norm in _norms(model) if counters[name]]
    model = model.to(device).eval()
    if norms:
        _measure(model, norms, *_stream(run, model, data, progress), progress)
    return model


def _summed(paths: list[Path], model: Segmenter) -> tuple[dict[str, Tensor], dict[str, bool]]:
    """The sums of the weights, and of each norm whether training changed its statistics."""
    own = model.state_dict()
    total = {
        name: torch.zeros_like(value, dtype=torch.float64)
        for name, value in own.items()
        if value.is_floating_point()
    }
    seen: dict[str, set[int]] = {name: set() for name, _ in _norms(model)}
    for path in paths:
        try:
            saved = checkpoint.load(path)
        except checkpoint.Damaged as error:
            raise InputError(
                f"{path}: cannot be read ({error}); delete it, or lower --average"
            ) from error
        state = _weights(saved)
        shapes = {name: value.shape for name, value in state.items()}
        if shapes != {name: value.shape for name, value in own.items()}:
            raise InputError(
                f"{path}: does not fit the network in {path.parents[1]}; take a run whose files"
                " are as it wrote them"
            )
        for name, value in total.items():
            value += state[name]
        for name, numbers in seen.items():
            numbers.add(int(saved["model"].get(f"{name}.{COUNTER}", torch.zeros(()))))
    return total, {name: len(numbers) > 1 for name, numbers in seen.items()}


def _weights(saved: dict[str, Any]) -> dict[str, Tensor]:
    """What the run evaluates of a checkpoint."""
    if "averaged" not in saved:
        return dict(saved.get("model", {}))
    inside = "module."
    return {
        name.removeprefix(inside): value
        for name, value in saved["averaged"].items()
        if name.startswith(inside)
    }


def _norms(model: nn.Module) -> Iterator[tuple[str, Norm]]:
    """The norms that have statistics, with their names."""
    for name, module in model.named_modules():
        if isinstance(module, Norm) and module.running_mean is not None:
            yield name, module


def _stream(
    run: Path, model: Segmenter, data: str | None, progress: Progress
) -> tuple[Stream, int]:
    """Training crops as the run saw them from its first step on, and how many make a batch.

    Without the further `augment` kinds, which change single pictures strongly.
    """
    settings = read_settings(run)
    try:
        found = find_data(run, settings.data)
    except InputError:
        if data is None:
            raise
        found = data
    opened = open_splits(dataclasses.replace(settings, data=found))
    crop, varied = crop_size(settings, opened), augmentation(settings, opened.task)
    if settings.balance != "none":
        shares = balance(settings, opened, check_data(settings, opened, progress))
        varied = dataclasses.replace(varied, balance=shares)
    return training_stream(settings, opened, model, crop, varied), settings.per_batch


@torch.no_grad()
def _measure(
    model: Segmenter, norms: list[Norm], stream: Stream, size: int, progress: Progress
) -> None:
    """Give the norms the statistics of training crops; all else is as in use, dropout too."""
    momenta = [norm.momentum for norm in norms]
    before = [[value.clone() for value in _statistics(norm)] for norm in norms]
    device, number = next(model.parameters()).device, max(1, CROPS // size)
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    for done in range(number):
        crops = [stream[i][0] for i in range(size * done, size * (done + 1))]
        model.with_auxiliary(torch.stack(crops).to(device))
        progress(done + 1, number)
    for norm, momentum, kept in zip(norms, momenta, before, strict=True):
        norm.momentum = momentum
        mean, variance, count = _statistics(norm)
        if not count:  # of a part that is not in use
            mean.copy_(kept[0])
            variance.copy_(kept[1])
    model.eval()


def _statistics(norm: Norm) -> tuple[Tensor, Tensor, Tensor]:
    mean, variance, count = norm.running_mean, norm.running_var, norm.num_batches_tracked
    assert mean is not None
    assert variance is not None
    assert count is not None
    return mean, variance, count
