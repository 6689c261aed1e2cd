"""What accuracy costs, and how it came, in charts."""

import math
from collections.abc import Callable, Iterator

from pixelwise.compare.arms import NONE, Arm
from pixelwise.compare.costs import Costs
from pixelwise.compare.page.compared import LONG, Compared
from pixelwise.compare.page.curves import STYLES, Curve, curve, learning_curves
from pixelwise.compare.page.differences import differences
from pixelwise.compare.page.drawings import Point, trade_off
from pixelwise.compare.page.language import Speech
from pixelwise.compare.page.numbers import natural, score_header
from pixelwise.report import Block, Figure, Legend, Section, Text

COSTS: tuple[tuple[Callable[[Costs], float | None], str, tuple[str, str]], ...] = (
    (lambda costs: costs.inference_ms, "ms", ("time per picture", "单张推理时间")),
    (lambda costs: costs.step_ms, "ms", ("time of a training step", "训练步时间")),
    (lambda costs: costs.peak_mb, "MB", ("memory of a training step", "训练步内存")),
)


class Charts:
    """Drawn once, and shown in each language."""

    def __init__(self, told: Compared) -> None:
        self.told = told
        found = [(_chart(told, cost, unit), names) for cost, unit, names in COSTS]
        self.trade_offs = [(png, names) for png, names in found if png is not None]
        self.curves = _curves(told)
        self.differences = _differences(told)

    def seeds(self, say: Speech) -> Section | None:
        """Differences seed by seed; None: there are none."""
        if self.differences is None:
            return None
        text = say(
            "Every small stroke is one seed: the mechanism's score minus that of the other network"
            " with the same seed. The mark is their mean and the line its 95 % interval (one that"
            " leaves the picture goes on). Blue with a circle is against none, orange with a hollow"
            " square against its control. These intervals are each for itself: what is clear when"
            " all mechanisms and other pictures are considered is in the table of verdicts.",
            "每个小竖线是一个随机种子：该机制的分数减去相同种子下另一网络的分数。标记为其平均值，横线为"
            "其 95 % 置信区间（伸出图外的表示仍在延续）。蓝色圆点：相对无注意力网络；"
            "橙色空心方块：相对其对照。这些区间各自独立：在考虑所有机制以及换用其他图片后哪些差异仍然明显，见结论表。",
        )
        kind = self.told.kind
        if kind is not None and kind.apart_in:
            unit = say.unit(kind.apart_in)
            text += say(f" Differences are in {unit}.", f"差值的单位为{unit}。")
        if kind is not None and kind.larger is False:
            text += say(" Left of 0 is better.", "0 的左侧为更好。")
        alt = say("Differences of every mechanism, seed by seed", "各机制逐个随机种子的差值")
        blocks = (Figure(self.differences, alt, "", True), *self._numbers(say, LONG))
        return Section(say("Seed by seed", "逐个随机种子"), text, blocks)

    def costs(self, say: Speech) -> Section:
        """Accuracy against each cost."""
        title = say("Accuracy and its cost", "精度与开销")
        if not self.trade_offs:
            return Section(
                title,
                say(
                    "Costs or scores are not known, so there is no chart.",
                    "开销或分数未知，因此没有图。",
                ),
            )
        text = say(
            "Each mark is a network's mean over seeds, bars are the 95 % intervals of these means"
            " (a bar that leaves the chart goes on). Filled marks are mechanisms, hollow ones of"
            " the same shape and colour are their controls, black is none. The dashed line joins"
            " those that no other beats in both on average: where bars overlap by far, another set"
            " of seeds may draw it otherwise. Differences by the same seed are surer than the bars"
            " look; the table of verdicts has them.",
            "每个标记是一个网络在各随机种子上的平均值，竖线是该均值的 95 % 置信区间（伸出图外的"
            "表示仍在延续）。实心标记为机制，形状和颜色相同的空心标记为其对照，黑色为无注意力网络。"
            "虚线连接平均而言在两方面都不被其他网络超过的点：如果竖线大幅重叠，换一组随机种子，"
            "虚线可能不同。按相同随机种子配对的差值比竖线看上去更可靠，见结论表。",
        )
        if self.told.kind is not None and self.told.kind.larger is False:
            text += say(" Lower is better.", "越低越好。")
        if self.told.full:
            text += say(
                " There are too many mechanisms to draw their controls as well.",
                "机制较多，因此没有画出对照。",
            )
        blocks = [*self._figures(say), *self._numbers(say)]
        return Section(title, text, tuple(blocks))

    def _figures(self, say: Speech) -> Iterator[Figure]:
        score = score_header(self.told, say)
        for png, names in self.trade_offs:
            against = say(*names)
            caption = say(
                f"{score} (upwards) against {against}", f"{score}（纵轴）与{against}（横轴）"
            )
            yield Figure(png, caption, caption, self.told.wide)

    def _numbers(self, say: Speech, letters: int | None = None) -> Iterator[Block]:
        if found := self.told.numbered(letters):
            names = (f"{number} {name}" for number, name in found.items())
            yield Text(say("Numbers in the charts", "图中的编号"), say(";  ", "；").join(names))

    def learning(self, say: Speech) -> Section:
        """Scores during training."""
        title = say("Learning curves", "学习曲线")
        if self.curves is None:
            return Section(title, say("No run was evaluated on the way.", "训练途中没有评估。"))
        score = score_header(self.told, say)
        text = say(
            f"{score} on the way, against optimiser steps: means over seeds, and a band of one"
            " standard deviation to each side where there are several seeds. Solid with circles:"
            " the mechanism that the panel is named after. Dashed with squares: none. Dotted with"
            " triangles: its control. What counts is the end of a run.",
            f"训练途中的{score}随优化步数的变化：线为各随机种子的平均值；有多个随机种子时，色带为"
            "上下各一个标准差。实线加圆点：该小图所示的机制；虚线加方块：无注意力网络；点线加"
            "三角：其对照。计入结论的只有运行结束时的分数。",
        )
        figure = Figure(
            self.curves, say("Learning curves of every mechanism", "各机制的学习曲线"), "", True
        )
        names = (
            say("the mechanism", "该机制"),
            say("none", "无注意力网络"),
            say("its control", "其对照"),
        )
        legend = Legend({name: ink for name, (_, _, ink) in zip(names, STYLES, strict=True)})
        return Section(title, text, (legend, figure, *self._numbers(say, LONG)))


def _chart(told: Compared, cost: Callable[[Costs], float | None], unit: str) -> bytes | None:
    kind = told.kind
    points = [] if kind is None else [*_points(told, cost)]
    if kind is None or not points:
        return None
    better = kind.larger is not False
    return trade_off(points, unit, kind.told_in, larger=better, wide=told.wide)


def _points(told: Compared, cost: Callable[[Costs], float | None]) -> Iterator[Point]:
    numbers = {one.arm: number for number, one in enumerate(told.verdicts)}
    factor = 100.0 if told.kind is not None and told.kind.percent else 1.0
    for arm in told.arms:
        if told.full and arm.control_of is not None:
            continue
        costs, score = told.costs_of(arm), told.score(arm.name)
        x = None if costs is None else cost(costs)
        if x is None or score is None or not math.isfinite(x):
            continue
        ends = factor * score.mean, factor * score.low, factor * score.high
        of = arm.control_of or arm.name
        label = "" if arm.control_of else told.label(arm.name)
        yield Point(label, x, *ends, numbers.get(of, -1), _is_hollow(arm))


def _differences(told: Compared) -> bytes | None:
    kind, rows = told.kind, {}
    for one in told.ordered:
        each = [None if a is None else natural(one.kind, a.effect) for a in (one.none, one.control)]
        if any(effect is not None for effect in each):
            rows[told.label(one.arm, LONG)] = each
    if kind is None or not rows:
        return None
    return differences(rows, kind.unit, 100.0 if kind.percent else 1.0)


def _is_hollow(arm: Arm) -> bool:
    return arm.control_of is not None or arm.longer > 1


def _curves(told: Compared) -> bytes | None:
    kind = told.kind
    if kind is None:
        return None
    none, controls = curve(told.runs(NONE)), told.controls
    panels: dict[str, tuple[Curve | None, ...]] = {}
    for name in told.names:
        control = controls.get(name)
        own = curve(told.runs(name))
        if own is not None:
            other = None if control is None else curve(told.runs(control.name))
            panels[told.label(name, LONG)] = (own, none, other)
    if not panels:
        return None
    return learning_curves(panels, kind.told_in, 100.0 if kind.percent else 1.0)
