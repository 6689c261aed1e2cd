"""How long a run takes, and how often a time limit allows for val."""

import csv

import pytest

from pixelwise.cli.main import main
from pixelwise.train.pace import SHARE, Evaluations, Pace, Stopwatch, advice, in_words
from pixelwise.train.settings import TrainSettings

SMALL = ["--model", "fcn", "--backbone", "test_resnet", "--batch-size", "2", "--workers", "0"]


@pytest.mark.parametrize(
    ("val", "count", "every"),
    [
        (1.0, 10, 1),  # ten times 1 s are less than 540 / 6 = 90 s
        (9.0, 10, 1),
        (20.0, 4, 1),
        (30.0, 3, 1),
        (40.0, 3, 3),  # 90 - 40 s are left for three: 120 s / 50 s
        (80.0, 3, 6),
        (500.0, 3, 20),  # not less than five pictures
    ],
)
def test_evaluations_fit_into_their_share(val, count, every):
    pace = Pace(1.0, val, 101)
    chosen = pace.evaluations(540.0, 10)
    assert chosen == Evaluations(count, every)
    before_the_end = chosen.count * val / chosen.every
    assert before_the_end <= SHARE * 540 or val > SHARE * 540


def test_one_evaluation_that_is_asked_for_stays_one():
    assert Pace(1.0, 50.0, 101).evaluations(540.0, 1) == Evaluations(1)


def test_no_time_for_val_at_all_is_no_division_by_zero():
    assert Pace(1.0, 0.0, 3).evaluations(60.0, 10) == Evaluations(10)


def test_steps_that_fit():
    pace = Pace(2.0, 30.0, 100)
    assert pace.steps_within(540.0, Evaluations(3)) == (540 - 90) / 2
    assert pace.steps_within(540.0, Evaluations(3, 3)) == (540 - 60) / 2
    assert pace.steps_within(1.0, Evaluations(3)) == 1


def test_lines():
    pace = Pace(2.0, 30.0, 100)
    told = pace.line(Evaluations(10), 303, None, begun=3)
    assert told == "pace    2 s per step, 30 s per evaluation: about 15 min more, to step 303"
    told = pace.line(Evaluations(3, 4), None, 530.0, begun=3)
    assert told.endswith("about 241 steps, 3 evaluations of one in 4 pictures, and one of all at"
                         " the end")  # fmt: skip
    assert pace.line(Evaluations(1), None, 530.0).endswith("about 250 steps, 1 evaluation")


def test_few_steps_are_told():
    assert "about 43 steps are few" in advice(TrainSettings(time_limit="9m"), 43)
    assert advice(TrainSettings(time_limit="9m"), 430) is None


def test_stopwatch_counts_the_beginning_once():
    times = iter([0.0, 5.0, 6.0, 7.0])
    watch = Stopwatch(lambda: next(times))
    for _ in range(3):
        watch.picture()
    assert watch.total(101) == 5 + 100
    times = iter([0.0, 5.0])
    watch = Stopwatch(lambda: next(times))
    watch.picture()
    assert watch.total(1) == 5


@pytest.mark.parametrize(
    ("seconds", "told"), [(0.2, "1 s"), (89.0, "89 s"), (600.0, "10 min"), (7200.0, "2.0 h")]
)
def test_in_words(seconds, told):
    assert in_words(seconds) == told


def test_a_time_limit_is_kept_and_val_takes_its_share_only(tmp_path, capsys, monkeypatch):
    def slow(self, step, val, pictures, new=Pace.__init__):
        new(self, step, 3.0, pictures)

    monkeypatch.setattr(Pace, "__init__", slow)
    words = ["train", "--data", "scenes:size=64,train=4,val=12", "--time-limit", "12s"]
    assert main([*words, *SMALL, "--runs", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "s per step, 3 s per evaluation: about" in told
    assert "3 evaluations of one in 2 pictures, and one of all at the end" in told
    with (tmp_path / "train/1/validation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) <= 4  # three, and one that may be due before three steps are measured
    assert '"validation_pictures": 12' in (tmp_path / "train/1/metrics.json").read_text()


def test_a_network_to_start_from_is_scored_before_the_first_step(tmp_path):
    words = ["train", "--data", "scenes:size=64,train=4,val=2", "--steps", "2", "--runs"]
    assert main([*words, str(tmp_path), *SMALL, "--quiet"]) == 0
    start = str(tmp_path / "train/1")
    options = ["--batch-size", "2", "--workers", "0", "--start", start, "--quiet"]
    assert main([*words, str(tmp_path), *options]) == 0
    with (tmp_path / "train/2/validation.csv").open() as file:
        first = next(csv.DictReader(file))
    with (tmp_path / "train/1/validation.csv").open() as file:
        before = list(csv.DictReader(file))
    assert first["step"] == "0"
    assert first["miou"] == max(row["miou"] for row in before)


def test_what_the_task_decides_is_in_the_runs_record(tmp_path):
    words = ["train", "--data", "puppets:size=64,train=2,val=1", "--steps", "1", "--workers", "0"]
    assert main([*words, "--runs", str(tmp_path), "--device", "cpu", "--quiet"]) == 0
    told = (tmp_path / "train/1/config.yaml").read_text()
    for line in ("model: hrnet_pose", "backbone: hrnet_w18_small", "batch_size: 2"):
        assert line in told
