"""How it was done, so that others can judge it and do it again."""

from pixelwise.compare import words
from pixelwise.compare.page.compared import Compared
from pixelwise.compare.page.language import Speech
from pixelwise.compare.page.method import fairness, statistics
from pixelwise.compare.page.numbers import UNKNOWN
from pixelwise.report import Block, Commands, Section, Settings, Table, Text, Verbatim


def how(told: Compared, say: Speech) -> Section:
    """Recipe, seeds, statistics, machine, warnings."""
    known = {name: value for name, value in told.facts.items() if name != "places"}
    facts = {**_facts(told, say), **say.facts(known)}
    blocks: list[Block] = [Settings(facts)]
    blocks.append(Text(say("Fairness", "公平性"), "\n\n".join(fairness(told, say))))
    blocks.append(Text(say("Statistics", "统计方法"), "\n\n".join(statistics(told, say))))
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
        "network": told.host,
        "places": say.places(asked.places),
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


def _rates(told: Compared, say: Speech) -> Table:
    rows = []
    for arm in told.arms:
        found = sorted({run.lr for run in told.runs(arm.name)})
        if found:
            rates = say.listed(f"{lr:.3g}" for lr in found)
            rows.append((words.arm(arm.name, say.language), rates))
    header = (say("network with", "网络"), say("peak learning rate", "峰值学习率"))
    return Table(header, tuple(rows))
