"""A checkpoint file into a network that exists: every tensor of the network, or none."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from torch import Tensor, nn

from pixelwise.errors import InputError, in_one_line
from pixelwise.interop.checkpoint import Checkpoint

LISTED = 3
COUNTED = "num_batches_tracked"
"""What old checkpoints lack, and nothing depends on that is computed in eval mode."""


def load_weights(host: nn.Module, path: str | Path) -> tuple[str, ...]:
    """Load a file that PyTorch or safetensors wrote; nothing that is pickled in it runs.

    Where all keys of the file, or of the network, begin with something that the other side does
    not have (a wrapper's name), it is taken off or put before them.

    Returns:
        What is to be said of it, a line each.

    Raises:
        InputError: The file cannot be read, or the network has tensors that it lacks or that have
            another shape there; the network is then as it was.
    """
    checkpoint = Checkpoint.open(path)
    own = {k: v for k, v in host.state_dict().items() if isinstance(v, Tensor)}
    state, renamed = _aligned(checkpoint.state, own)
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    present = {_storage(own[key]) for key in fitting}
    lacking = [k for k in own if k not in state and _storage(own[k]) not in present]
    counts = [key for key in lacking if key.endswith(COUNTED)]
    missing = [key for key in lacking if key not in counts]
    shapes = [
        f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}"
        for key in own
        if key in state and key not in fitting
    ]
    others = [key for key in state if key not in own]
    if missing or shapes:
        parts = [
            _listed("of another shape", shapes),
            _listed("missing in the file", missing),
            _listed("in the file alone", others),
        ]
        raise InputError(
            f"checkpoint={str(path)!r}: {len(fitting)} of {len(own)} tensors of"
            f" {type(host).__name__} fit; {', '.join(filter(None, parts))}; give the file of this"
            " network, or build the network as the file has it"
        )
    try:
        host.load_state_dict(fitting, strict=False)
    except Exception as error:  # a host may have a way of its own
        raise InputError(
            f"checkpoint={str(path)!r}: {type(host).__name__} does not load it"
            f" ({in_one_line(error, 200)}); load it where the network is built"
        ) from error
    notes = [f"weights {path}: all {len(own) - len(counts)} tensors loaded", *renamed]
    if others:
        notes.append(f"not of the network, left out: {_listed('tensors of the file', others)}")
    if counts:
        notes.append(f"{len(counts)} counts of batches are not in the file and stay as they are")
    if checkpoint.losses:
        notes.append(f"{len(checkpoint.losses)} tensors of the loss are left out")
    notes += [f"the file holds other weights too, {n!r}: not taken" for n in checkpoint.others]
    bad = [
        k for k, v in fitting.items() if v.is_floating_point() and not v.float().isfinite().all()
    ]
    if bad:
        notes.append(f"careful, NaN or infinity: {_listed('tensors', bad)}")
    return tuple(notes)


def _aligned(
    state: Mapping[str, Tensor], own: Mapping[str, Tensor]
) -> tuple[Mapping[str, Tensor], list[str]]:
    """The weights under the network's names, and what was done to the file's."""

    def fits(found: Mapping[str, Tensor]) -> int:
        return sum(key in own and value.shape == own[key].shape for key, value in found.items())

    best, done = state, list[str]()
    off = _most(start for key in state for start, end in _cuts(key) if end in own)
    if off:
        shorter = {k.removeprefix(off): v for k, v in state.items()}
        if len(shorter) == len(state) and fits(shorter) > fits(best):
            best, done = shorter, [f"{off!r} is taken off the names in the file"]
    on = _most(start for key in own for start, end in _cuts(key) if end in state)
    if on:
        longer = {on + k: v for k, v in state.items()}
        if fits(longer) > fits(best):
            best, done = longer, [f"{on!r} is put before the names in the file"]
    return best, done


def _cuts(key: str) -> Iterator[tuple[str, str]]:
    """Beginning and end of a name, parted behind each of its dots."""
    for place, letter in enumerate(key):
        if letter == ".":
            yield key[: place + 1], key[place + 1 :]


def _most(starts: Iterable[str]) -> str:
    return next((start for start, _ in Counter(starts).most_common(1)), "")


def _storage(value: Tensor) -> tuple[int, tuple[int, ...]]:
    """What tells tensors that are one under several names; files may hold it once."""
    return value.data_ptr(), tuple(value.shape)


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return ""
    more = ", ..." if len(names) > LISTED else ""
    return f"{len(names)} {what} ({', '.join(names[:LISTED])}{more})"
