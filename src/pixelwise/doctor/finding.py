"""What the doctor has to say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Severity = Literal["stop", "warn", "note"]
ORDER: tuple[Severity, ...] = ("stop", "warn", "note")
FEW = 4
"""So many files are named in a line."""


@dataclass(frozen=True)
class Finding:
    """One problem.

    Args:
        severity: "stop": training must not start; "warn": it may, but look at it; "note": to know.
        key: A short name that stays the same.
        text: What was found, with counts.
        remedy: What to do about it.
        files: All files that it is about, relative to the data set's folder.
        repair: Keys of data.yaml that mend it; None: only the files can be mended.
    """

    severity: Severity
    key: str
    text: str
    remedy: str
    files: tuple[str, ...] = ()
    repair: Mapping[str, Any] | None = None

    @property
    def line(self) -> str:
        """All of it in one line."""
        return f"{self.key}: {self.text}{few(self.files)}; {self.remedy}"


def few(files: Iterable[str]) -> str:
    """The first files in brackets, and how many more; nothing where there is none."""
    names = list(files)
    if not names:
        return ""
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return f" ({', '.join(names[:FEW])}{more})"


def counted(number: int, noun: str) -> str:
    """A number, its noun and perhaps a verb: "3 masks", "1 mask is" or "2 masks are"."""
    word, _, verb = noun.partition(" ")
    if number == 1:
        return f"1 {noun}"
    plural = {"": "", "is": " are", "has": " have"}.get(verb, f" {verb.removesuffix('s')}")
    return f"{number} {word}s{plural}"


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The gravest first."""
    return sorted(findings, key=lambda finding: ORDER.index(finding.severity))
