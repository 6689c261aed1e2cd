"""What every network scores and costs, and whether it can be exported."""

from pixelwise.compare import words
from pixelwise.compare.page.compared import Compared
from pixelwise.compare.page.language import Speech
from pixelwise.compare.page.numbers import (
    UNKNOWN,
    count,
    exports,
    number,
    score_header,
    score_text,
)
from pixelwise.report import Block, Section, Table, Text, Verbatim


def costs(told: Compared, say: Speech) -> Section:
    """What each arm costs, and whether it can be exported."""
    title = say("Scores and costs of all networks", "各网络的分数与开销")
    if not told.costs:
        return Section(title, say("Costs were not measured.", "没有测量开销。"))
    rows, refused = [], []
    for arm in told.arms:
        found = told.costs_of(arm)
        if found is None:
            continue
        rows.append(
            (
                words.arm(arm.name, say.language),
                score_text(told, arm),
                str(len(told.runs(arm.name))),
                count(found.parameters),
                count(found.operations),
                number(found.inference_ms),
                number(found.step_ms),
                number(found.peak_mb),
                exports(found, say),
            )
        )
        if arm.longer == 1:
            refused += [f"{arm.name}, {name}: {why}" for name, why in found.exports.items() if why]
    header = (
        say("network with", "网络"),
        score_header(told, say),
        say("seeds", "随机种子数"),
        say("parameters", "参数量"),
        say("operations", "计算量"),
        say("picture, ms", "单张推理，毫秒"),
        say("training step, ms", "训练步，毫秒"),
        say("memory, MB", "内存，MB"),
        say("export", "导出"),
    )
    caption = say(
        "Scores are means over seeds, ± half of their 95 % interval. Costs are those of the whole"
        " network on this machine. Operations are for one picture, those of attention"
        " counted; times are medians; memory is that of tensors in a training step at most."
        f" {UNKNOWN}: could not be measured.",
        "分数为各随机种子的平均值，± 后为其 95 % 置信区间的一半。开销为整个网络在本机上的实测值。"
        "计算量按单张图片计，包括注意力；时间为中位数；内存为一个训练步中"
        f"张量占用的最大值。{UNKNOWN} 表示无法测量。",
    )
    blocks: list[Block] = [Table(header, tuple(rows), caption)]
    if refused:
        blocks.append(Text(say("Why some are not exported", "不能导出的原因（英文原文）")))
        blocks.append(Verbatim(tuple(refused)))
    return Section(title, "", tuple(blocks))
