"""The phrases that `words` fills in: English, then Chinese."""

from pixelwise.compare.verdicts import Note, Word

WORDS = {
    Word.WORTH: ("worth it", "值得"),
    Word.CAPACITY: ("capacity", "容量效应"),
    Word.TIME: ("time", "时长效应"),
    Word.BETTER: ("better", "有提升"),
    Word.WORSE: ("worse", "变差"),
    Word.NO_EVIDENCE: ("no evidence", "证据不足"),
}

MEANINGS = {
    Word.WORTH: (
        "clearly better than the network without it, also than that trained for as long, and than"
        " plain convolutions of the same cost (its control)",
        "明显优于不加注意力的网络（训练时长相同时亦然），也明显优于同等开销的普通卷积（对照）",
    ),
    Word.CAPACITY: (
        "clearly better than the network without it, but not clearly than its control: more"
        " parameters and operations may be all that helps",
        "明显优于不加注意力的网络，但并不明显优于对照：提升可能只来自更多的参数和计算量",
    ),
    Word.TIME: (
        "clearly better than the network without it, but not clearly than that trained for as long:"
        " longer training may be all that helps",
        "明显优于不加注意力的网络，但并不明显优于训练时长相同的无注意力网络："
        "提升可能只来自更长的训练",
    ),
    Word.BETTER: (
        "clearly better than what it was compared with, but not everything was trained that is"
        " needed to say why",
        "明显优于所比较的网络，但缺少判断原因所需的对照实验",
    ),
    Word.WORSE: (
        "clearly worse than the network without it",
        "明显差于不加注意力的网络",
    ),
    Word.NO_EVIDENCE: (
        "with these seeds and pictures no difference can be told from chance",
        "就这些随机种子和图片而言，差异与偶然波动无法区分",
    ),
}

NOTES = {
    Note.NO_RUN: (
        "no run of it has a score beside one of another arm with the same seed",
        "没有任何一次运行能与同一随机种子的其他网络配对",
    ),
    Note.ONE_SEED: (
        "one seed: how far chance goes is not known; take at least 3",
        "只有一个随机种子，无法估计偶然波动；请至少使用 3 个",
    ),
    Note.NO_NONE: (
        "there is no run without attention to compare with; none in the list makes them",
        "没有可比较的无注意力网络；请在列表中加入 none",
    ),
    Note.NO_CONTROL: (
        "there is no run of a control, so a gain may be that of more parameters",
        "没有对照，提升可能只来自更多的参数",
    ),
    Note.NO_LONGER: (
        "its steps take longer, and none was not trained for as long",
        "其每个训练步耗时更长，而无注意力网络没有训练同样长的时间",
    ),
    Note.NO_NUMBER: (
        "{missing} of its runs have no score and were left out, so it may look better than it is",
        "有 {missing} 次运行没有得到分数，未计入，因此结果可能偏乐观",
    ),
    Note.FEWER_SEEDS: (
        "it has fewer seeds than others: it was dropped, is not finished, or runs of it failed",
        "其随机种子少于其他网络：中途被淘汰、尚未完成，或有运行失败",
    ),
    Note.FEW_PICTURES: (
        "fewer than two pictures count, so nothing is said of others",
        "有效图片不足两张，无法推断到其他图片",
    ),
    Note.NO_PICTURES: (
        "scores are not known picture by picture; intervals are over seeds alone",
        "没有逐图分数，区间仅反映随机种子的波动",
    ),
    Note.MORE_PICTURES: (
        "clear over seeds, but other pictures might turn it; more pictures are needed",
        "在随机种子上差异明显，但换一批图片可能改变结论；需要更多图片",
    ),
    Note.TOGETHER: (
        "clear against each alone, but not against all of them with so many mechanisms",
        "单独与每个网络相比都明显，但同时比较这么多机制时不足以下结论",
    ),
}

SENTENCES = {
    Word.WORTH: ("{all}{cost}: worth it", "{all}{cost}：值得"),
    Word.CAPACITY: (
        "capacity: {base}, but not clearly better than its control: {control}{gain}{cost}",
        "容量效应：{base}，但并不明显优于其对照（{control}{gain}）{cost}",
    ),
    Word.TIME: (
        "time: {base}, but not clearly better than none trained for as long: {longer}{cost}",
        "时长效应：{base}，但并不明显优于训练时长相同的无注意力网络（{longer}）{cost}",
    ),
    Word.BETTER: ("{all}{cost}: better, but {lack}", "{all}{cost}：有提升，但{lack}"),
    Word.WORSE: ("{base}{cost}: worse", "{base}{cost}：变差"),
    Word.NO_EVIDENCE: ("no evidence: {base}{because}", "证据不足：{base}{because}"),
}

GAIN = (
    "; the control against none: {gain}",
    "；对照与无注意力网络相比：{gain}",
)
NO_CONTROL = (
    "it has no control, so more parameters may be all that helps",
    "没有对照，可能只是参数增多的作用",
)
NO_NONE = (
    "there is no network without attention to compare with",
    "没有可比较的无注意力网络",
)
BECAUSE = ("; ", "；")
SEEDS = (
    "; about {seeds} seeds would be needed for an effect of this size",
    "；要确认这么大的差异，大约需要 {seeds} 个随机种子",
)
MANY_SEEDS = (
    "; more than {seeds} seeds would be needed for an effect of this size",
    "；要确认这么小的差异，需要 {seeds} 个以上的随机种子",
)
REACH = (
    "with {seeds} seeds and {mechanisms} mechanisms a gain over none of about {gain} would be clear"
    " in four of five comparisons; smaller ones may stay open",
    "以 {seeds} 个随机种子比较 {mechanisms} 种机制时，相对无注意力网络约 {gain}的提升"
    "有八成机会被确认；更小的提升可能无法判断",
)
NO_REACH = (
    "with {seeds} seeds and {mechanisms} mechanisms no gain would be clear: take more seeds, or"
    " fewer mechanisms",
    "以 {seeds} 个随机种子比较 {mechanisms} 种机制时，任何提升都无法被确认：请增加种子，或减少机制",
)
FEW_PICTURES = (
    "; {pictures} pictures say little of others: the interval over pictures is too narrow",
    "；只有 {pictures} 张图片，难以代表其他图片：对图片抽样得到的区间偏窄",
)
FASTER = ("{percent} % faster per picture", "单张推理快 {percent} %")
SLOWER = ("{percent} % slower per picture", "单张推理慢 {percent} %")
TIMES = ("{times} times as long per picture", "单张推理耗时为原来的 {times} 倍")
ALIKE = ("as fast per picture", "单张推理速度相当")
BESIDE = (", ", "，")
"""Between a gain and what it costs."""

OF = " of"
"""English, behind a unit."""
MORE = ("{value} {unit} {title} over {arm}", "{title}比{arm}高 {value} {unit}")
LESS = ("{value} {unit} {title} against {arm}", "{title}比{arm}低 {value} {unit}")
SMALLER = ("{title} {value} {unit} smaller than {arm}", "{title}比{arm}小 {value} {unit}")
LARGER = ("{title} {value} {unit} larger than {arm}", "{title}比{arm}大 {value} {unit}")
SAME = ("no difference in {title} from {arm}", "{title}与{arm}没有差异")
SHORT = ("{value} {unit}", "{value} {unit}")
SHORT_SMALLER = ("{value} {unit} smaller", "小 {value} {unit}")
SHORT_LARGER = ("{value} {unit} larger", "大 {value} {unit}")
SHORT_SAME = ("no difference", "没有差异")

ITS_CONTROL = ("its control", "其对照")
NONE = ("none", "无注意力网络")
CONTROL_OF = ("control of {name}", "{name} 的对照")
LONGER = ("none, {times} times as long", "训练时长 {times} 倍的无注意力网络")

UNITS = {"points": "个百分点", "px": "像素"}
TITLES = {
    "miou": "平均交并比（mIoU）",
    "accuracy": "像素准确率",
    "mean_f1": "平均 F1",
    "mean_error": "平均误差",
    "mae": "平均绝对误差（MAE）",
    "rmse": "均方根误差（RMSE）",
    "bias": "偏差",
    "relative": "相对误差",
    "within": "误差在 1.25 倍以内的比例",
    "score": "分数",
}
"""Of kinds by their names; others are told by their own titles, such as a class's name."""
SIZES = {
    "small": "小",
    "middle": "中等",
    "large": "大",
}
FOUND = "{size}目标的检出比例（{bounds}）"
ERROR = "{size}框内的误差（{bounds}）"
BOUNDS = {"up to ": "不超过 ", " to ": " 至 ", "above ": "大于 "}
"""Of titles of scores by size, such as "small objects found (up to 40 px)"."""
NOTHING = ("no evidence: {note}", "证据不足：{note}")
