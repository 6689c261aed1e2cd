"""Which forms the operations of this process took: for `pixelwise bench`, and for `--debug`."""

from collections.abc import Mapping

_taken: dict[str, set[str]] = {}


def note(operation: str, form: str) -> None:
    """Remember that `operation` ran in `form`."""
    _taken.setdefault(operation, set()).add(form)


def forms() -> dict[str, list[str]]:
    """Operation -> the forms that it took since `forget`."""
    return {operation: sorted(found) for operation, found in sorted(_taken.items())}


def forget() -> None:
    """Begin anew."""
    _taken.clear()


def line(found: Mapping[str, list[str]]) -> str:
    """`found` on one line, e.g. `forms taken: attention fused; pooling kernel and lean`."""
    listed = "; ".join(f"{operation} {' and '.join(forms)}" for operation, forms in found.items())
    return f"forms taken: {listed or 'none'}"
