"""Find a thing by any of the names that articles, papers and code give it.

Case, spaces, `-` and `_` do not matter, nor do British and American spelling, or a word such as
"module" at the end. An exact key always wins; a name that several things have is refused with all
of them; one of a thing that is not here says so, and what is nearest in kind.
"""

import difflib
import functools
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from pixelwise.errors import InputError

CLOSE = 0.75
"""How alike a misspelt name and a known one must be for a hint; below, hints mislead."""
_LAST = re.compile(r"(attention|attn|att|mechanism|module|block|layer|unit|注意力|机制|模块|层)$")
_LATIN = str.maketrans("аеорсухѕіјмтнквАЕОРСУХЅІЈМТНКВ", "aeopcyxsijmthkb" * 2)
"""Cyrillic letters -> those that they look like."""
_LONG = 8
"""A known name of so many letters within a title gives a hint."""
_LONGEST = 80
"""Letters of a name that messages show."""


class Known(NamedTuple):
    """What a key stands for, and the other names that it has."""

    title: str
    year: int | None
    names: Sequence[str]


class Elsewhere(NamedTuple):
    """A thing that people ask for and that is not here."""

    title: str
    names: Sequence[str]
    near: Sequence[str]
    """Keys of what is nearest to it in kind."""
    key: str = ""
    """The key that it would have; "" where nothing else speaks of it."""
    year: int | None = None
    paper: str = ""
    line: str = ""
    """What it does."""

    @property
    def all_names(self) -> Sequence[str]:
        """Key, title and the others."""
        return [name for name in (self.key, self.title, *self.names) if name]


class Names(NamedTuple):
    """All names of things of one kind."""

    known: Mapping[str, Known]
    """What is here, by key."""
    elsewhere: Sequence[Elsewhere] = ()
    shared: Mapping[str, Sequence[str]] = {}
    """Name -> keys, here or elsewhere, of all that it is used for; what most mean comes first."""


Meaning = str | Elsewhere
"""A key, or what is not here."""


@functools.lru_cache(4096)
def folded(name: str) -> str:
    """A name without what spellings differ in."""
    text = unicodedata.normalize("NFKC", name).casefold().replace("+", "plus").replace("&", "and")
    text = re.sub(r"[\W_]", "", text)
    return re.sub(r"(?<=i)s(?=ed|ation|ing)", "z", text).replace("our", "or")


def meanings(name: str, names: Names) -> list[Meaning]:
    """All that a name can mean: one alone where it is a key, or where most mean a key by it."""
    exact = unicodedata.normalize("NFKC", name).strip()
    if exact in names.known:
        return [exact]
    wanted = folded(name)
    if not wanted:
        return []
    found = _having(wanted, names, folded)
    if found and isinstance(found[0], str) and folded(found[0]) == wanted:
        return found[:1]
    if not found and (stem := _stem(wanted)):
        found = _having(stem, names, lambda other: _stem(folded(other)))
    if not found and ":" in name:  # a paper's title, such as "SimAM: A Simple ..."
        return meanings(name.partition(":")[0], names)
    return found


def matches(name: str, names: Names) -> list[str]:
    """The keys that have this very name, spelling aside."""
    return [one for one in _having(folded(name), names, folded) if isinstance(one, str)]


def taken_for(key: str, names: Names) -> list[Meaning]:
    """What others mean by the name that is a key here; first what more people mean by it."""
    return [one for one in _having(folded(key), names, folded) if one != key]


def is_taken_for_another(key: str, names: Names) -> bool:
    """Whether most people mean something else by the name that is a key here."""
    return _having(folded(key), names, folded)[0] != key


def mistaken(key: str, names: Names) -> str:
    """What a key is here, what most people mean by it, and how to say that it is meant."""
    own = names.known[key]
    other = taken_for(key, names)[0]
    most = other if isinstance(other, Elsewhere) else names.known[other]
    where = f"{other!r} here" if isinstance(other, str) else "not in this version"
    return (
        f"is {told(own)}; most people mean {told(most)} by it, which is {where}; write"
        f" {clearly(key, names)!r} to be understood without this note"
    )


def resolve(kind: str, name: object, names: Names, said: str | None = None) -> str:
    """The key of the one thing that is meant.

    Args:
        kind: What it is, one word such as "layer".
        name: As it was typed.
        names: All there are.
        said: What the user calls it, for messages, such as "attention"; None: as `kind`.

    Raises:
        InputError: There is none of this name, or several; or this is no name.
    """
    said = said or kind
    if not isinstance(name, str):
        raise InputError(f"{said}={_shown(name)}: is no name; give that of {_a(kind)} as text")
    found = meanings(name, names)
    here = [one for one in found if isinstance(one, str)]
    away = [one for one in found if not isinstance(one, str)]
    if len(here) == 1 and not away:
        return here[0]
    if not found:
        raise _misspelt(kind, name, names, said)
    missing = _or(map(told, away))
    if len(found) == 1:
        rule = f"{missing} is not in this version; nearest here: {_near(away)}"
    elif not here:
        rule = f"could be {missing}, none of them in this version; nearest here: {_near(away)}"
    else:
        listed = ", ".join(f"{key!r} ({_inside(names.known[key])})" for key in here)
        rule = f"could be {listed}" + (f" or, not in this version, {missing}" if away else "")
        rule += f"; write {_or(repr(clearly(key, names)) for key in here)}"
        if away and found[0] == away[0]:
            rule += f", or what is nearest to {away[0].title}: {_near(away[:1])}"
    raise InputError(f"{said}={_shown(name)}: {rule}")


def told(one: Known | Elsewhere) -> str:
    """Title and year in a line."""
    if one.year is None:
        return one.title
    inside = one.title.removesuffix(")")
    return f"{inside}, {one.year})" if inside != one.title else f"{one.title} ({one.year})"


def _inside(one: Known) -> str:
    """Title and year, to stand in brackets."""
    return re.sub(r" \((.*)\)", r", \1", told(one)).replace(" (", ", ").replace(")", "")


def clearly(key: str, names: Names) -> str:
    """A key, or another name of it where most people mean something else by the key."""
    return names.known[key].names[0] if is_taken_for_another(key, names) else key


def _having(wanted: str, names: Names, fold: Callable[[str], str]) -> list[Meaning]:
    """All of a folded name: those of `shared` in its order, then those whose key it is."""
    missing = {one.key: one for one in names.elsewhere if one.key}
    found: list[Meaning] = []
    for name, keys in names.shared.items():
        if fold(name) == wanted:
            found += [key if key in names.known else missing[key] for key in keys]
    here = [
        key for key, one in names.known.items() if wanted in map(fold, (key, one.title, *one.names))
    ]
    here.sort(key=lambda key: folded(key) != wanted)
    found += here
    found += [one for one in names.elsewhere if wanted in map(fold, one.all_names)]
    return list(dict.fromkeys(found))


def _stem(name: str) -> str:
    """A folded name without words such as "module" at its end."""
    while (shorter := _LAST.sub("", name)) != name:
        name = shorter
    return name


def _core(name: str) -> str:
    """The stem of a name, or all of it where it has none."""
    return _stem(folded(name)) or folded(name)


def _spelt(names: Names) -> dict[str, Meaning]:
    """The core of every name -> what it means, or how it is written."""
    spelt: dict[str, Meaning] = {}
    for away in names.elsewhere:
        spelt |= {_core(other): away for other in away.all_names}
    for key, one in names.known.items():
        spelt |= {_core(other): key for other in (*one.names, one.title)}
    return spelt | {_core(other): other for other in (*names.shared, *names.known)}


def nearest(name: str, names: Names) -> tuple[float, Meaning]:
    """How alike a misspelt name and the nearest known one are, at most 1, and what that means."""
    spelt, wanted = _spelt(names), _core(name)[:_LONGEST]
    matcher = difflib.SequenceMatcher(b=wanted, autojunk=False)
    alike = {}
    for other in spelt:
        matcher.set_seq1(other)
        alike[other] = matcher.ratio()
    closest = max(alike, key=alike.__getitem__)
    return alike[closest], spelt[closest]


def _misspelt(kind: str, name: str, names: Names, said: str) -> InputError:
    if not folded(name):
        return InputError(
            f"{said}={_shown(name)}: names no {kind}; known: {', '.join(names.known)}"
        )
    spelt = _spelt(names)
    wanted = _core(name.translate(_LATIN))[:_LONGEST]
    close = [wanted] * (wanted in spelt)
    here = [other for other, meant in spelt.items() if isinstance(meant, str)]
    close += [other for other in here if sorted(other) == sorted(wanted)]  # swapped letters
    parts = [other for other in spelt if len(other) >= _LONG and other in wanted]
    close += sorted(parts, key=len, reverse=True)
    close += difflib.get_close_matches(wanted, spelt, cutoff=CLOSE)
    hint = f"known: {', '.join(names.known)}"
    if close:
        meant = spelt[close[0]]
        hint = (
            f"did you mean {meant!r}?"
            if isinstance(meant, str)
            else f"did you mean {told(meant)}, which is not in this version? Nearest here:"
            f" {_near([meant])}"
        )
    return InputError(f"{said}={_shown(name)}: unknown {kind}{_foreign(name)}; {hint}")


def _foreign(name: str) -> str:
    """Letters that look like those of the alphabet and are others, in words."""
    for letter in name:
        script = unicodedata.name(letter, "")
        if script.startswith(("CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")):
            return f" with a {script} in its name"
    return ""


def _shown(name: object) -> str:
    text = " ".join(repr(name).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _near(away: Iterable[Elsewhere]) -> str:
    return ", ".join(dict.fromkeys(repr(key) for one in away for key in one.near))


def _a(kind: str) -> str:
    """A word with its article."""
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"


def _or(words: Iterable[str]) -> str:
    several = list(words)
    return " or ".join([", ".join(several[:-1])] * (len(several) > 1) + several[-1:])
