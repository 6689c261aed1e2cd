"""The whole page."""
# ruff: noqa: RUF001  # Chinese marks are meant

from collections.abc import Iterator

import torch

from pixelwise import __version__
from pixelwise.compare.page import detail_sections, how, verdict_sections
from pixelwise.compare.page.chart_sections import Charts
from pixelwise.compare.page.compared import Compared
from pixelwise.compare.page.language import Speech
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
    data = told.settings.data
    return Report(
        title=say(f"Which attention is worth its cost on {data}", f"{data} 上哪种注意力值得使用"),
        summary="\n\n".join([_asked(told, say), verdict_sections.careful(told, say)]),
        highlights=tuple(verdict_sections.counts(told, say)),
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
    host = asked.start or f"{asked.model} ({asked.backbone})"
    names = say.listed(sorted((one.arm for one in told.verdicts), key=str.casefold))
    seeds = len({run.seed for run in told.outcomes})
    n = len(told.verdicts)
    text = say(
        f"{n} mechanism{'s' * (n != 1)} in {host} at {say.listed(asked.places)}: {names}. Each"
        f" was trained with {seeds} seed{'s' * (seeds != 1)}, all with one recipe, and scored on"
        f" {asked.split}.",
        f"在 {host} 的 {say.listed(asked.places)} 处比较了 {n} 种机制：{names}。"
        f"每种机制用 {seeds} 个"
        f"随机种子、同一训练方案训练，并在 {asked.split} 上评分。",
    )
    missing = [run for run in told.arms if not told.runs(run.name)]
    if missing:
        text += say(
            f" {len(missing)} of {len(told.arms)} arms have no finished run yet.",
            f"{len(told.arms)} 个网络中有 {len(missing)} 个尚无完成的运行。",
        )
    return text


def _sections(told: Compared, charts: Charts, say: Speech) -> Iterator[Section]:
    found = (
        verdict_sections.verdicts(told, say),
        charts.costs(say),
        charts.learning(say),
        detail_sections.classes(told, say),
        detail_sections.sizes(told, say),
        detail_sections.disagreements(told, say),
        how.costs(told, say),
        how.how(told, say),
        how.again(told, say),
    )
    yield from (section for section in found if section is not None)
