"""The examination as a page, and as lines for a terminal."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from pixelwise.doctor.checks.classes import ClassTable
from pixelwise.doctor.examine import Examination
from pixelwise.doctor.finding import ORDER, Finding, counted
from pixelwise.doctor.quick import QuickLook
from pixelwise.doctor.sheet import contact_sheet, legend_entries
from pixelwise.language import left, mark, plural, spoken, translate
from pixelwise.pictures.comparison import legend
from pixelwise.pictures.files import png
from pixelwise.report import (
    Block,
    Commands,
    Figure,
    Highlight,
    Report,
    Section,
    Settings,
    Table,
    Text,
)

HEADS = {
    "stop": mark("What stops a training"),
    "warn": mark("What to look at"),
    "note": mark("What to know"),
}
SEVERITIES = {"stop": mark("stop"), "warn": mark("warn"), "note": mark("note")}
"""What a line begins with."""
LISTED = 40
"""So many files of a finding are named on the page."""
SHOWN = 8
"""So many values of a map are shown in a line."""


def verdict(examination: Examination) -> str:
    """One line: whether a training may start."""
    counts = Counter(finding.severity for finding in examination.findings)
    stopping = counted(counts["stop"], "finding")
    verb = plural("{findings} that stops", "{findings} that stop", counts["stop"])
    parts = [verb.format(findings=spoken(stopping))]
    parts += [spoken(counted(counts["warn"], "warning"))] * bool(counts["warn"])
    parts += [spoken(counted(counts["note"], "note"))] * bool(counts["note"])
    told = translate(", ").join(parts if counts["stop"] else parts[1:]) or translate(
        "nothing to note"
    )
    if examination.may_start:
        return translate("training may start: {told}").format(told=told)
    return translate("training must not start: {told}").format(told=told)


def lines(examination: Examination | QuickLook) -> Iterator[str]:
    """The findings for a terminal."""
    for finding in examination.findings:
        yield f"{left(translate(SEVERITIES[finding.severity]), 5)} {finding.spoken}"
        if finding.repair:
            yield translate("      data.yaml: {join}").format(
                join="; ".join(as_line(finding.repair))
            )


def as_line(repair: Mapping[str, Any]) -> Iterator[str]:
    """A line for each key, such as `map: {0: 0, 255: 1}`; long maps are cut short."""
    for key, value in repair.items():
        if value is None:
            yield translate("remove {key}").format(key=key)
        elif isinstance(value, dict):
            kept = [(k, v) for k, v in value.items() if v != "ignore"][:SHOWN]
            kept += [(k, v) for k, v in value.items() if v == "ignore"][: max(0, SHOWN - len(kept))]
            rest = (
                translate(", and {amount} more").format(amount=len(value) - len(kept))
                if len(value) > len(kept)
                else ""
            )
            inner = ", ".join(f"{_shown(k)}: {_shown(v)}" for k, v in kept)
            yield f"{key}: {{{inner}{rest}}}"
        elif isinstance(value, list):
            yield f"{key}: [{', '.join(map(_shown, value))}]"
        else:
            yield f"{key}: {_shown(value)}"


def _shown(value: object) -> str:
    text = str(value)
    return f'"{text}"' if isinstance(value, str) and ("#" in text or "*" in text) else text


def report(examination: Examination, name: str) -> Report:
    """The page."""
    seen = examination.seen
    pictures, masks = seen.pictures(), seen.masks()
    grave = Counter(finding.severity for finding in examination.findings)
    sections = [
        Section(translate(HEADS[severity]), "", tuple(_blocks(examination, severity)))
        for severity in ORDER
        if grave[severity]
    ]
    if examination.table is not None:
        sections.append(_classes(examination, examination.table))
    sections.append(_files(examination))
    sections += contact_sheet(examination)
    return Report(
        translate("Check of {name}").format(name=name),
        _sentence(verdict(examination)),
        (
            Highlight(
                translate("Training"),
                translate("may start") if examination.may_start else translate("must not start"),
            ),
            Highlight(translate("Pictures"), str(len(pictures)), _splits(examination)),
            Highlight(translate("Masks"), str(len(masks))),
            Highlight(
                translate("Findings"),
                str(grave["stop"] + grave["warn"]),
                translate("{grave} of them stop").format(grave=grave["stop"]),
            ),
        ),
        tuple(sections),
        "pixelwise check-data",
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + translate(".")


def _splits(examination: Examination) -> str:
    counts = Counter(f.split for f, _ in examination.seen.pictures())
    return ", ".join(f"{split} {number}" for split, number in counts.items() if split)


def _blocks(examination: Examination, severity: str) -> Iterator[Block]:
    for finding in examination.findings:
        if finding.severity == severity:
            yield Text(finding.key, _told(finding))
            if finding.repair:
                yield Commands(dict.fromkeys(as_line(finding.repair), translate("in data.yaml")))


def _told(finding: Finding) -> str:
    files = ", ".join(finding.files[:LISTED])
    more = len(finding.files) - LISTED
    parts = [
        _sentence(spoken(finding.text)),
        translate("What to do: {remedy}.").format(remedy=spoken(finding.remedy)),
        translate("Files: {files}{what}.").format(
            files=files, what=translate(" and {more} more").format(more=more) if more > 0 else ""
        )
        if files
        else "",
    ]
    return "\n\n".join(part for part in parts if part)


def _classes(examination: Examination, table: ClassTable) -> Section:
    splits = [*table.pixels]
    shares, sizes = [], []
    for i, name in enumerate(table.names):
        row = [name]
        for split in splits:
            total = sum(table.pixels[split])
            row.append(f"{100 * table.pixels[split][i] / total:.3g}" if total else "")
        weight = table.weights[i]
        shares.append((*row, "" if weight is None else f"{weight:.2f}"))
        lost = [table.lost[stride][i] for stride in table.lost]
        told = ["" if share is None else f"{100 * share:.0f}" for share in lost]
        sizes.append((name, *(str(table.pictures[split][i]) for split in splits), *told))
    ignored = ", ".join(
        f"{split} {100 * table.ignored[split] / total:.3g} %"
        for split in splits
        if (total := sum(table.pixels[split]) + table.ignored[split])
    )
    blocks: list[Block] = [
        Table(
            (translate("class"), *(f"{split}, %" for split in splits), translate("weight")),
            tuple(shares),
        ),
        Text(
            translate("Pictures and regions"),
            translate(
                "How many pictures hold the class, and how many % of its regions are"
                " smaller than one place of a network of output stride 8, 16 or 32."
            ),
        ),
        Table(
            (
                translate("class"),
                *splits,
                *(translate("below {n} x {n}").format(n=n) for n in table.lost),
            ),
            tuple(sizes),
        ),
    ]
    if entries := dict(legend_entries(examination)):
        blocks.append(Figure(png(legend(entries, 460)), translate("Colours of the classes")))
    text = translate(
        "Shares of the pixels that count. Ignored: {what}. Proposed weights for"
        " a loss: the inverse root of the share in train, 1 on average."
    ).format(what=ignored or translate("none"))
    return Section(translate("Classes"), text, tuple(blocks))


def _files(examination: Examination) -> Section:
    seen = examination.seen
    good = [p for _, p in seen.pictures(lambda p: not p.error)]
    values: dict[str, str] = {}
    sizes = Counter(f"{p.width}x{p.height}" for p in good)
    values[translate("sizes")] = _most(sizes)
    values[translate("bands")] = _most(Counter(str(p.bands) for p in good))
    values[translate("types")] = _most(Counter(p.dtype for p in good))
    values[translate("picture files")] = _most(Counter(p.container.format for p in good))
    values[translate("mask files")] = _most(
        Counter(f"{m.container.format} {m.dtype}".strip() for _, m in seen.masks())
    )
    if good:
        values[translate("values")] = translate("{low} to {high}").format(
            low=f"{min(p.low for p in good):g}", high=f"{max(p.high for p in good):g}"
        )
    for split, (pictures, masks) in seen.subject.folders.items():
        values[split] = f"{seen.subject.told(pictures)}, {seen.subject.told(masks or '')}"
    return Section(translate("Files"), "", (Settings({k: v for k, v in values.items() if v}),))


def _most(counts: Counter[str]) -> str:
    shown = [f"{text} ({number})" for text, number in counts.most_common(4) if text]
    return ", ".join(shown) + (
        translate(" and {amount} more").format(amount=len(counts) - 4) if len(counts) > 4 else ""
    )


def summary(examination: Examination) -> dict[str, Any]:
    """The findings for programs."""
    return {
        "may_start": examination.may_start,
        "findings": [
            {
                "severity": f.severity,
                "key": f.key,
                "text": f.text,
                "remedy": f.remedy,
                "files": list(f.files),
                "repair": None
                if f.repair is None
                else {
                    key: {str(k): v for k, v in value.items()} if isinstance(value, dict) else value
                    for key, value in f.repair.items()
                },
            }
            for f in examination.findings
        ],
    }
