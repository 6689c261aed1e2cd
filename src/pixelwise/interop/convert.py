"""From a foreign checkpoint to a network here: recognise, build, fit every tensor, save.

Nothing is guessed on the way: a tensor that the network lacks, one that the file lacks, or one of
another shape refuses the whole file, with their names.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pixelwise.errors import InputError
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.layouts import LAYOUTS
from pixelwise.interop.network import Foreign
from pixelwise.layers.reference import ReferenceWeights, fits, kind_name, same_kind
from pixelwise.networks.segmenter import Segmenter

LISTED = 10
"""How many names an error shows."""
BODY = "backbone.body."


@dataclass(frozen=True)
class Imported:
    """A network with a foreign checkpoint's weights, and what is to be said of it."""

    model: Segmenter
    foreign: Foreign
    tensors: int
    """Tensors that came over."""
    size: int
    """Bytes of the file."""


def recognise(checkpoint: Checkpoint) -> Foreign:
    """The network that the keys of a checkpoint tell.

    Raises:
        InputError: No known code base names its tensors so.
    """
    for layout in LAYOUTS:
        if layout.recognises(checkpoint.state):
            return layout.read(checkpoint)
    known = ", ".join(layout.name for layout in LAYOUTS)
    raise InputError(
        f"{checkpoint.path}: its {len(checkpoint.state)} tensors have names of no known code base,"
        f" {shortened(checkpoint.state)}; known: {known}"
    )


def import_checkpoint(
    path: str | Path, *, classes: int | None = None, allow_nan: bool = False
) -> Imported:
    """Read, recognise, build and fit.

    Args:
        path: The file.
        classes: Take the backbone alone, with a new `fcn` decoder for so many classes.
        allow_nan: Take weights that are no finite numbers too.

    Raises:
        InputError: The file is unreadable, unknown, or does not fit; or it has no segmentation
            head and `classes` is not given; or weights are NaN or infinite.
    """
    checkpoint = Checkpoint.open(path)
    try:
        foreign = _with_notes(recognise(checkpoint), checkpoint, _broken(checkpoint, allow_nan))
        if classes is not None:
            foreign = backbone_only(foreign, classes)
        elif foreign.fresh:
            raise InputError(
                f"{foreign.code}, {foreign.network}: there is no segmentation head in it; take its"
                " backbone, with a new head to be trained: --backbone-only CLASSES"
            )
        model = Segmenter(foreign.config)
        tensors = fit(model, foreign)
    except InputError as error:
        if str(error).startswith(str(checkpoint.path)):
            raise
        raise InputError(f"{checkpoint.path}: {error}") from error
    return Imported(model.eval(), foreign, tensors, checkpoint.size)


def _broken(checkpoint: Checkpoint, allowed: bool) -> tuple[str, ...]:
    """What is said of weights that are no finite numbers."""
    bad = [
        key
        for key, value in checkpoint.state.items()
        if value.is_floating_point() and not value.float().isfinite().all()
    ]
    if not bad:
        return ()
    told = f"{len(bad)} of {len(checkpoint.state)} tensors hold NaN or infinity: {shortened(bad)}"
    if not allowed:
        raise InputError(
            f"{told}, so the training broke down; take an earlier checkpoint, or, to import it all"
            " the same: pixelwise import --allow-nan"
        )
    return (told,)


def _with_notes(foreign: Foreign, checkpoint: Checkpoint, told: tuple[str, ...]) -> Foreign:
    if checkpoint.losses:
        told += (f"{len(checkpoint.losses)} tensors of the loss are left out",)
    for name in checkpoint.others:
        told += (f"the file holds other weights beside, under {name!r}: not taken",)
    return dataclasses.replace(
        foreign,
        differences=(*foreign.differences, *told),
        left_out=(*foreign.left_out, *checkpoint.losses),
    )


def backbone_only(foreign: Foreign, classes: int) -> Foreign:
    """The same backbone under a new `fcn` decoder, which has no weights yet."""
    config = dataclasses.replace(
        foreign.config,
        arch="fcn",
        num_classes=classes,
        task="binary" if classes == 1 else "multiclass",
        options={},
        names=(),
        palette=(),
    )
    return dataclasses.replace(
        foreign,
        network=f"{foreign.network}: the backbone alone, under an fcn",
        config=config,
        decoder={},
        left_out=tuple(key for key in foreign.state if key not in foreign.backbone),
        fresh=("decoder.",),
        differences=(*foreign.differences, "the decoder is new and has learnt nothing: train it"),
    )


@torch.no_grad()
def fit(model: Segmenter, foreign: Foreign) -> int:
    """Load every tensor of a foreign checkpoint into the network; returns how many.

    Raises:
        InputError: Tensors are missing, left over, or of another shape; none is loaded then.
    """
    own = model.state_dict()
    given: dict[str, Tensor] = {}
    surplus: list[str] = []
    for key, name, value in [*_backbone(model, foreign), *_decoder(model, foreign)]:
        if name is None or name not in own or name in given:
            surplus.append(key)
        else:
            given[name] = value
    read = {*foreign.backbone, *foreign.decoder, *foreign.left_out}
    surplus += [key for key in foreign.state if key not in read]
    missing = [n for n in own if n not in given and not n.startswith(foreign.fresh)]
    misshapen = [
        f"{name} {tuple(value.shape)} for {tuple(own[name].shape)}"
        for name, value in given.items()
        if not fits(value, own[name])
    ]
    mistyped = [
        f"{name} {kind_name(value)} for {kind_name(own[name])}"
        for name, value in given.items()
        if not same_kind(value, own[name])
    ]
    _refuse(foreign, missing, surplus, misshapen, mistyped)
    weights = {name: value.reshape(own[name].shape) for name, value in given.items()}
    model.load_state_dict(weights, strict=not foreign.fresh)
    return len(weights)


Placed = tuple[str, str | None, Tensor]
"""Key in the file, name in the network or None, weights."""


def _backbone(model: Segmenter, foreign: Foreign) -> list[Placed]:
    """The backbone's tensors; layers of ours inside it translate their own."""
    body: nn.Module = model.backbone.body
    parts = {
        name: part for name, part in body.named_modules() if isinstance(part, ReferenceWeights)
    }
    parts = {n: p for n, p in parts.items() if not any(_inside(n, o) for o in parts if o != n)}
    origin = {theirs: key for key, theirs in foreign.backbone.items()}
    plain = {theirs: foreign.state[key] for theirs, key in origin.items()}
    placed: list[Placed] = []
    for name, part in parts.items():
        start = f"{name}." if name else ""
        inside = {k.removeprefix(start): plain.pop(k) for k in list(plain) if k.startswith(start)}
        for key, value in part.translated(inside).items():
            ours = part.reference_name(key)
            whole = None if ours is None else f"{BODY}{start}{ours}"
            placed.append((origin.get(start + key, start + key), whole, value))
    placed += [(origin[theirs], BODY + theirs, value) for theirs, value in plain.items()]
    return placed


def _inside(name: str, outer: str) -> bool:
    return not outer or name.startswith(f"{outer}.")


def _decoder(model: Segmenter, foreign: Foreign) -> list[Placed]:
    origin = {theirs: key for key, theirs in foreign.decoder.items()}
    state = {theirs: foreign.state[key] for theirs, key in origin.items()}
    placed: list[Placed] = []
    for key, value in _translated(model, state, foreign).items():
        name = model.decoder.reference_name(key)
        placed.append((origin.get(key, key), None if name is None else f"decoder.{name}", value))
    return placed


def _translated(
    model: Segmenter, state: Mapping[str, Tensor], foreign: Foreign
) -> Mapping[str, Tensor]:
    """What the decoder makes of its state; where it cannot, what is missing is told instead."""
    try:
        return model.decoder.translated(state)
    except InputError:
        names = {model.decoder.reference_name(key) for key in state}
        missing = [f"decoder.{n}" for n in model.decoder.state_dict() if n not in names]
        _refuse(foreign, missing, [], [], [])
        raise


def _refuse(
    foreign: Foreign,
    missing: Sequence[str],
    surplus: Sequence[str],
    misshapen: Sequence[str],
    mistyped: Sequence[str],
) -> None:
    faults: Mapping[str, Sequence[str]] = {
        "missing in the file": missing,
        "left over": surplus,
        "of another shape": misshapen,
        "of another type": mistyped,
    }
    told = ", ".join(f"{len(n)} {what}: {shortened(n)}" for what, n in faults.items() if n)
    if told:
        raise InputError(
            f"recognised as {foreign.code}, {foreign.network}, but the tensors do not fit: {told};"
            " get the whole file, or one of a network as it was published"
        )


def shortened(names: Iterable[str]) -> str:
    """The first names of a list, and how many more there are."""
    listed = list(names)
    rest = f" and {len(listed) - LISTED} more" if len(listed) > LISTED else ""
    return ", ".join(listed[:LISTED]) + rest
