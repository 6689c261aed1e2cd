"""The whole page."""

from collections.abc import Iterator

import torch

from pixelwise import __version__
from pixelwise.compare.page.chart_sections import Charts
from pixelwise.compare.page.compared import Compared
from pixelwise.compare.page.cost_section import costs
from pixelwise.compare.page.detail_sections import classes, disagreements, sizes
from pixelwise.compare.page.how import again, how
from pixelwise.compare.page.language import Speech
from pixelwise.compare.page.summary import careful, counts
from pixelwise.compare.page.verdict_sections import verdicts
from pixelwise.report import Edition, Report, Section, render_editions


def comparison_page(told: Compared) -> bytes:
    """A comparison as one HTML file in English and Chinese.

    Args:
        told: What came of it.
    """
    charts = Charts(told)
    english, chinese = (_report(told, charts, Speech(language)) for language in ("en", "zh"))
    editions = Edition("en", "English", english), Edition("zh-Hans", "中文", chinese)
    return render_editions(editions).encode()


def _report(told: Compared, charts: Charts, say: Speech) -> Report:
    data = told.data
    return Report(
        title=say(f"Which attention is worth its cost on {data}", f"{data} 上哪种注意力值得使用"),
        summary="\n\n".join([_asked(told, say), careful(told, say)]),
        highlights=tuple(counts(told, say)),
        sections=tuple(_sections(told, charts, say)),
        footer=say(
            f"{told.name}: pixelwise {__version__}, PyTorch {torch.__version__}. This page is one"
            " file; verdicts.csv, scores.csv and results.json beside it have the numbers.",
            f"{told.name}：pixelwise {__version__}，PyTorch {torch.__version__}。本页是单个文件；"
            "数字另见同一文件夹中的 verdicts.csv、scores.csv 和 results.json。",
        ),
        contents=say("Contents", "目录"),
    )


def _asked(told: Compared, say: Speech) -> str:
    asked = told.settings
    host, names, n = told.host, say.listed(told.names), len(told.verdicts)
    places = say.places(asked.places)
    each = [len(told.runs(name)) for name in told.names]
    least, seeds = min(each, default=0), max(each, default=0)
    count = f"{seeds}" if least == seeds else say(f"{least} to {seeds}", f"{least} 至 {seeds}")
    text = say(
        f"{n} mechanism{'s' * (n != 1)} in {host} at {places}: {names}. Each"
        f" was trained with {count} seed{'s' * (seeds != 1)}, all with one recipe, and scored on"
        f" {asked.split}.",
        f"在 {host} 的{places}处比较了 {n} 种机制：{names}。"
        f"每种机制用 {count} 个"
        f"随机种子、同一训练方案训练，并在 {asked.split} 上评分。",
    )
    missing = [run for run in told.arms if not told.runs(run.name)]
    if missing:
        text += say(
            f" {len(missing)} of {len(told.arms)} networks have no finished run yet.",
            f"{len(told.arms)} 个网络中有 {len(missing)} 个尚无完成的运行。",
        )
    return text


def _sections(told: Compared, charts: Charts, say: Speech) -> Iterator[Section]:
    found = (
        verdicts(told, say),
        charts.seeds(say),
        charts.costs(say),
        charts.learning(say),
        classes(told, say),
        sizes(told, say),
        disagreements(told, say),
        costs(told, say),
        how(told, say),
        again(told, say),
    )
    yield from (section for section in found if section is not None)
