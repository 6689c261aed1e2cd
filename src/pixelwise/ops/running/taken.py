"""Which forms the operations of this process took: for `pixelwise bench`, and for `--debug`."""

from collections.abc import Mapping, Sequence

from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

Forms = Mapping[str, Sequence[str]]

_taken: dict[str, set[str]] = {}


def note(operation: str, form: str, x: Tensor) -> None:
    """Remember that `operation` ran in `form` on `x`, unless nothing is computed there."""
    if not (x.is_meta or isinstance(x, FakeTensor)):
        _taken.setdefault(operation, set()).add(form)


def add(found: Forms) -> None:
    """Remember what another process took."""
    for operation, names in found.items():
        _taken.setdefault(operation, set()).update(names)


def forms() -> Forms:
    """Operation -> the forms that it took since `forget`."""
    return {operation: sorted(found) for operation, found in sorted(_taken.items())}


def forget() -> None:
    """Begin anew."""
    _taken.clear()


def line() -> str:
    """All of it on one line, e.g. `forms taken: attention fused; pooling kernel and lean`."""
    listed = "; ".join(f"{operation} {' and '.join(names)}" for operation, names in forms().items())
    return f"forms taken: {listed or 'none'}"
