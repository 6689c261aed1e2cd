import math
import re

import numpy as np
import pytest
from simulated import arms, simulate

from pixelwise.compare import words
from pixelwise.compare.costs import Costs
from pixelwise.compare.judging import judge
from pixelwise.compare.statistics import Effect, effect
from pixelwise.compare.verdicts import Against, Note, Reach, Verdict, Word
from pixelwise.metrics import Kind

MIOU = Kind("miou", "mean IoU")
PX = Kind("mean_error", "mean error", False, False, "px")
OKS = Kind("oks", "OKS", True, False)


def against(arm: str, mean: float, margin: float, seeds: int | None = 14) -> Against:
    ends = mean - margin, mean + margin
    return Against(arm, Effect((mean, mean), mean, *ends, 0.01), ends, 0.02, seeds, 0.5)


def verdict(word: Word, kind: Kind = MIOU, scale: float = 0.01, **how) -> Verdict:
    none = against("none", 2.4 * scale, 0.7 * abs(scale))
    control = against("control of se", 1.9 * scale, 0.6 * abs(scale))
    longer = against("none, 1.5 times as long", 2.0 * scale, 0.8 * abs(scale))
    values = {"none": none, "control": control, "longer": longer, "slower": 0.07, **how}
    return Verdict("se", word, 0.5, kind=kind, **values)


def test_a_win():
    assert words.sentence(verdict(Word.WORTH)) == (
        "+1.9 ± 0.6 points of mean IoU over its control, +2.4 ± 0.7 points over none,"
        " +2.0 ± 0.8 points over none, 1.5 times as long, 7 % slower per picture: worth it"
    )
    assert words.sentence(verdict(Word.WORTH, longer=None), "zh") == (
        "平均交并比（mIoU）比其对照高 1.9 ± 0.6 个百分点，"
        "比无注意力网络高 2.4 ± 0.7 个百分点，单张推理慢 7 %：值得"
    )


def test_errors_and_scores_without_a_unit():
    told = words.sentence(verdict(Word.WORTH, PX, 1.0, longer=None, slower=None))
    assert told == (
        "mean error 1.9 ± 0.6 px smaller than its control, 2.4 ± 0.7 px smaller than none: worth it"
    )
    worse = verdict(Word.WORSE, PX, -1.0, slower=None)
    assert words.sentence(worse) == "mean error 2.4 ± 0.7 px larger than none: worse"
    assert words.sentence(worse, "zh") == "平均误差比无注意力网络大 2.4 ± 0.7 像素：变差"
    told = words.sentence(verdict(Word.WORSE, OKS, -0.01, slower=None))
    assert told == "-0.024 ± 0.007 OKS against none: worse"


def test_capacity_and_time_name_what_explains_the_gain():
    gain = effect([0.021, 0.023])
    capacity = verdict(
        Word.CAPACITY, control=against("control of se", 0.001, 0.005), control_gain=gain
    )
    assert words.sentence(capacity) == (
        "capacity: +2.4 ± 0.7 points of mean IoU over none, but not clearly better than its"
        " control: +0.1 ± 0.5 points; the control against none: +2.2 ± 1.3 points, 7 % slower per"
        " picture"
    )
    told = words.sentence(
        verdict(Word.TIME, longer=against("none, 2 times as long", -0.001, 0.005))
    )
    assert "none trained for as long: -0.1 ± 0.5 points" in told
    assert "训练时长相同" in words.sentence(verdict(Word.TIME), "zh")


def test_no_evidence_says_what_would_give_it():
    told = words.sentence(verdict(Word.NO_EVIDENCE, none=against("none", 0.004, 0.009)))
    assert told == (
        "no evidence: +0.4 ± 0.9 points of mean IoU over none; about 14 seeds would be needed for"
        " an effect of this size"
    )
    told = words.sentence(verdict(Word.NO_EVIDENCE, none=against("none", 1e-5, 0.009, None)))
    assert "more than 1000 seeds" in told
    nothing = Against("none", effect([0.0, 0.0]), (0.0, 0.0), 1.0, None)
    told = words.sentence(verdict(Word.NO_EVIDENCE, none=nothing))
    assert told == "no evidence: no difference in mean IoU from none"


@pytest.mark.parametrize(
    ("slower", "told"),
    [
        (None, ""),
        (0.004, "as fast per picture"),
        (-0.03, "3 % faster per picture"),
        (0.5, "50 % slower per picture"),
        (1.4, "2.4 times as long per picture"),
    ],
)
def test_time(slower, told):
    assert words.cost(verdict(Word.WORTH, slower=slower)) == told


@pytest.mark.parametrize(
    ("kind", "mean", "margin", "told"),
    [
        (MIOU, 0.019, 0.006, "+1.9 ± 0.6 points"),
        (MIOU, 0.0191, 0.0002, "+1.91 ± 0.02 points"),
        (MIOU, 0.0, 0.01, "0.0 ± 1.0 points"),
        (MIOU, -0.0004, 0.004, "-0.04 ± 0.40 points"),
        (MIOU, -0.00001, 0.01, "0.00 ± 1.00 points"),
        (MIOU, -0.23, 0.15, "-23.0 ± 15.0 points"),
        (MIOU, 0.0123, math.inf, "+1.23 points"),
        (MIOU, 0.02, 0.0, "+2.00 ± 0.00 points"),
        (PX, 1.2, 0.04, "1.20 ± 0.04 px smaller"),
        (PX, -120.0, 45.0, "120 ± 45 px larger"),
        (OKS, 0.012, 0.003, "+0.012 ± 0.003"),
    ],
)
def test_figures(kind, mean, margin, told):
    one = Effect((mean, mean + 1e-9), mean, mean - margin, mean + margin, 0.5)
    assert words.difference(kind, one) == told


def test_titles():
    found = Kind("found_small", "small objects found (up to 40 px)")
    assert words.title(found) == found.title
    assert words.title(found, "zh") == "小目标的检出比例（不超过 40 px）"
    error = Kind("error_middle", "error in middle boxes (40 to 90 px)", False, False, "px")
    assert words.title(error, "zh") == "中等框内的误差（40 至 90 px）"
    assert words.title(Kind("iou_天空", "天空"), "zh") == "天空"
    assert words.title(Kind("found_small", "small (old)", True), "zh") == "小目标的检出比例（old）"


@pytest.mark.parametrize(
    ("kind", "gain", "told"), [(MIOU, 0.0312, "3 points"), (PX, 1.26, "1.3 px"), (OKS, 0.2, "0.20")]
)
def test_reach(kind, gain, told):
    assert f"about {told} would" in words.reach(Reach(gain, 3, 12, kind))
    assert "12 种机制" in words.reach(Reach(gain, 3, 12, kind), "zh")
    assert words.reach(Reach(gain, 3, 12, kind, 8)).endswith("pictures is too narrow")
    assert words.reach(Reach(gain, 3, 12, kind, 20)).endswith("stay open")


def test_names_of_arms():
    names = ("none", "control of se", "none, 1.5 times as long", "isa(down_factors=[(8, 8)])")
    assert [words.arm(name) for name in names] == list(names)
    assert words.arm("control of se", "zh") == "se 的对照"
    assert words.arm(names[2], "zh") == "训练时长 1.5 倍的无注意力网络"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_everything_has_words(language):
    for word in Word:
        assert words.word(word, language)
        assert words.meaning(word, language)
    told = words.notes(verdict(Word.WORTH, notes=tuple(Note), missing=2), language)
    assert len(told) == len(Note)
    assert "2" in told[list(Note).index(Note.NO_NUMBER)]
    for line in told:
        assert "\n" not in line
        assert bool(re.search(r"[\u4e00-\u9fff]", line)) == (language == "zh")


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", [MIOU, PX, OKS])
def test_every_sentence_of_simulated_comparisons_is_whole(language, kind):
    known = {name: Costs(1, 1, 1.0, 1.0, 1.0) for name in ("none", "se")}
    for none, control, longer, seeds in (
        (True, True, 1.5, 3), (True, False, 1.0, 1), (False, True, 1.0, 4), (False, False, 1.0, 2),
        (True, True, 1.0, 0),
    ):  # fmt: skip
        found = arms("se", "gc", none=none, control=control, longer=longer)
        runs = simulate(
            np.random.default_rng(0), found, {"se": 0.2, "gc": -0.2}, seeds=seeds, kind=kind
        )
        for one in judge(runs, found, known):
            told = words.sentence(one, language)
            assert words.word(one.word, language) in told
            assert not re.search(r"[{}]|nan|inf|  |None", told)


def test_a_gain_that_no_score_could_show_is_no_reach():
    said = words.reach(Reach(1.7, 3, 12, MIOU))
    assert said == (
        "with 3 seeds and 12 mechanisms no gain would be clear: take more seeds, or fewer"
        " mechanisms"
    )
    assert "12 种机制" in words.reach(Reach(1.7, 3, 12, MIOU), "zh")
