"""What is to be read first, and how."""

from collections.abc import Iterator

from pixelwise.compare import words
from pixelwise.compare.page.compared import ORDER, Compared
from pixelwise.compare.page.language import Speech
from pixelwise.compare.verdicts import Word
from pixelwise.report import Highlight

NAMED = 6
"""Mechanisms that are named beside their count."""


def counts(told: Compared, say: Speech) -> Iterator[Highlight]:
    """How many mechanisms have each verdict."""
    for word in ORDER:
        names = [one.arm for one in told.ordered if one.word is word]
        if names:
            some = say.listed(names[:NAMED])
            more = len(names) - NAMED
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
    unknown = found[Word.NO_EVIDENCE]
    if unknown and len(unknown) == len(told.verdicts):
        parts.append(
            say(
                "No difference can be told from chance: this says neither that something helps nor"
                " that nothing does.",
                "没有任何差异能与偶然波动区分：既不能说有机制有用，也不能说都没用。",
            )
        )
    elif unknown:
        parts.append(
            say(
                f"For {len(unknown)} of {len(told.verdicts)} nothing is known: this says neither"
                " that they help nor that they do not.",
                f"{len(told.verdicts)} 种机制中有 {len(unknown)} 种证据不足："
                "既不能说它们有用，也不能说它们没用。",
            )
        )
    return say.joined(parts)


def reading(told: Compared, say: Speech) -> str:
    """How the table of verdicts is to be read."""
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
