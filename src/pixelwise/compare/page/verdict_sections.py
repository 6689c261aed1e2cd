"""The table of verdicts, and how it is to be read."""
# ruff: noqa: RUF001  # Chinese marks are meant

import math
from collections.abc import Callable, Iterator

from pixelwise.compare import words
from pixelwise.compare.arms import NONE, Arm
from pixelwise.compare.costs import Costs
from pixelwise.compare.page.compared import ORDER, Compared
from pixelwise.compare.page.language import Speech
from pixelwise.compare.statistics import Effect
from pixelwise.compare.verdicts import Against, Verdict, Word
from pixelwise.metrics import Kind
from pixelwise.report import Block, Highlight, Section, Table, Text

CLEAR = "*"
UNKNOWN = "\N{EN DASH}"


def verdicts(told: Compared, say: Speech) -> Section:
    """What is said of each mechanism, the sentence before the numbers."""
    blocks: list[Block] = [_table(told, say)]
    if any(arm.control_of is None for arm in told.references):
        blocks.append(_references(told, say))
    blocks.append(Text(say("How to read this", "如何阅读"), _reading(told, say)))
    meanings = (f"{_strong(word, say)}{words.meaning(word, say.language)}" for word in ORDER)
    stop = say(".", "。")
    text = "\n\n".join(f"{meaning}{stop}" for meaning in meanings)
    blocks.append(Text(say("What the words mean", "各结论的含义"), text))
    return Section(say("Verdicts", "结论"), "", tuple(blocks))


def counts(told: Compared, say: Speech) -> Iterator[Highlight]:
    """How many mechanisms have each verdict."""
    for word in ORDER:
        names = [one.arm for one in told.ordered if one.word is word]
        if names:
            some = say.listed(names[:6])
            more = len(names) - 6
            note = some + (say(f" and {more} more", f" 等 {len(names)} 种") if more > 0 else "")
            of = say(f"{len(names)} of {len(told.verdicts)}", f"{len(names)}/{len(told.verdicts)}")
            yield Highlight(words.word(word, say.language), of, note)


def careful(told: Compared, say: Speech) -> str:
    """The most careful reading in a sentence or two."""
    found = {word: [v.arm for v in told.ordered if v.word is word] for word in Word}
    parts = []
    if worth := found[Word.WORTH]:
        parts.append(
            say(
                f"Worth it by every test: {say.listed(worth)}.",
                f"通过全部检验、值得使用的有：{say.listed(worth)}。",
            )
        )
    else:
        parts.append(
            say(
                "No mechanism was shown to be worth its cost here.",
                "在本次比较中，没有任何机制被证明值得其开销。",
            )
        )
    if unknown := found[Word.NO_EVIDENCE]:
        parts.append(
            say(
                f"For {len(unknown)} of {len(told.verdicts)} nothing is known: this says neither"
                " that they help nor that they do not.",
                f"{len(told.verdicts)} 种机制中有 {len(unknown)} 种证据不足："
                "既不能说它们有用，也不能说它们没用。",
            )
        )
    return say.joined(parts)


def score_header(told: Compared, say: Speech) -> str:
    """The main score with its unit."""
    if told.kind is None:
        return say("score", "分数")
    unit = say.unit(told.kind.told_in)
    title = words.title(told.kind, say.language)
    return f"{title}, {unit}" if unit else title


def number(value: float | None) -> str:
    """Three digits, or a dash."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def count(value: int | None) -> str:
    """A large whole number in thousands or millions."""
    if value is None:
        return UNKNOWN
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return (
                f"{value / size:.3g} {letter}"
                if value < 999.5 * size
                else f"{value / size:,.0f} {letter}"
            )
    return str(value)


def exports(costs: Costs | None, say: Speech) -> str:
    """Formats that it exports to."""
    if costs is None or not costs.exports:
        return UNKNOWN
    found = [name for name, why in costs.exports.items() if not why]
    return say.listed(found) if found else say("no", "不可以")


def _strong(word: Word, say: Speech) -> str:
    return words.word(word, say.language) + say(": ", "：")


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


def natural(kind: Kind, effect: Effect) -> Effect:
    """As the numbers differ: an error that is smaller is below 0."""
    if kind.larger is not False:
        return effect
    apart = tuple(-one for one in effect.differences)
    return Effect(apart, -effect.mean, -effect.high, -effect.low, effect.p)


def _beside(costs: Costs | None, none: Costs | None, of: Callable[[Costs], float | None]) -> str:
    """A cost, and how much more it is than that of none."""
    value, base = (None if one is None else of(one) for one in (costs, none))
    if value is None or not base:
        return number(value)
    return f"{number(value)} ({100 * (value / base - 1):+.0f} %)"


def _lead(verdict: Verdict, say: Speech) -> tuple[str, str]:
    """The word, and the sentence without it; then what else is to be known."""
    word = words.word(verdict.word, say.language)
    colon = say(": ", "：")
    sentence = words.sentence(verdict, say.language)
    plain = sentence.removeprefix(word + colon).removesuffix(colon + word)
    remarks = [line for line in words.notes(verdict, say.language) if line not in sentence]
    parts = [part + say(".", "。") for part in (plain, *remarks)]
    return word + colon.strip(), say.joined(parts)


def score_text(told: Compared, arm: Arm) -> str:
    """An arm's mean main score with half its interval."""
    score = told.score(arm.name)
    if score is None or told.kind is None:
        return UNKNOWN
    return words.figures(told.kind, score, sign=False)


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


def _reading(told: Compared, say: Speech) -> str:
    one = len({run.seed for run in told.outcomes}) == 1
    parts = [
        say(
            "Read the words first and the numbers after them. A mechanism is called worth it only"
            " if it is clearly better than the network without it, than plain convolutions of the"
            " same cost, and than the network without it trained for as long. Two mechanisms with"
            " the same word are not ranked: their order is that of their names.",
            "请先看结论，再看数字。只有明显优于无注意力网络、同等开销的普通卷积，以及训练时长"
            "相同的无注意力网络，一种机制才被称为“值得”。结论相同的机制不分先后，"
            "仅按名称排列。",
        ),
        say(
            "No evidence is not evidence that nothing is gained: it says how many seeds would be"
            " needed to see an effect of the size that was found, if it is real. All scores are"
            " means over all seeds, never those of the best run.",
            "“证据不足”并不等于证明没有提升：它说明如果所见差异属实，大约需要多少个随机种子才能"
            "确认。所有分数都是全部随机种子的平均值，绝不是最好的一次运行。",
        ),
    ]
    if one:
        parts.append(
            say(
                "There is only one seed here. How far chance goes cannot be told from it, so"
                " nothing can be shown; at least three seeds are needed.",
                "这里只有一个随机种子，无法判断偶然波动的大小，因此什么也不能证明；"
                "至少需要三个随机种子。",
            )
        )
    return "\n\n".join(parts)
