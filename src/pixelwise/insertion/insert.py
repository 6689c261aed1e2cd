"""Put attention into a network that exists; its output stays bit-equal until it is trained.

    report = insert(host, "layer3.*.bn2=psa_s, layer4=isa(down_factors=[(8, 8)])")
    print(report)        places, widths, cost, and the largest difference of the output: 0

A trace on a small picture finds widths and layouts; the same picture proves that nothing changed.
"""

import copy
import dataclasses
import inspect
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from pixelwise import cost
from pixelwise.checks import pair
from pixelwise.errors import InputError, in_one_line
from pixelwise.insertion.attached import CHILD, Attached, insertions_of
from pixelwise.insertion.attaching import attach, detach
from pixelwise.insertion.examples import Example, example_for, mode, picture_of, quiet
from pixelwise.insertion.inserted import Inserted, Line, of_network
from pixelwise.insertion.layouts import Grid
from pixelwise.insertion.plan import fitting, planned, read_plan
from pixelwise.insertion.proof import difference, outputs, unreached
from pixelwise.insertion.rebuilt import guard
from pixelwise.insertion.saved import is_saved, read_saved
from pixelwise.insertion.surroundings import followed
from pixelwise.insertion.tracing import Trace, trace


def insert(
    host: Any,
    plan: str | Path | Mapping[Any, Any] | Inserted | nn.Module,
    *,
    example: Example | None = None,
    size: tuple[int, int] | None = None,
    grid: Grid | None = None,
    per_channel: bool = False,
    prove: bool = True,
) -> Inserted:
    """Insert attention layers into any network, in place.

    Each layer stands behind a module as `x + gain * (layer(x) - x)`, with a gain of 0 that is
    learnt; a layer that is the identity at the start by itself needs none. The host's keys in its
    `state_dict` stay as they are, and its own checkpoints go on loading. Insert before
    `torch.compile`, export, or wrapping for several processes.

    Args:
        host: Any network: of timm, torchvision, segmentation_models_pytorch, transformers, here, or
            one's own.
        plan: Layers by place, in the grammar of `layers.placement`: `"layer3.*.bn2=psa_s"`,
            `"psa_s@3,4"`, `"each stage=eca"`, `{"layer4": {"name": "isa", "dropout": 0.1}}`,
            `{nn.BatchNorm2d: "se"}`. A file that `Inserted.save` wrote brings places and trained
            weights; so does a report, another network with insertions, or its weights: a
            `state_dict`, a file of PyTorch or safetensors, or a folder of `save_pretrained`.
        example: The host's input for the trace: a picture (b, c, h, w), two or more of them, or
            positional or named arguments; None finds a small one.
        size: Height and width of that picture, and of the cost in the report.
        grid: Rows and columns of token sequences, or the picture's pixels per token; None finds it.
        per_channel: A gain for every channel instead of one.
        prove: Compare the host's outputs before and after, in eval and train mode, and refuse
            places that the output does not depend on.

    Returns:
        The report, and the handle to train, save and remove what was inserted.

    Raises:
        InputError: A place or a layer that does not exist or does not go together, with the reason;
            the host is then as it was.
    """
    check_host(host)
    if isinstance(host, torch.jit.ScriptModule):
        raise InputError("host=ScriptModule: it takes no layers; give the module that was scripted")
    if hasattr(host, "_orig_mod"):
        raise InputError(
            f"host={type(host).__name__}: compiled; insert into what was compiled, then compile"
            " that again"
        )
    if isinstance(host, nn.parallel.DistributedDataParallel | nn.DataParallel):
        raise InputError(
            f"host={type(host).__name__}: wrapped for several processes; insert first, then wrap it"
        )
    if grid is not None:
        pair(1, grid=grid)
    taken = host._modules.get(CHILD)
    if taken is not None and insertions_of(host) is None:
        raise InputError(
            f"host={type(host).__name__}: it has a module called {CHILD!r}; rename that"
        )
    if any(parameter.is_meta for parameter in host.parameters()):
        raise InputError(
            f"host={type(host).__name__}: its weights are on the meta device, not there yet; insert"
            " when they are loaded, for example after from_pretrained"
        )
    if any(isinstance(p, nn.UninitializedParameter) for p in host.parameters()):
        raise InputError(
            f"host={type(host).__name__}: some of its modules are lazy and have no weights yet; run"
            " it once before"
        )
    weights = None
    if isinstance(plan, Inserted | nn.Module):
        saved, weights = of_network(plan)
    elif is_saved(plan):
        host, saved, weights = read_saved(host, plan)
    else:
        assert not isinstance(plan, Path)  # every path is of saved insertions
        wanted = read_plan(plan)
    if example is None:
        example = example_for(host, size)
    bands = picture_of(example).shape[1]
    before, problems = outputs(host, example) if prove and weights is None else ({}, {})
    with mode(host, training=False):
        seen = trace(host, example)
    chosen = (
        planned(host, wanted, seen, grid, per_channel=per_channel)
        if weights is None
        else fitting(host, saved, seen)
    )
    chosen = followed(host, example, chosen)
    own = cost.parameters(host)
    try:
        attached = [attach(host, place, seen.of(place.name)[-1].dtype) for place in chosen]
        lines = _lines(attached, seen)
        found = Inserted(host, seen.image, lines, own, seen.flops // seen.batch, bands)
        if weights is not None:
            found.load_state_dict(weights)
            found.notes = ("the weights are trained ones: the output is not what it was",)
        elif prove:
            found.differences = _proven(host, example, before, attached)
            found.notes = tuple(f"not compared in {m} mode: {why}" for m, why in problems.items())
    except BaseException:
        detach(host, {place.name for place in chosen})
        raise
    guard(host, found.module)
    return found


def check_host(host: Any, argument: str = "host") -> None:
    """Refuse what is no network, or what trains when it is put into train mode.

    Args:
        host: What is looked at.
        argument: What it was given as.

    Raises:
        InputError: With what to give instead.
    """
    inside = [name for name in ("model", "module", "net", "network") if _is_network(host, name)]
    remedy = f"give its .{inside[0]}" if inside else "give the network inside"
    if not isinstance(host, nn.Module):
        raise InputError(f"{argument}={type(host).__name__}: is no nn.Module; {remedy}")
    if "mode" not in inspect.signature(host.train).parameters:
        raise InputError(
            f"{argument}={type(host).__name__}: its train() trains, it is no mode of a network; "
            f"{remedy}"
        )


def _is_network(host: Any, name: str) -> bool:
    return isinstance(getattr(host, name, None), nn.Module)


def _lines(attached: list[Attached], seen: Trace) -> tuple[Line, ...]:
    """The report's lines; what is alike is counted once."""
    counted: dict[tuple[str, tuple[int, ...]], int] = {}
    lines = []
    for one in attached:
        place, calls = one.place, seen.of(one.place.name)
        shape = calls[-1].shape
        alike = (f"{place.key} {place.options} {place.layout} {place.gain}", shape)
        if alike not in counted:
            shadow = copy.deepcopy(one).eval().to("meta", torch.float32)
            empty = torch.empty(1, *shape[1:], device="meta", dtype=torch.float32)
            counted[alike] = cost.flops(partial(shadow, image=seen.image), empty)
        size = place.layout.size(shape, seen.image)
        flops = counted[alike] * len(calls)
        lines.append(Line(place, len(calls), size, cost.parameters(one), flops))
    return tuple(lines)


def _proven(
    host: nn.Module, example: Example, before: Any, attached: list[Attached]
) -> dict[str, float]:
    after, failed = outputs(host, example)
    for name in before.keys() & failed.keys():
        raise InputError(
            f"host={type(host).__name__}: it would not run any more in {name} mode"
            f" ({failed[name]}); take other places or layers"
        )
    gaps = {name: difference(values, after[name]) for name, values in before.items()}
    for name, gap in gaps.items():
        if gap:
            again, _ = outputs(host, example)
            own = difference(after[name], again[name])
            why = (
                f"the host itself varies by {own:g} from run to run"
                if own
                else "a layer drew random numbers (set its dropout to 0) or gave no finite number"
            )
            raise InputError(
                f"host={type(host).__name__}: its output would change by {gap:g} in {name} mode;"
                f" {why}"
            )
    lost = unreached(host, example, attached)
    if lost:
        names = ", ".join(repr(a.place.name) for a in lost)
        raise InputError(
            f"insert={names}: nothing would be learnt, the host's output does not depend on the"
            " pixels there; take another place"
        )
    return gaps


def cost_at(found: Inserted, size: tuple[int, int]) -> Inserted:
    """The same insertions, reported for pictures of another size; nothing is computed.

    Raises:
        InputError: The host takes no pictures of that size.
    """
    like = next(found.host.parameters(), torch.empty(0))
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), mode(found.host, training=False), quiet():
            picture = torch.empty(1, found.bands, *size, dtype=like.dtype, device=like.device)
            seen = trace(found.host, picture)
    except Exception as error:
        told = in_one_line(error, 160)
        raise InputError(
            f"size={size[0]}x{size[1]}: {type(found.host).__name__} takes no such pictures"
            f" ({told}); take another size"
        ) from error
    lines = _lines(found.attached(), seen)
    total = seen.flops - sum(line.flops for line in lines)
    return dataclasses.replace(found, image=seen.image, lines=lines, host_flops=total)
