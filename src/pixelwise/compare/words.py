"""Verdicts in plain words, English and Chinese, as text without marks of HTML.

    +1.9 ± 0.6 points mean IoU over its control, 7 % slower per picture: worth it

Behind ± stands half the 95 % interval over seeds. Where smaller is better, a gain is told as an
error that is smaller.
"""

import math
import re
from typing import Literal

from pixelwise.compare import phrases
from pixelwise.compare.arms import CONTROL, NONE
from pixelwise.compare.statistics import MOST_SEEDS, Effect
from pixelwise.compare.verdicts import Against, Note, Reach, Verdict, Word
from pixelwise.metrics import Kind

Language = Literal["en", "zh"]
FEW = 20
"""Pictures below which the interval by drawing them is much too narrow."""
TWICE = 1.0
"""From this on, slower by 1 is told as times instead of percent."""


def word(word: Word, language: Language = "en") -> str:
    """A verdict's word."""
    return _in(phrases.WORDS[word], language)


def meaning(word: Word, language: Language = "en") -> str:
    """What the word means, for a legend."""
    return _in(phrases.MEANINGS[word], language)


def notes(verdict: Verdict, language: Language = "en") -> list[str]:
    """What is to be known besides, a line each."""
    told = (_in(phrases.NOTES[note], language) for note in verdict.notes)
    return [line.format(missing=verdict.missing) for line in told]


def title(kind: Kind, language: Language = "en") -> str:
    """What a score is called."""
    if language == "en":
        return kind.title
    by_size = re.fullmatch(r"(found|error)_(small|middle|large)", kind.name)
    bounds = re.search(r"\((.*)\)$", kind.title)
    if not (by_size and bounds):
        return phrases.TITLES.get(kind.name, kind.title)
    told = bounds[1]
    for english, chinese in phrases.BOUNDS.items():
        told = told.replace(english, chinese)
    phrase = phrases.FOUND if by_size[1] == "found" else phrases.ERROR
    return phrase.format(size=phrases.SIZES[by_size[2]], bounds=told)


def arm(name: str, language: Language = "en") -> str:
    """What an arm is called."""
    if name == NONE:
        return _in(phrases.NONE, language)
    if longer := re.fullmatch(rf"{NONE}, (\S+) times as long", name):
        return _in(phrases.LONGER, language).format(times=longer[1])
    if name.startswith(f"{CONTROL} of "):
        return _in(phrases.CONTROL_OF, language).format(name=name.removeprefix(f"{CONTROL} of "))
    return name


def difference(kind: Kind, effect: Effect, language: Language = "en") -> str:
    """An effect with its unit and half its interval, such as "+1.9 ± 0.6 points"."""
    if _is_nothing(effect):
        return _in(phrases.SHORT_SAME, language)
    choice = phrases.SHORT
    if kind.larger is False:
        choice = phrases.SHORT_SMALLER if effect.mean >= 0 else phrases.SHORT_LARGER
    value = figures(kind, effect, sign=kind.larger is not False)
    return " ".join(_in(choice, language).format(value=value, unit=_unit(kind, language)).split())


def figures(kind: Kind, effect: Effect, *, sign: bool = True) -> str:
    """The numbers of an effect without its unit: as many digits as the interval allows."""
    factor = 100.0 if kind.percent else 1.0
    mean, margin = factor * effect.mean, factor * effect.margin
    known = math.isfinite(margin) and margin > 0
    digits = _digits(margin if known else abs(mean) / 10)
    if kind.percent:
        digits = min(2, max(1, digits))
    if mean and _is_zero(mean, digits):
        digits = 2 if kind.percent else digits + 1
    told = f"{abs(mean):.{digits}f}"
    if sign and not _is_zero(mean, digits):
        told = f"{mean:+.{digits}f}"
    return f"{told} ± {margin:.{digits}f}" if math.isfinite(margin) else told


def cost(verdict: Verdict, language: Language = "en") -> str:
    """What a picture takes longer, such as "7 % slower per picture"; "" where unknown."""
    slower = verdict.slower
    if slower is None:
        return ""
    if slower >= TWICE:
        return _in(phrases.TIMES, language).format(times=f"{1 + slower:.1f}")
    percent = round(100 * abs(slower))
    if percent == 0:
        return _in(phrases.ALIKE, language)
    choice = phrases.SLOWER if slower > 0 else phrases.FASTER
    return _in(choice, language).format(percent=percent)


def gain(verdict: Verdict, against: Against, language: Language = "en", titled: bool = True) -> str:
    """A difference with what it is of and from, such as "+1.9 ± 0.6 points mean IoU over none"."""
    kind, effect = verdict.kind, against.effect
    if _is_nothing(effect):
        choice, titled = phrases.SAME, True
    elif kind.larger is False:
        choice = phrases.SMALLER if effect.mean >= 0 else phrases.LARGER
    else:
        choice = phrases.MORE if effect.mean >= 0 else phrases.LESS
    of = language == "en" and choice in (phrases.MORE, phrases.LESS) and titled and kind.apart_in
    is_control = verdict.control is not None and against.arm == verdict.control.arm
    told = _in(choice, language).format(
        value=figures(kind, effect, sign=language == "en" and kind.larger is not False),
        unit=_unit(kind, language) + (phrases.OF if of else ""),
        title=title(kind, language) if titled else "",
        arm=_in(phrases.ITS_CONTROL, language) if is_control else arm(against.arm, language),
    )
    told = " ".join(told.split())
    return re.sub(r"(?<=[A-Za-z0-9])(?=[\u4e00-\u9fff])", " ", told)


def sentence(verdict: Verdict, language: Language = "en") -> str:
    """The verdict in a sentence, without the mechanism's name."""
    base = verdict.none or verdict.control
    if base is None:
        note = _in(phrases.NOTES[Note.NO_RUN], language)
        return _in(phrases.NOTHING, language).format(note=note)
    beside = _in(phrases.BESIDE, language)
    first = verdict.control or base
    others = [one for one in verdict.against if one is not first]
    wait = cost(verdict, language)
    lack = phrases.NO_NONE if verdict.none is None else phrases.NO_CONTROL
    told = {
        "all": beside.join(
            [
                gain(verdict, first, language),
                *(gain(verdict, one, language, False) for one in others),
            ]
        ),
        "base": gain(verdict, base, language),
        "control": _short(verdict, verdict.control, language),
        "longer": _short(verdict, verdict.longer, language),
        "gain": _control_gain(verdict, language),
        "cost": f"{beside}{wait}" if wait else "",
        "lack": _in(lack, language),
        "because": _because(verdict, base, language),
    }
    return _in(phrases.SENTENCES[verdict.word], language).format(**told)


def reach(of: Reach, language: Language = "en") -> str:
    """How large an effect must be for the comparison to show it."""
    if of.kind.percent and of.gain >= 1:
        return _in(phrases.NO_REACH, language).format(seeds=of.seeds, mechanisms=of.mechanisms)
    factor = 100.0 if of.kind.percent else 1.0
    gain = f"{factor * of.gain:.{_digits(factor * of.gain)}f} {_unit(of.kind, language)}"
    told = _in(phrases.REACH, language)
    told = told.format(seeds=of.seeds, mechanisms=of.mechanisms, gain=gain.strip())
    if 1 < of.pictures < FEW:
        told += _in(phrases.FEW_PICTURES, language).format(pictures=of.pictures)
    return told


def _short(verdict: Verdict, against: Against | None, language: Language) -> str:
    return "" if against is None else difference(verdict.kind, against.effect, language)


def _control_gain(verdict: Verdict, language: Language) -> str:
    if verdict.control_gain is None:
        return ""
    told = difference(verdict.kind, verdict.control_gain, language)
    return _in(phrases.GAIN, language).format(gain=told)


def _because(verdict: Verdict, base: Against, language: Language) -> str:
    """What would be needed to say more."""
    reasons = {
        Note.FEW_PICTURES: base.lacks_pictures,
        Note.ONE_SEED: len(base.effect.differences) == 1,
        Note.MORE_PICTURES: base.turns_with_pictures,
        Note.TOGETHER: Note.TOGETHER in verdict.notes,
    }
    for note, holds in reasons.items():
        if holds:
            return _in(phrases.BECAUSE, language) + _in(phrases.NOTES[note], language)
    if _is_nothing(base.effect):
        return ""
    if base.seeds is None:
        return _in(phrases.MANY_SEEDS, language).format(seeds=MOST_SEEDS)
    return _in(phrases.SEEDS, language).format(seeds=base.seeds)


def _is_nothing(effect: Effect) -> bool:
    return not any(effect.differences)


def _in(pair: tuple[str, str], language: Language) -> str:
    return pair[0] if language == "en" else pair[1]


def _unit(kind: Kind, language: Language) -> str:
    unit = kind.apart_in
    return phrases.UNITS.get(unit, unit) if language == "zh" else unit


def _is_zero(number: float, digits: int) -> bool:
    """Whether it is told as 0."""
    return not float(f"{number:.{digits}f}")


def _digits(margin: float) -> int:
    """Decimals that show a number to one digit, or two where it begins with 1 or 2."""
    if margin <= 0:
        return 1
    first, power = f"{margin:.1e}".split("e")
    return max(0, -int(power) + (float(first) < 3))
