"""The table of verdicts, and how it is to be read."""

import math
from collections.abc import Callable

from pixelwise.compare import words
from pixelwise.compare.arms import NONE
from pixelwise.compare.costs import Costs
from pixelwise.compare.judging import reach
from pixelwise.compare.page.compared import ORDER, Compared
from pixelwise.compare.page.language import Speech
from pixelwise.compare.page.numbers import (
    CLEAR,
    UNKNOWN,
    count,
    exports,
    natural,
    number,
    score_header,
    score_text,
)
from pixelwise.compare.page.summary import reading
from pixelwise.compare.verdicts import Against, Verdict, Word
from pixelwise.report import Block, Section, Table, Text


def verdicts(told: Compared, say: Speech) -> Section:
    """What is said of each mechanism, the sentence before the numbers."""
    blocks: list[Block] = [_table(told, say)]
    found = reach(told.verdicts)
    text = "" if found is None else _sentence(words.reach(found, say.language), say)
    if any(arm.control_of is None for arm in told.references):
        blocks.append(_references(told, say))
    blocks.append(Text(say("How to read this", "如何阅读"), reading(told, say)))
    meanings = (f"{_strong(word, say)}{words.meaning(word, say.language)}" for word in ORDER)
    stop = say(".", "。")
    listed = "\n\n".join(f"{meaning}{stop}" for meaning in meanings)
    blocks.append(Text(say("What the words mean", "各结论的含义"), listed))
    return Section(say("Verdicts", "结论"), text, tuple(blocks))


def _strong(word: Word, say: Speech) -> str:
    return words.word(word, say.language) + say(": ", "：")


def _sentence(text: str, say: Speech) -> str:
    return text[0].upper() + text[1:] + say(".", "。")


def _table(told: Compared, say: Speech) -> Table:
    header = (
        say("mechanism", "机制"),
        score_header(told, say),
        say("against none", "相对无注意力"),
        say("against its control", "相对其对照"),
        say("against none, longer", "相对延长训练的无注意力"),
        say("picture, ms", "单张推理，毫秒"),
        say("step, ms", "训练步，毫秒"),
        say("memory, MB", "内存，MB"),
        say("parameters", "参数量"),
        say("export", "导出"),
    )
    rows = tuple(_row(one, told, say) for one in told.ordered)
    unit, smaller = "", ""
    if told.kind is not None and told.kind.apart_in:
        unit = say(f" in {told.kind.apart_in}", f"（单位：{say.unit(told.kind.apart_in)}）")
    if told.kind is not None and told.kind.larger is False:
        smaller = say(" Below 0 is better.", "负值表示更好。")
    caption = say(
        f"Differences{unit} are means over the same seeds, ± half of the 95 % interval; {CLEAR}"
        " marks those that are clear when all mechanisms and other pictures are considered."
        f"{smaller} Behind costs stands how much they are above those of none. Rows are in the"
        " order of what is said, then of names. Export names the formats that work.",
        f"差值{unit}为相同随机种子上的平均，± 后为 95 % 置信区间的一半；{CLEAR} 表示在考虑所有机制"
        f"以及换用其他图片后仍然明显的差异。{smaller}开销后的括号内为比无注意力网络增加的比例。"
        "各行按结论、再按名称排列。导出一列为可用的格式。",
    )
    return Table(header, rows, caption, tuple(_lead(one, say) for one in told.ordered))


def _row(verdict: Verdict, told: Compared, say: Speech) -> tuple[str, ...]:
    costs, none = told.costs.get(verdict.arm), told.costs.get(NONE)
    return (
        verdict.arm,
        verdict.kind.text(verdict.mean) if math.isfinite(verdict.mean) else UNKNOWN,
        *(_against(verdict, one, say) for one in (verdict.none, verdict.control, verdict.longer)),
        _beside(costs, none, lambda one: one.inference_ms),
        _beside(costs, none, lambda one: one.step_ms),
        _beside(costs, none, lambda one: one.peak_mb),
        count(costs.parameters) if costs else UNKNOWN,
        exports(costs, say),
    )


def _against(verdict: Verdict, against: Against | None, say: Speech) -> str:
    if against is None:
        return UNKNOWN
    text = words.figures(verdict.kind, natural(verdict.kind, against.effect))
    return f"{text} {CLEAR}" if against.clear else text


def _beside(costs: Costs | None, none: Costs | None, of: Callable[[Costs], float | None]) -> str:
    """A cost, and how much more it is than that of none."""
    value, base = (None if one is None else of(one) for one in (costs, none))
    if value is None or not base:
        return number(value)
    return f"{number(value)} ({100 * (value / base - 1):+.0f}\N{NO-BREAK SPACE}%)"


def _lead(verdict: Verdict, say: Speech) -> tuple[str, str]:
    """The word, and the sentence without it; then what else is to be known."""
    word = words.word(verdict.word, say.language)
    colon = say(": ", "：")
    sentence = words.sentence(verdict, say.language)
    plain = sentence.removeprefix(word + colon).removesuffix(colon + word)
    remarks = [line for line in words.notes(verdict, say.language) if line not in sentence]
    parts = [plain + say(".", "。"), *(_sentence(line, say) for line in remarks)]
    return word + colon, say.joined(parts)


def _references(told: Compared, say: Speech) -> Table:
    rows = []
    for arm in told.references:
        if arm.control_of is not None:
            continue  # its score is in the table of costs
        costs = told.costs_of(arm)
        seeds = len(told.runs(arm.name))
        row = (words.arm(arm.name, say.language), score_text(told, arm), str(seeds))
        rows.append(
            (
                *row,
                number(None if costs is None else costs.inference_ms),
                count(None if costs is None else costs.parameters),
            )
        )
    header = (
        say("what they are compared with", "比较的参照"),
        score_header(told, say),
        say("seeds", "随机种子数"),
        say("picture, ms", "单张推理，毫秒"),
        say("parameters", "参数量"),
    )
    caption = say(
        "± is half of the 95 % interval of the mean over seeds.",
        "± 后为各随机种子均值的 95 % 置信区间的一半。",
    )
    return Table(header, tuple(rows), caption)
