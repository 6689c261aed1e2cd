"""Weighted sums of losses as text: `ce+0.5*dice`, `focal(gamma=2)+0.01*boundary`.

A sum is terms with "+" between them; a term is a loss's name, with its parameters in brackets where
some are given, and a factor and "*" before it where that is not 1.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pixelwise.errors import InputError, suggestion
from pixelwise.kinds import LONGEST, shown
from pixelwise.losses.kinds import EXAMPLE, KINDS, SHORT, Kind

NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_TOKEN = re.compile(rf"\s*(?:(?P<number>{NUMBER})(?![\w.])|(?P<name>[^\W\d]\w*)|(?P<mark>\S))")
SAMPLE = "write it as in tversky(alpha=0.3,beta=0.7)"
TAKEN = "a factor must be above 0; losses are added, never taken away"
WEIGHTS = (1e-6, 1e6)
"""The least and the largest factor of a term."""
Token = tuple[str, str]
"""(number, name, mark or end; the text)."""


@dataclass(frozen=True)
class Term:
    """One loss of a sum: its factor, its kind's name, and the parameters that are given."""

    weight: float
    name: str
    parameters: Mapping[str, float]

    @property
    def kind(self) -> Kind:
        """The loss itself."""
        return KINDS[self.name]


def read_loss(text: str) -> tuple[Term, ...]:
    """The terms of a sum.

    Raises:
        InputError: The text is no such sum; one line says where and what instead.
    """
    try:
        return _Reader(text).sum()
    except InputError as error:
        given = f"loss={shown(text)}"
        raise InputError(f"{given}: {error}") from None


class _Reader:
    """Takes tokens from the left; its errors are without the text they are about."""

    def __init__(self, text: str) -> None:
        if not text.strip():
            raise InputError(f"is empty; write a loss, such as {EXAMPLE}")
        found = _TOKEN.finditer(text.rstrip())
        self.tokens = [_token(str(t.lastgroup), t[str(t.lastgroup)]) for t in found]
        self.tokens.append(("end", "the end"))

    def sum(self) -> tuple[Term, ...]:
        """All of it."""
        terms = [self._term()]
        while (token := self._next())[0] != "end":
            if token[1] == "*":
                raise InputError("a factor stands before its loss; write 0.5*dice")
            if token[1] == "-":
                raise InputError(TAKEN)
            if token[1] in "()":
                raise InputError(f"{token[1]!r} has no partner; write focal(gamma=2)")
            if token[1] != "+":
                raise InputError(f"{token[1]!r} where '+' must stand; write {EXAMPLE}")
            terms.append(self._term())
        return tuple(terms)

    def _next(self) -> Token:
        return self.tokens.pop(0) if len(self.tokens) > 1 else self.tokens[0]

    def _takes(self, mark: str) -> bool:
        return self.tokens[0] == ("mark", mark) and bool(self._next())

    def _term(self) -> Term:
        weight = 1.0
        if self.tokens[0][1] == "-":
            raise InputError(TAKEN)
        if self.tokens[0][0] == "number":
            weight = _number("the factor", self._next()[1], *WEIGHTS)
            if not self._takes("*"):
                raise InputError(f"'*' must follow the factor {weight:g}; write {weight:g}*dice")
        sort, name = self._next()
        if sort != "name":
            raise InputError(f"{name!r} where a loss must stand; write {EXAMPLE}")
        full = SHORT.get(name, name)
        if full not in KINDS:
            raise InputError(f"unknown loss {name!r}; {suggestion(name, [*SHORT, *KINDS])}")
        return Term(weight, full, self._parameters(full) if self._takes("(") else {})

    def _parameters(self, loss: str) -> dict[str, float]:
        known, found = KINDS[loss].parameters, dict[str, float]()
        while True:
            sort, name = self._next()
            if sort != "name":
                raise InputError(f"{name!r} where a parameter of {loss} must stand; {SAMPLE}")
            if name not in known:
                remedy = suggestion(name, known) if known else "it has none, leave the brackets out"
                raise InputError(f"unknown parameter {name!r} of {loss}; {remedy}")
            if name in found:
                raise InputError(f"{name} twice; give it once")
            if not self._takes("="):
                raise InputError(f"'=' must follow {name}; {SAMPLE}")
            sign = "-" if self._takes("-") else ""
            sort, text = self._next()
            if sort != "number":
                raise InputError(f"{name}={sign}{text}: must be a number; {SAMPLE}")
            found[name] = _number(name, sign + text, *known[name])
            if self._takes(","):
                continue
            if not self._takes(")"):
                raise InputError(f"'(' after {loss} has no partner; {SAMPLE}")
            if found.get("alpha") == found.get("beta") == 0:
                raise InputError("alpha=0, beta=0: nothing would be an error; raise one")
            return found


def _token(sort: str, text: str) -> Token:
    """A token; one too long to mean anything is cut, and a mark."""
    return (sort, text) if len(text) <= LONGEST else ("mark", f"{text[:LONGEST]}...")


def _number(name: str, text: str, low: float, high: float) -> float:
    value = float(text)
    if not low <= value <= high:
        remedy = "raise" if value < low else "lower"
        raise InputError(f"{name}={text}: must be from {low:g} to {high:g}; {remedy} it")
    return value
