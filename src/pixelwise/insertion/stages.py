"""The stages of a host, and the last module of each: as the host says, or by their sizes."""

from torch import nn

from pixelwise.errors import InputError
from pixelwise.insertion.layouts import Grid, find_layout
from pixelwise.insertion.tracing import Trace
from pixelwise.layers.placement import EACH_STAGE

LAST_STAGE = 4


def stages(host: nn.Module, trace: Trace, grid: Grid | None) -> list[str]:
    """The last module of each resolution on the way down, from a quarter of the picture on.

    Where a network says its feature maps (timm's `feature_info`), these are taken; else a stage
    ends where a module begins whose output has another resolution than its input, one that is no
    part of a module that keeps the resolution.

    Raises:
        InputError: No such module.
    """
    told = [name for name in _told(host) if name and _map_size(trace, name, grid) is not None]
    found = told or _seen(host, trace, grid)
    rows = {name: _map_size(trace, name, grid) or 0 for name in found}
    coarse = [name for name in found if _coarse(rows[name], trace)]
    last = {rows[name]: name for name in coarse}  # of several at one resolution, the last
    if not last:
        raise InputError(
            f"insert={EACH_STAGE!r}: {type(host).__name__} has no stages that differ in size; name"
            " modules instead"
        )
    return list(last.values())


def stage(host: nn.Module, number: int, trace: Trace, grid: Grid | None) -> str:
    """The last module of a stage, counted as in `create_model`: the coarsest features are 4.

    Where the network says its feature maps, these are counted. Without them the stages are known
    by their resolutions alone, and a network that keeps one for two stages would be counted wrong;
    so there must be four.

    Raises:
        InputError: No such stage.
    """
    told = _told(host)
    listed = [name for name in told if name and _map_size(trace, name, grid) is not None]
    if not told or listed != told:
        listed = stages(host, trace, grid)
        if len(listed) != LAST_STAGE:
            raise InputError(
                f"insert='stage{number}': {type(host).__name__} has no four stages that could"
                f" be counted; name modules instead, such as {listed[-1]!r}, or {EACH_STAGE!r}"
            )
    counted = dict(zip(range(LAST_STAGE, 0, -1), reversed(listed), strict=False))
    if number not in counted:
        raise InputError(
            f"insert='stage{number}': {type(host).__name__} has the stages {min(counted)} to"
            f" {LAST_STAGE}, {LAST_STAGE} the last; take one of them, or name modules"
        )
    return counted[number]


def _map_size(trace: Trace, name: str, grid: Grid | None) -> int | None:
    calls = trace.of(name)
    return _rows(calls[-1].shape, trace, grid) if calls else None


def _rows(shape: tuple[int, ...], trace: Trace, grid: Grid | None) -> int | None:
    found = find_layout(shape, trace.image, trace.batch, grid) if shape else ""
    return None if isinstance(found, str) else found.size(shape, trace.image)[0]


def _told(host: nn.Module) -> list[str | None]:
    """The modules that give a network's feature maps, as it says; None for one that is missing."""
    modules = dict(host.named_modules())
    for prefix, module in modules.items():
        info = getattr(module, "feature_info", None)
        if info is not None:
            entries = info if isinstance(info, list) else info.get_dicts()
            start = f"{prefix}." if prefix else ""
            paths = [entry["module"] for entry in entries]
            spelt = [(start + path, start + path.replace(".", "_")) for path in paths]
            return [next((name for name in names if name in modules), None) for names in spelt]
    return []


def _seen(host: nn.Module, trace: Trace, grid: Grid | None) -> list[str]:
    inside = next((n for n in ("backbone", "encoder") if hasattr(host, n)), None)
    calls = [c for c in trace.calls if inside is None or c.name.startswith(f"{inside}.")]
    rows = {id(call): _rows(call.shape, trace, grid) for call in calls}
    given = {id(call): _rows(call.given, trace, grid) for call in calls}
    keeping = [c for c in calls if given[id(c)] == rows[id(c)] and _coarse(rows[id(c)], trace)]
    calls = [
        c
        for c in calls
        if not any(
            k.start < c.start and c.end < k.end and rows[id(k)] != rows[id(c)] for k in keeping
        )
    ]
    found: list[str] = []
    for height in sorted({r for c in calls if (r := rows[id(c)])}, reverse=True):
        ends = [c.start for c in calls if given[id(c)] == height != rows[id(c)]]
        limit = min(ends, default=1 << 62)
        before = [c.name for c in calls if rows[id(c)] == height and c.end < limit]
        siblings = [n for n in before if found and _parent(n) == _parent(found[-1])]
        found += (siblings or before)[-1:]
    return found


def _coarse(rows: int | None, trace: Trace) -> bool:
    """Whether a map has at most a third of the picture's rows, and more than one."""
    return rows is not None and rows > 1 and rows * 3 <= trace.image[0]


def _parent(name: str) -> str:
    return name.rpartition(".")[0]
