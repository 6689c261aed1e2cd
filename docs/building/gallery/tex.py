r"""Reads the equations of docstrings, which are plain text, and writes them as TeX.

The text follows what one would write on a board: `A_ij = softmax_j(q_i . k_j / sqrt(d))`.

    relation  = sum { ("=" | "<-" | "<=" | ">=" | "in" | "," | "..") sum }
    sum       = ["-"] term { ("+" | "-") term }
    term      = product { "/" product' }           a fraction; what follows it belongs to it no more
    product   = factor { [" . " | "*"] factor }    a dot, an entrywise product or a convolution
    factor    = atom { "_" script | "^" script | "(" relation ")" | "[" relation "]" }
    atom      = name | number | "(" relation ")" | "[" relation "]" | "|" sum "|" | "<" sum ">"

A name of one letter, or of a letter and an index (`Wq`, `b1`), is a quantity; `*` after a capital
letter is a convolution. Longer names are functions, or words, and stand upright. A bracket right
after a factor belongs to it, and one after a space is multiplied by it.
"""

import re
from dataclasses import dataclass

from building.gallery.names import indices, quantity

LIMITS = {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min"}
"""What is taken over an index."""
TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Z]\d+[a-z]|[A-Za-z]+\d*'?)"
    r"|(?P<sign><-|<=|>=|!=|//|\.\.\.|\.\.|[-+*/^_=,.|<>()\[\]{};])"
)
RELATIONS = {
    "=": "=",
    "<-": r"\leftarrow",
    "<=": r"\leq",
    ">=": r"\geq",
    "!=": r"\neq",
    "<": "<",
    ">": ">",
    ",": r",\;",
    ";": r";\;",
    "..": r", \dots, ",
}


class NotUnderstood(ValueError):
    """An equation has something that the dialect does not."""


@dataclass(frozen=True)
class Token:
    """A piece of an equation, and whether a space stands before it."""

    kind: str
    text: str
    spaced: bool


@dataclass(frozen=True)
class Part:
    """A part of an equation in TeX."""

    tex: str
    bare: str = ""
    """The same without the brackets around it, where it has some."""
    kernel: bool = False
    """Whether it may be the kernel of a convolution: a capital letter."""

    @property
    def inside(self) -> str:
        """For a place that needs no brackets."""
        return self.bare or self.tex


def as_tex(text: str) -> str:
    """An equation of a docstring as TeX.

    Raises:
        NotUnderstood: It has a construct that the dialect does not have.
    """
    reader = _Reader(_tokens(text))
    tex = reader.relation()
    if not reader.done:
        raise NotUnderstood(f"{reader.next.text!r} is not expected in {text!r}")
    return tex


def _tokens(text: str) -> list[Token]:
    tokens, place, spaced = [], 0, True
    while place < len(text):
        found = TOKEN.match(text, place)
        if found is None:
            raise NotUnderstood(f"{text[place]!r} is no sign of the dialect, in {text!r}")
        place, kind = found.end(), found.lastgroup or ""
        if kind != "space":
            tokens.append(Token(kind, found[0], spaced))
        spaced = kind == "space"
    return tokens


class _Reader:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.place = tokens, 0
        self.bars = 0

    @property
    def done(self) -> bool:
        return self.place == len(self.tokens)

    @property
    def next(self) -> Token:
        return Token("end", "", True) if self.done else self.tokens[self.place]

    def take(self) -> Token:
        token = self.next
        self.place += 1
        return token

    def expect(self, sign: str) -> None:
        if self.take().text != sign:
            raise NotUnderstood(f"a {sign!r} is missing in {self.said()!r}")

    def said(self) -> str:
        return "".join(" " * token.spaced + token.text for token in self.tokens).strip()

    def relation(self) -> str:
        tex = [] if self.next.text in RELATIONS else [self.sum()]
        while self.next.text in RELATIONS or self.next.text == "in":
            if self.next.text == ">" and self.bars < 0:
                break  # closes a mean
            sign = self.take().text
            tex.append(r"\in" if sign == "in" else RELATIONS[sign])
            if self.next.text in RELATIONS or self.done:
                continue
            tex.append(self.sum())
        return " ".join(tex).replace(" ,", ",")

    def sum(self) -> str:
        tex = ["-"] if self.next.text == "-" and self.take() else []
        tex.append(self.term())
        while self.next.text in ("+", "-"):
            tex += [self.take().text, self.term()]
        return " ".join(tex)

    def term(self) -> str:
        parts = [self.factor()]
        while True:
            sign = self.next
            if sign.text == "/":
                self.take()
                over = " ".join(part.tex for part in parts) if len(parts) > 1 else parts[0].inside
                parts = [Part(rf"\dfrac{{{over}}}{{{self.factor().inside}}}")]
            elif sign.text == "//":
                self.take()
                over = " ".join(part.tex for part in parts)
                under = self.factor().tex
                parts = [Part(rf"\left\lfloor {over} / {under} \right\rfloor")]
            elif sign.text == "." and sign.spaced:
                self.take()
                parts += [Part(r"\cdot"), self.factor()]
            elif sign.text == "*":
                self.take()
                kernel = parts[-1].kernel
                parts += [Part(r"\ast" if kernel else r"\odot"), self.factor()]
            elif self.starts_factor():
                parts.append(self.factor())
            else:
                return " ".join(part.tex for part in parts)

    def starts_factor(self) -> bool:
        sign = self.next
        if sign.text == "in":
            return False
        if sign.kind in ("name", "number"):
            return True
        opens = sign.text == "|" and self.bars == 0
        return opens or sign.text in ("(", "[", "...") or (sign.text == "<" and self.is_mean())

    def is_mean(self) -> bool:
        after = [token.text for token in self.tokens[self.place + 1 : self.place + 3]]
        return len(after) == 2 and after[1] == ">"

    def factor(self) -> Part:
        part, called = self.atom(), False
        scripts = {"_": "", "^": ""}
        while not self.done and not self.next.spaced:
            sign = self.next.text
            if sign in scripts:
                self.take()
                if scripts[sign]:
                    raise NotUnderstood(f"two {sign!r} on one factor in {self.said()!r}")
                scripts[sign] = self.script(power=sign == "^", of=part.tex)
            elif sign in ("(", "[") and not called:
                part, scripts = self.scripted(part, scripts), {"_": "", "^": ""}
                part = Part(part.tex + self.atom().tex)
                called = sign == "("
            else:
                break
        return self.scripted(part, scripts)

    def scripted(self, part: Part, scripts: dict[str, str]) -> Part:
        if not any(scripts.values()):
            return part
        tex, below = part.tex, scripts["_"]
        if below and (found := re.fullmatch(r"(.+)_\{([\w,]+)\}", tex)):
            tex, below = found[1], f"{found[2]},{below}"  # an index in the name, and another
        if re.search(r"\\right\S$", tex):
            tex = f"{{{tex}}}"
        for sign, script in (("_", below), ("^", scripts["^"])):
            tex += f"{sign}{{{script}}}" if script else ""
        return Part(tex, kernel=part.kernel)

    def script(self, power: bool, of: str) -> str:
        token = self.take()
        if token.text in ("(", "{"):
            tex = self.relation()
            self.expect(")" if token.text == "(" else "}")
            return tex.replace(" x ", r" \times ") if of == r"\mathbb{R}" else tex
        if power and token.text == "T":
            return r"\top"
        if token.kind == "name":
            return indices(token.text)
        if token.kind == "number":
            return token.text
        raise NotUnderstood(f"{token.text!r} as an index in {self.said()!r}")

    def atom(self) -> Part:
        token = self.take()
        if token.kind == "number":
            return Part(token.text)
        if token.kind == "name":
            if token.text in LIMITS:
                return Part(LIMITS[token.text])
            if token.text == "sqrt" and self.next.text == "(":
                return Part(rf"\sqrt{{{self.atom().inside}}}")
            if token.text == "R" and self.next.text == "^":
                return Part(r"\mathbb{R}")
            return Part(quantity(token.text), kernel=token.text[0].isupper())
        if token.text == "...":
            return Part(r"\dots")
        pairs = {"(": ")", "[": "]", "|": "|", "<": ">"}
        if token.text not in pairs:
            raise NotUnderstood(f"{token.text!r} is not expected in {self.said()!r}")
        before, self.bars = self.bars, {"|": 1, "<": -1}.get(token.text, 0)
        inner = self.sum() if token.text in "|<" else self.relation()
        self.bars = before
        self.expect(pairs[token.text])
        left, right = {"<": (r"\langle", r"\rangle")}.get(
            token.text, (token.text, pairs[token.text])
        )
        if token.text in "|<" or re.search(r"\\(dfrac|sum|left|sqrt)\b", inner):
            left, right = rf"\left{left}", rf"\right{right}"
        if left.startswith("\\"):
            left, right = f"{left} ", f" {right}"
        return Part(f"{left}{inner}{right}", bare=inner if token.text == "(" else "")
