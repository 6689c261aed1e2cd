"""What a message of the pages needs in Chinese, and what a translation must keep.

A translation keeps code, targets of links, roles, equations and numbers of its message, and
leaves no English sentence. The glossary holds the terms of the field.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from building.places import DOCS

GLOSSARY = DOCS / "locale" / "zh" / "glossary.csv"

CODE = re.compile(r"(?:\{[\w:+-]+\})?(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
"""Inline code, and roles such as {doc}`page`."""
MATHS = re.compile(r"(?<![\\$])\$[^$\n]+\$")
LINK = re.compile(r"(?<!!)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^()\s]*)\)")
TITLE = re.compile(r'"[A-Z][^"]{11,}"')
"""The title of a paper in quotes, which stays as it is."""
ANCHOR = re.compile(r"\{#[\w-]+\}")
IMAGE = re.compile(r"!\[[^\]]*\]\((?P<target>[^()\s]*)\)")
ADDRESS = re.compile(r"<?https?://[^\s<>()]*[^\s<>().,;]>?|<[^<>\s]+@[^<>\s]+>")
COMMAND = re.compile(r"pixelwise [a-z-]+")
NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*(?:e[+-]?\d+)?")
NAME = re.compile(r"\S*(?:[\w-]*[\d_/=*\\]|\w\.\w|[a-z][A-Z]|[A-Z]{2})\S*")
"""A key, a path, a size, a version, or a name such as DANet."""
WORD = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*")
CHINESE = re.compile(r"[\u3400-\u9fff]")
SENTENCE = re.compile(r"(?:\b[A-Za-z][a-z'-]*[,;:]? +){3,}[a-z]{2,}\b")
"""Four English words that follow each other."""
ORIGINAL = re.compile("\uff08[A-Za-z][\\w '-]*(?=[\uff0c\uff09])")
"""The English name of a term, in brackets behind the Chinese one."""
BRACES = re.compile(r"\{[^{}]*\}")
QUOTED = re.compile("\u201c([^\u201d]*)\u201d")
"""What programs print may be quoted in English, if the message quotes it too."""
HALF = re.compile(r"[\u3400-\u9fff][,;!?](?![\w.])")
BOLD = re.compile(r"\*\*[^*]+?(?P<end>[^\w\s*]?)\*\*(?P<after>.?)")
"""Bold text; Markdown does not end it between punctuation and a letter."""
TERMS_OF_CODE = frozenset(
    re.findall(
        r"\w+",
        """
        albumentations bf bfloat cu deeplabcut fightingcv fp gb gflops gib int kb kaggle keras kib
        lightning matplotlib mb mib mlflow mmseg mmsegmentation monai ms numpy onnx onnxruntime
        openvino pandas pip pixelwise px py pytorch ray safetensors scikit smp tensorboard
        tensorrt timm torch torchvision trackio transformers ultralytics wandb yaml
        """,
    )
)
"""Names of programs, types and units, in lower case, which stay as they are."""


def _without_markup(message: str) -> str:
    """The words of a message, without what a translation keeps."""
    text = CODE.sub(" ", message)
    text = MATHS.sub(" ", text)
    text = ANCHOR.sub(" ", TITLE.sub(" ", text))
    text = IMAGE.sub(" ", text)
    text = LINK.sub(lambda m: " " if m["target"].startswith("http") else f" {m['text']} ", text)
    return ADDRESS.sub(" ", text)


def needs_translation(message: str) -> bool:
    """Whether a message holds words of English.

    Code, keys, numbers, sizes, names of programs, names with capitals inside, and titles of
    papers, in quotes or as the text of links, are no such words.

    Args:
        message: The English text, with its Markdown.

    Returns:
        False where the message stays as it is in Chinese.
    """
    words = WORD.findall(NAME.sub(" ", _without_markup(message)))
    if COMMAND.fullmatch(message):
        return False
    return any(len(word) > 1 and word.lower() not in TERMS_OF_CODE for word in words)


def _words(text: str) -> int:
    return len(WORD.findall(text))


def kept(message: str) -> Counter[str]:
    """What a translation must repeat, with how often: code, roles, equations, targets, numbers."""
    found = Counter(match.group() for match in CODE.finditer(message))
    text = CODE.sub(" ", message)
    found.update(match.group() for match in MATHS.finditer(text))
    text = MATHS.sub(" ", text)
    for pattern in (IMAGE, LINK):
        found.update(match["target"] for match in pattern.finditer(text))
    text = IMAGE.sub(" ", text)
    text = LINK.sub(lambda m: f" {m['text']} ", text)
    found.update(match.group() for match in ADDRESS.finditer(text))
    return found


def numbers(message: str) -> Counter[str]:
    """The numbers among the words of a message, with how often they occur."""
    text = MATHS.sub(" ", CODE.sub(" ", message))
    text = ADDRESS.sub(" ", re.sub(r"\]\([^()\s]*\)", "] ", text))
    return Counter(re.findall(r"\d+(?:[.,]\d+)*", text))


def faults(message: str, translation: str) -> list[str]:
    """What is wrong with a translation, one line each; none if it keeps what it must.

    Args:
        message: The English text.
        translation: The Chinese text.

    Returns:
        Sentences for people, empty if nothing is wrong.
    """
    found = []
    if kept(message) != kept(translation):
        lost, added = kept(message) - kept(translation), kept(translation) - kept(message)
        found.append(f"code or links differ: lost {sorted(lost)}, added {sorted(added)}")
    if lost := numbers(message) - numbers(translation):
        found.append(f"numbers are lost: {sorted(lost)}")
    same = message == translation and max(map(_words, re.split("[,;]", message))) < 7
    text = ORIGINAL.sub(" ", _without_markup(translation))
    text = QUOTED.sub(lambda m: " " if f'"{m[1]}"' in message else m[1], text)
    text = BRACES.sub(lambda m: " " if m[0] in message else m[0], text)
    if not same and (sentence := SENTENCE.search(text)):
        found.append(f"English is left: {sentence.group()!r}")
    if not same and (half := HALF.search(text)):
        found.append(f"punctuation of half width after Chinese: {half.group()!r}")
    names_alone = WORD.findall(message) == WORD.findall(translation)
    if not names_alone and not CHINESE.search(translation):
        found.append("there is no Chinese, and other words than those of the message")
    for bold in BOLD.finditer(CODE.sub("`", translation)):
        if bold.group("end") and re.match(r"\w", bold.group("after")):
            found.append(f"Markdown does not end this: {bold.group()!r}; move {bold['end']} out")
    return found


@dataclass(frozen=True)
class Term:
    """One line of the glossary.

    Attributes:
        english: The term as the pages write it.
        chinese: Its accepted translations, the first one preferred.
        unless: Where a message matches this, another translation is right; None if never.
        guide: Whether the line only advises, because the term has several meanings.
    """

    english: str
    chinese: tuple[str, ...]
    unless: re.Pattern[str] | None
    guide: bool

    def missed(self, message: str, translation: str) -> bool:
        """Whether a message has the term as a word and its translation has none of the Chinese."""
        if self.guide or self.english.lower() not in message.lower():
            return False
        kept_in = {match[1] for match in QUOTED.finditer(translation)}
        words = re.sub(r'"([^"]*)"', lambda m: "" if m[1] in kept_in else m[0], message)
        words = NAME.sub(" ", _without_markup(words))
        if self.unless and self.unless.search(message):
            return False
        if not re.search(rf"\b{re.escape(self.english)}(?:s|es)?\b", words, re.IGNORECASE):
            return False
        plain = translation.replace(" ", "").lower()
        return not any(way.replace(" ", "").lower() in plain for way in self.chinese)


def glossary(path: Path = GLOSSARY) -> Iterator[Term]:
    """The terms of the glossary, in its order.

    Args:
        path: A table with the columns english, chinese and note.

    Yields:
        One term for each line. A note `guide: ...` advises, a note `unless: REGEX` excepts.
    """
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            kind, _, rest = row["note"].partition(":")
            unless = re.compile(rest.strip(), re.IGNORECASE) if kind == "unless" else None
            yield Term(row["english"], tuple(row["chinese"].split("|")), unless, kind == "guide")
