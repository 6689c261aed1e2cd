"""How it was done, so that others can judge it and do it again."""
# ruff: noqa: RUF001  # Chinese marks are meant

from collections.abc import Iterator

from pixelwise.compare import words
from pixelwise.compare.arms import CONTROL
from pixelwise.compare.page.compared import Compared
from pixelwise.compare.page.language import Speech
from pixelwise.compare.page.verdict_sections import (
    UNKNOWN,
    count,
    exports,
    number,
    score_header,
    score_text,
)
from pixelwise.report import Block, Commands, Section, Settings, Table, Text, Verbatim


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


def how(told: Compared, say: Speech) -> Section:
    """Recipe, seeds, statistics, machine, warnings."""
    facts = {**_facts(told, say), **say.facts(told.facts)}
    blocks: list[Block] = [Settings(facts)]
    blocks.append(Text(say("Fairness", "公平性"), "\n\n".join(_fairness(told, say))))
    blocks.append(Text(say("Statistics", "统计方法"), "\n\n".join(_statistics(told, say))))
    if told.settings.lr_sweep is not None:
        blocks.append(_rates(told, say))
    if told.machine:
        blocks += [
            Text(say("Machine and versions", "机器与版本")),
            Settings(say.facts(told.machine)),
        ]
    if told.failed:
        blocks.append(Text(say("Runs that failed", "失败的运行（原因为英文原文）")))
        blocks.append(Verbatim(tuple(f"{run}: {why}" for run, why in told.failed.items())))
    if told.warnings:
        blocks.append(Text(say("Warnings", "警告（英文原文）")))
        blocks.append(Verbatim(tuple(told.warnings)))
    return Section(say("How it was done", "实验方法"), "", tuple(blocks))


def again(told: Compared, say: Speech) -> Section:
    """The command that repeats it."""
    explained = say(
        "the same comparison again; numbers differ slightly on other machines and versions",
        "重新进行同样的比较；在其他机器或版本上，数字会略有不同",
    )
    return Section(say("To repeat it", "如何重复"), "", (Commands({told.command: explained}),))


def _facts(told: Compared, say: Speech) -> dict[str, str]:
    asked = told.settings
    seeds = sorted({run.seed for run in told.outcomes})
    found = {
        "data": asked.data,
        "split": asked.split,
        "network": asked.start or f"{asked.model}, {asked.backbone}",
        "places": say.listed(asked.places),
        "seeds": f"{len(seeds)} ({say.listed(map(str, seeds))})" if seeds else UNKNOWN,
    }
    if told.steps is not None:
        found["length of a run"] = say(f"{told.steps:,} steps", f"{told.steps:,} 步")
    elif told.seconds is not None:
        found["length of a run"] = say(f"{told.seconds:,.0f} s", f"{told.seconds:,.0f} 秒")
    if asked.budget is not None:
        found["budget"] = asked.budget
    if asked.lr is not None:
        found["learning rate"] = f"{asked.lr:g}"
    if asked.lr_sweep is not None:
        found["learning rates tried"] = asked.lr_sweep
    if asked.train:
        found["further settings"] = say.listed(f"{k}: {v}" for k, v in asked.train.items())
    seconds = sum(run.seconds for run in told.outcomes)
    if seconds:
        found["time of all runs"] = (
            f"{seconds / 3600:.2g} h" if seconds >= 3600 else f"{seconds:.0f} s"
        )
    return say.facts(found)


def _fairness(told: Compared, say: Speech) -> Iterator[str]:
    yield say(
        "Every arm trains the same host with the same recipe. With one seed, all have the same"
        " first host weights, the same order of pictures and the same augmentation; an inserted"
        " layer begins as the identity. The score is that of the last network of a run, not of the"
        " best one on the way.",
        "所有网络使用相同的主干和相同的训练方案。同一随机种子下，主干的初始权重、图片顺序和数据增强"
        "都相同；插入的层从恒等映射开始。分数取自每次运行的最后一个网络，而不是途中最好的一个。",
    )
    if told.controls:
        apart = max(arm.apart for arm in told.controls.values())
        yield say(
            "A control is plain convolutions at the same places, with the parameters and operations"
            f" of the mechanism ({100 * apart:.1f} % apart at most). What it gains as well comes"
            " from more capacity, not from attention.",
            "对照是在相同位置插入的普通卷积，参数量和计算量与该机制相同"
            f"（最多相差 {100 * apart:.1f} %）。"
            "对照同样获得的提升来自更大的容量，而不是注意力。",
        )
    elif CONTROL not in told.settings.mechanisms:
        yield say(
            "No controls were trained, so a gain may be that of more parameters.",
            "没有训练对照，因此提升可能只来自更多的参数。",
        )
    if any(arm.longer > 1 for arm in told.arms):
        yield say(
            "Where a mechanism's steps take longer, the network without it was also trained for as"
            " much longer.",
            "如果某机制的训练步耗时更长，则无注意力网络也按相应的时长延长训练。",
        )
    if told.settings.lr_sweep is not None:
        yield say(
            f"Each arm first tried the learning rates {told.settings.lr_sweep} times the recipe's,"
            + (
                f" for {told.tried} steps each,"
                if told.tried
                else " for a tenth of its steps each,"
            )
            + " with a seed that no compared run has, and was trained with the best of them.",
            f"每个网络先以方案学习率的 {told.settings.lr_sweep} 倍"
            + (f"各试训 {told.tried} 步" if told.tried else "各试训十分之一的步数")
            + "（所用随机种子不参与比较），再以其中最好的学习率训练。",
        )
    else:
        yield say(
            "All arms have the same learning rate; one that suits a mechanism better was not looked"
            " for.",
            "所有网络使用相同的学习率，没有为各机制寻找更合适的学习率。",
        )


def _statistics(told: Compared, say: Speech) -> Iterator[str]:
    yield say(
        "Differences are paired by seed: what a seed makes easy or hard for both drops out. Their"
        " mean has a 95 % t-interval over seeds, and a 95 % interval by drawing pictures with"
        " replacement (the same ones for both). A difference is called clear only if neither holds"
        " 0 and p, corrected for the number of mechanisms by Holm's method, is below 5 %.",
        "差值按随机种子配对：某个种子对双方同样有利或不利的影响因此抵消。"
        "差值的均值带有随机种子上的 "
        "95 % t 区间，以及对图片有放回重抽样得到的 95 % 区间（双方抽取相同的图片）。只有两个区间都"
        "不含 0，且按机制数量以 Holm 方法校正后的 p 值小于 5 % 时，才称差异明显。",
    )
    m = len(told.verdicts)
    yield say(
        f"Worth it needs all three comparisons: its p is the largest of them, corrected for {m}"
        f" mechanism{'s' * (m != 1)}. If none of them made a difference, the chance that any were"
        " called worth it would be at most 5 %. Classes and sizes of objects are explored, without"
        " correction for the number of mechanisms.",
        f"“值得”要求三项比较全部成立：取其中最大的 p 值，并按 {m} 种机制校正。"
        "如果所有机制都没有作用，"
        "其中任何一种被误判为“值得”的概率不超过 5 %。逐类别和按物体大小的差异属于探索，"
        "没有针对机制数量作校正。",
    )
    yield say(
        "± is half of the t-interval. Without a clear difference, the number of seeds is told with"
        " which an effect of the size that was seen would be found in four of five comparisons; it"
        " is a rough guess, as it rests on the same few seeds.",
        "± 后为 t 区间的一半。差异不明显时，"
        "给出在五次比较中能有四次发现同样大小差异所需的随机种子数；"
        "它依据的正是这几个种子，因此只是粗略估计。",
    )
    if told.settings.halving:
        yield say(
            "Successive halving dropped the worse half of the mechanisms on the way. Those that"
            " were dropped have fewer seeds, and look worse than they are, as they were dropped for"
            " being behind on them; those that stayed look slightly better than they are.",
            "连续减半在途中淘汰了较差的一半机制。被淘汰的机制随机种子较少，并且正因为在这些种子上落后"
            "才被淘汰，所以看上去比实际更差；留下的则看上去略好于实际。",
        )
        if told.dropped:
            names = [f"{name} ({seeds})" for name, seeds in sorted(told.dropped.items())]
            yield say(
                f"Dropped, with the number of their seeds: {say.listed(names)}.",
                f"被淘汰的机制及其随机种子数：{say.listed(names)}。",
            )


def _rates(told: Compared, say: Speech) -> Table:
    rows = []
    for arm in told.arms:
        found = sorted({run.lr for run in told.runs(arm.name)})
        if found:
            rates = say.listed(f"{lr:.3g}" for lr in found)
            rows.append((words.arm(arm.name, say.language), rates))
    header = (say("network with", "网络"), say("peak learning rate", "峰值学习率"))
    return Table(header, tuple(rows))
