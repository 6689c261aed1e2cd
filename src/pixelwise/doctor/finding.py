"""What the doctor has to say."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pixelwise.language import Message, mark, message, said, spoken

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

    @property
    def spoken(self) -> str:
        """The line in the chosen language."""
        told = message(
            "{key}: {text}{files}; {remedy}",
            key=self.key,
            text=self.text,
            files=few(self.files),
            remedy=self.remedy,
        )
        return spoken(told)


def few(files: Iterable[str]) -> str:
    """The first files in brackets, and how many more; nothing where there is none."""
    names = list(files)
    if not names:
        return ""
    more = message(" and {more} more", more=len(names) - FEW) if len(names) > FEW else ""
    return message(" ({names}{more})", names=", ".join(names[:FEW]), more=more)


COUNTED = {
    "archive": mark("{number} archives"),
    "file": mark("{number} files"),
    "finding": mark("{number} findings"),
    "mask": mark("{number} masks"),
    "note": mark("{number} notes"),
    "picture": mark("{number} pictures"),
    "warning": mark("{number} warnings"),
}


def counted(number: int, noun: str, kind: str = "") -> Message:
    """A number, its noun and perhaps a verb: "3 masks", "1 mask is" or "2 masks are".

    Args:
        number: Of the things.
        noun: The thing, and the verb as it is for one.
        kind: Of the things, such as a type.
    """
    word, _, verb = noun.partition(" ")
    plural = {"": "", "is": " are", "has": " have"}.get(verb, f" {verb.removesuffix('s')}")
    told = noun if number == 1 else f"{word}s{plural}"
    before = f"{kind} " if kind else ""
    return said(f"{number} {before}{told}", COUNTED[word], number=f"{number} {kind}".rstrip())


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """The gravest first."""
    return sorted(findings, key=lambda finding: ORDER.index(finding.severity))
