"""The first hour with a card, without one: files, failures, time, and verdicts."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pixelwise.ops.running import choice

FOLDER = Path(__file__).parents[2] / "benchmarks"
SCRIPT = FOLDER / "first_hour.py"


@pytest.fixture(autouse=True)
def folder(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(FOLDER), *sys.path])


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_operation_with_a_kernel_has_a_case_and_a_bound():
    from hour.bounds import work
    from hour.cases import CASES, TIMED, Size

    named = {operation for operation, forms in choice.FORMS.items() if "kernel" in forms}
    assert {case.operation for case in CASES.values()} == named
    assert {CASES[name].operation for name in TIMED} == named
    for name in CASES:
        forward, backward = (work(name, Size(2, 64, 8, 8), torch.bfloat16, way) for way in (0, 1))
        assert forward.moved < backward.moved
        assert forward.products + forward.others < backward.products + backward.others


def test_bounds_are_those_of_the_equations():
    from hour.bounds import Rates, bound, work
    from hour.cases import Size

    size, n = Size(2, 512, 64, 128), 64 * 128
    forward = work("attention", size, torch.bfloat16, backward=False)
    assert forward.moved == 2 * 2 * n * (64 + 64 + 512 + 512)
    assert forward.products == 2 * 2 * n * n * (64 + 512)
    microseconds, limit = bound(forward, Rates(1e12, 1e14, 1e13))
    assert (round(microseconds), limit) == (round(forward.products / 1e8), "matrix units")
    # A mask of 3x3 on a map of 2x2 reaches all its pixels.
    whole = work("mask collect", Size(1, 4, 2, 2), torch.float32, backward=False)
    assert whole.products == 4 * 4 * 2 * (4 + 4)


@pytest.mark.slow
def test_a_dry_run_writes_all_files(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(SCRIPT), "--out", str(tmp_path), "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    from hour.cases import CASES, DTYPES, TIMED
    from hour.jobs import COLUMNS

    for name, columns in COLUMNS.items():
        rows = read(tmp_path / f"{name}.csv")
        assert rows
        assert set(columns) | {"date", "torch", "card", "driver", "message"} <= set(rows[0])
        assert {row["run"] for row in rows} == {"dry run"}
    numbers = read(tmp_path / "numbers.csv")
    assert {row["verdict"] for row in numbers} == {"good"}
    assert {row["case"] for row in numbers} == set(CASES)
    assert {row["dtype"] for row in numbers} == set(DTYPES)
    assert {row["layout"] for row in numbers} == {"even", "odd", "channels-last", "far"}
    times = read(tmp_path / "times.csv")
    taken = {row["form"] for row in times if row["median_us"]}
    assert {"kernel", "lean", "plain", "fused", "compiled", "fused, math", "flex"} <= taken
    assert any(row["message"] and not row["median_us"] for row in times), "no such back end here"
    verdicts = read(tmp_path / "rules.csv")
    assert {row["case"] for row in verdicts if row["case"]} == set(TIMED)
    assert {row["operation"] for row in verdicts} == set(choice.RULES)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_without_a_card_one_line_says_so(tmp_path, capsys):
    import first_hour

    assert first_hour.main(["--out", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "none").exists()


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Hand:
    """Each job takes what it asks for, or what it is given."""

    def __init__(self, clock, takes):
        self.clock, self.takes = clock, takes

    def done(self, job, seconds, ceilings):
        self.clock.now += min(self.takes, seconds)
        return [job.about() | {"verdict": "good"}]

    def stop(self):
        pass


@pytest.mark.parametrize(("takes", "all_done"), [(1.0, True), (7.0, False), (1000.0, False)])
def test_the_time_is_kept(takes, all_done, tmp_path):
    import first_hour
    from hour.hands import LEAST, Budget
    from hour.jobs import COLUMNS, FILES, SHARES, Job

    jobs = {part: [Job(part, "axis", "bfloat16") for _ in range(20)] for part in SHARES}
    clock = Clock()
    budget = Budget(540, clock)
    files = first_hour.Files(tmp_path, {"card": "none"}, COLUMNS)
    hands = [Hand(clock, takes)]
    left = first_hour.through(jobs, budget, hands, files, say=lambda told: None)
    assert clock.now <= 100 + 540
    assert (left == []) == all_done
    assert all_done or budget.left() < LEAST + takes
    done = sum(len(files.rows[name]) for name in set(FILES.values()))
    assert done + len(left) == 100
    if takes == 7.0:
        assert all(files.rows[name] for name in set(FILES.values())), "something of every part"


def test_a_job_that_fails_is_a_row():
    from hour.cases import Size
    from hour.jobs import Job, perform

    (row,), broken = perform(Job("numbers", "axis", "no type", Size(1, 2, 3, 4), "even"), True, {})
    assert not broken
    assert (row["operation"], row["case"]) == ("axis_gate", "axis")
    assert row["message"].startswith("AttributeError")


def test_a_job_that_breaks_its_card_or_never_ends_is_a_row(monkeypatch):
    from hour import hands, jobs

    job = jobs.Job("times", "axis", "bfloat16", form="kernel")

    def fails(*given):
        yield {"mode": "forward", "median_us": 3.0}
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "_perform", fails)
        line = Line([(job, {})])
        hands._serve(line, True)
    rows, broken = line.sent[0]
    assert broken
    assert rows[0]["median_us"] == 3.0, "what was known before is kept"
    assert "illegal memory access" in rows[1]["message"]
    hand = hands.Process(True)
    hand._process, hand._line = Ended(), Line([])
    (row,) = hand.done(job, 3, {})
    assert row["message"] == "given up after 3 s"
    assert hand._process is None
    hand._process, hand._line = Ended(), Line([], ready=True)
    (row,) = hand.done(job, 3, {})
    assert row["message"].startswith("its process ended, code -11")


class Line:
    def __init__(self, given, ready=False):
        self.given, self.sent, self.ready = given, [], ready

    def recv(self):
        if not self.given:
            raise EOFError
        return self.given.pop(0)

    def send(self, told):
        self.sent.append(told)

    def poll(self, seconds):
        return self.ready

    def close(self):
        pass


class Ended:
    exitcode = -11

    def kill(self):
        pass

    def join(self, seconds=None):
        pass


def timed(rule="kernel", mode="forward", took=None, **times):
    named = {"operation": "joint_gate", "case": "joint product", "dtype": "bfloat16"}
    named |= {"size": "2x512x64x128", "mode": mode, "rule": rule}
    return [
        named | {"form": form, "median_us": us, "took": took if form == "kernel" and took else form}
        for form, us in times.items()
    ]


def verdict(rows, numbers=()):
    from hour.rules import verdicts

    return verdicts(rows, numbers)[0]


def test_a_rule_is_kept_where_what_it_takes_is_the_fastest():
    row = verdict(timed(kernel=10.0, lean=20.0, plain=30.0))
    assert (row["takes"], row["fastest"], row["verdict"]) == ("kernel", "kernel", "keep")
    assert verdict(timed(kernel=10.3, lean=10.0))["verdict"] == "keep", "as good as equal"


def test_a_rule_is_changed_where_another_form_is_faster():
    row = verdict(timed(kernel=30.0, lean=20.0, plain=90.0, compiled=5.0))
    assert (row["verdict"], row["times_as_fast"]) == ("change to lean", 1.5)
    assert (row["beside"], row["beside_us"]) == ("compiled", 5.0), "which no rule takes"


def test_a_kernel_that_did_not_run_or_is_wrong_is_not_taken():
    rows = timed(kernel=10.0, lean=20.0, took="lean")
    assert verdict(rows)["verdict"] == "change to lean: kernel did not run"
    rows = timed(kernel=10.0, lean=20.0)
    wrong = [{"operation": "joint_gate", "dtype": "bfloat16", "verdict": "beyond"}]
    assert verdict(rows, wrong)["verdict"] == "change to lean: kernel wrong numbers"
    other = [{"operation": "joint_gate", "dtype": "float16", "verdict": "beyond"}]
    assert verdict(rows, other)["verdict"] == "keep"


def test_rules_that_were_not_timed_are_named():
    from hour.rules import table, verdicts

    rows = verdicts([*timed(kernel=1.0), *timed(mode="train", kernel=2.0, lean=1.0)])
    assert [row["verdict"] for row in rows[:2]] == ["keep", "change to lean"]
    assert {row["operation"] for row in rows} == set(choice.RULES)
    assert len(table(rows)) == 3
