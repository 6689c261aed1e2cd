"""What each rule of `choice` that concerns CUDA takes, and whether that was the fastest."""

from collections.abc import Mapping, Sequence

from hour.cases import CASES, forms
from hour.checks import Row, replaced
from pixelwise.ops.running import choice

ENOUGH = 1.05
"""How many times as fast another form has to be for a rule to change."""


def wrong(numbers: Sequence[Row]) -> set[tuple[object, object]]:
    """Operation and type of kernels whose numbers are not those of the plain form."""
    found = (row for row in numbers if row.get("verdict") == "beyond")
    return {(row["operation"], row["dtype"]) for row in found}


def verdicts(times: Sequence[Row], numbers: Sequence[Row] = ()) -> list[Row]:
    """A row for each case, type, size and mode that was timed; and for operations that were not."""
    bad, groups = wrong(numbers), {}
    for row in times:
        if row.get("mode"):
            place = tuple(row[name] for name in ("operation", "case", "dtype", "size", "mode"))
            groups.setdefault(place, []).append(row)
    rows = []
    for place, group in groups.items():
        named = dict(zip(("operation", "case", "dtype", "size", "mode"), place, strict=True))
        broken = (named["operation"], named["dtype"]) in bad
        rows.append(named | verdict(str(named["case"]), group, broken))
    timed = {row["operation"] for row in rows}
    others = sorted(set(choice.RULES) - timed)
    return rows + [{"operation": name, "verdict": "not timed here"} for name in others]


def verdict(case: str, group: Sequence[Row], broken: bool) -> Row:
    """What the rule takes beside the fastest form that gives the right numbers."""
    found: Mapping[str, float] = {
        str(row["form"]): float(str(row["median_us"]))
        for row in group
        if row.get("median_us") and _ran(row)
    }
    possible = {form: found[form] for form in forms(CASES[case]) if form in found}
    if broken:
        possible.pop("kernel", None)
    takes = next((str(row["rule"]) for row in group if row.get("rule")), "")
    beside = {form: us for form, us in found.items() if form not in forms(CASES[case])}
    rival = min(beside, key=lambda form: beside[form], default="")
    told: Row = {"takes": takes, "takes_us": found.get(takes, "")}
    told |= {"beside": rival, "beside_us": beside.get(rival, "")}
    if not possible:
        return told | {"verdict": "no form was timed"}
    fastest = min(possible, key=lambda form: possible[form])
    told |= {"fastest": fastest, "fastest_us": possible[fastest]}
    if takes not in possible:
        reason = "wrong numbers" if broken and takes == "kernel" else "did not run"
        return told | {"verdict": f"change to {fastest}: {takes} {reason}"}
    ratio = possible[takes] / possible[fastest]
    told["times_as_fast"] = round(ratio, 2)
    return told | {"verdict": "keep" if ratio < ENOUGH else f"change to {fastest}"}


def _ran(row: Row) -> bool:
    """Whether the form was taken, and not another in its place."""
    return not replaced(str(row["form"]), str(row.get("took", "")))


def table(rows: Sequence[Row]) -> list[str]:
    """The verdicts as lines of text."""
    lines = [
        f"{'case':20}{'type':10}{'size':16}{'mode':9}{'takes':9}{'fastest':10}{'times':>7}  verdict"
    ]
    for row in rows:
        if row.get("case"):
            name, kind, size, mode = (str(row[key]) for key in ("case", "dtype", "size", "mode"))
            takes, best = str(row.get("takes", "")), str(row.get("fastest", ""))
            ratio = str(row.get("times_as_fast", ""))
            told = f"{name:20}{kind:10}{size:16}{mode:9}{takes:9}{best:10}{ratio:>7}"
            lines.append(f"{told}  {row['verdict']}")
    return lines
