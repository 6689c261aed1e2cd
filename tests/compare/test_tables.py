import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from simulated import arms, simulate

from pixelwise.compare.costs import Costs
from pixelwise.compare.details import details
from pixelwise.compare.judging import judge
from pixelwise.compare.results import results
from pixelwise.compare.tables import score_table, text_table, verdict_table

KNOWN = {
    "none": Costs(1000, 10**9, 100.0, 10.0, 50.0, {"onnx": ""}),
    "se": Costs(1500, 10**9 + 5, 104.0, 10.7, None),
}


def compared(seeds=3, **how):
    found = arms("se", "gc")
    runs = simulate(np.random.default_rng(0), found, {"se": 0.2}, seeds=seeds, **how)
    return found, runs, judge(runs, found, KNOWN)


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_a_row_for_each_mechanism():
    _, _, verdicts = compared()
    se, gc = rows(verdict_table(verdicts, KNOWN))
    assert (se["mechanism"], se["verdict"], gc["verdict"]) == ("se", "worth it", "no evidence")
    assert float(se["mean"]) - float(se["none_mean"]) == pytest.approx(float(se["none_gain"]))
    assert float(se["none_low"]) < float(se["none_gain"]) < float(se["none_high"])
    assert float(se["none_pictures_low"]) < float(se["none_gain"])
    assert float(se["p"]) == max(float(se["none_p"]), float(se["control_p"]))
    assert float(se["p_corrected"]) == pytest.approx(2 * float(se["p"]))
    assert (se["parameters"], se["step_ms"], se["peak_mb"]) == ("1500", "104.0", "")
    assert se["sentence"].startswith("se: +")
    assert (gc["parameters"], gc["longer_gain"], gc["none_seeds"]) == ("", "", "3")


def test_one_seed_leaves_cells_empty():
    _, _, verdicts = compared(seeds=1)
    row = rows(verdict_table(verdicts, KNOWN))[0]
    assert (row["none_low"], row["none_high"], row["none_seeds_needed"]) == ("", "", "")
    assert float(row["none_gain"]) == pytest.approx(0.2, abs=0.05)


def test_a_row_for_each_run():
    _, runs, _ = compared(classes=("天空, heute", "road"))
    found = rows(score_table(runs))
    assert len(found) == 15
    assert float(found[3]["iou_天空, heute"]) == runs[3].scores.values[1]
    assert [row["seed"] for row in found[:3]] == ["0", "1", "2"]
    with_sizes = [replace(one, sizes=one.scores) for one in runs]
    assert float(rows(score_table(with_sizes))[4]["size_miou"]) == runs[4].main
    assert rows(score_table([])) == []


@pytest.mark.parametrize("seeds", [0, 1, 3])
def test_everything_as_json(seeds):
    found, runs, verdicts = compared(seeds, classes=("天空", "road"))
    for one in runs:
        one.scores.values[1] = np.nan
    content = results(verdicts, details(runs, found), runs, found, KNOWN, {"command": "here"})
    told = json.loads(content, parse_constant=lambda name: pytest.fail(name))
    assert told["about"] == {"command": "here"}
    assert {"pixelwise", "python", "torch", "scipy"} <= {*told["versions"]}
    assert [one["mechanism"] for one in told["verdicts"]] == ["se", "gc"]
    assert "证据不足" in told["verdicts"][1]["sentence"]["zh"]
    assert [arm["runs_with_score"] for arm in told["arms"]] == [seeds] * 5
    assert len(told["runs"]) == 5 * seeds
    if seeds:
        assert told["runs"][0]["scores"]["iou_天空"] is None
        assert told["details"][0]["rows"]["se"][0] is None
        assert told["verdicts"][0]["none"]["pictures_low"] is not None
        assert told["arms"][0]["costs"]["exports"] == {"onnx": ""}


def test_text_for_a_terminal():
    _, _, verdicts = compared()
    lines = text_table(verdicts, KNOWN).splitlines()
    assert "gain over none, points" in lines[0]
    assert lines[1].startswith("none")
    assert lines[2].endswith("worth it")
    assert " * " in lines[2]
    assert "+500" in lines[2]
    assert "+7 %" in lines[2]
    assert lines[3].endswith("no evidence")
    assert sum(line.startswith("se: +") for line in lines) == 1
    assert lines[-1].startswith("with 3 seeds and 2 mechanisms a gain over none of about")
    assert text_table([], {}) == ""


def test_remarks_are_told_once():
    found = arms("se", "gc", control=False)
    verdicts = judge(simulate(np.random.default_rng(0), found, {}), found, {})
    lines = text_table(verdicts, {}).splitlines()
    assert [line for line in lines if line.startswith("se, gc: there is no run of a control")]
