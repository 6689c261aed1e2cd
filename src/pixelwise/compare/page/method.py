"""Why the comparison is fair, and what its numbers rest on."""

from collections.abc import Iterator

from pixelwise.compare.arms import CONTROL
from pixelwise.compare.page.compared import Compared
from pixelwise.compare.page.language import Speech


def fairness(told: Compared, say: Speech) -> Iterator[str]:
    """What is the same for all, paragraph by paragraph."""
    yield say(
        "All networks are the same host, trained with the same recipe. With the same seed they"
        " have the same first host weights, the same order of pictures and the same augmentation."
        " An inserted layer begins as the identity. The score is that of the last network of a run,"
        " not of the best one on the way.",
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
            "Where a mechanism's steps take at least 5 % longer, the network without it was also"
            " trained for as much longer.",
            "如果某机制的训练步耗时至少长 5 %，则无注意力网络也按相应的时长延长训练。",
        )
    if told.settings.lr_sweep is not None:
        yield say(
            f"Each network first tried learning rates {told.settings.lr_sweep} times the recipe's,"
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
            "All networks have the same learning rate; one that suits a mechanism better was not"
            " looked for.",
            "所有网络使用相同的学习率，没有为各机制寻找更合适的学习率。",
        )


def statistics(told: Compared, say: Speech) -> Iterator[str]:
    """How differences are judged, paragraph by paragraph."""
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
        f"Worth it needs all of these comparisons: its p is the largest of them, corrected for {m}"
        f" mechanism{'s' * (m != 1)}. If none of them made a difference, the chance that any were"
        " called worth it would be at most 5 %. Classes and sizes of objects are explored, without"
        " correction for the number of mechanisms.",
        f"“值得”要求各项比较全部成立：取其中最大的 p 值，并按 {m} 种机制校正。"
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
