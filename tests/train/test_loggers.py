"""Loggers: what they are sent, what a resume sends again (nothing), and that none stops a run.

Small stand-ins record every call. The tools themselves are tried where they are installed.
"""

import contextlib
import importlib
import json
import sys
import threading
import time

import pytest

from pixelwise.errors import InputError
from pixelwise.settings import as_plain
from pixelwise.sharing import shareable, without_place
from pixelwise.train.interrupt import Interrupted
from pixelwise.train.loggers import choice, sending
from pixelwise.train.loggers.mlflow_names import allowed
from pixelwise.train.loggers.sending import Loggers
from pixelwise.train.settings import TrainSettings

WANDB = """
CALLS, KEY = [], True
class Settings:
    model_fields = {"console", "silent", "mode"}
    def __init__(self, **given):
        CALLS.append(("settings", given))
        self.mode = "online"
class Run:
    offline, url, dir = False, "https://wandb.test/run", "/x/files"
    def define_metric(self, name, step_metric): pass
    def log(self, row): CALLS.append(("log", row))
    def finish(self, exit_code): CALLS.append(("finish", exit_code))
def setup():
    class Setup:
        class settings:
            mode = "online"
    return Setup
def login(prompt): return KEY
def init(**given):
    CALLS.append(("init", given))
    return Run()
def Image(file): return file
"""


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    """A stand-in for the package wandb."""
    folder = tmp_path / "installed"
    folder.mkdir()
    (folder / "wandb.py").write_text(WANDB)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    for name in ("wandb", "pixelwise.train.loggers.wandb"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("wandb")
    for name in ("wandb", "pixelwise.train.loggers.wandb"):
        sys.modules.pop(name, None)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "train" / "7"
    folder.mkdir(parents=True)
    return folder


def of(wandb, kind):
    return [call for name, call in wandb.CALLS if name == kind]


def row(step):
    return {"step": step, "epoch": 0.1, "loss": 1 / step, "lr": 0.1}


SETTINGS = TrainSettings(data="/home/somebody/camvid/data.yaml", loggers="wandb")


def test_a_tool_gets_rows_when_a_checkpoint_covers_them_and_none_twice(wandb, run):
    past = {"train": [], "val": []}
    with contextlib.suppress(Interrupted), Loggers(SETTINGS, run, print) as loggers:
        loggers.begin(0, past)
        for step in (1, 2):
            loggers.numbers("train", row(step))
        loggers.numbers("val", {"step": 2, "epoch": 0.2, "miou": 0.5, "iou_car": None})
        loggers.settle()
        loggers.numbers("train", row(3))  # covered by no checkpoint
        raise Interrupted(2, 3, run)
    first = of(wandb, "log")
    assert [r.get("train/step") for r in first] == [1, 2, None]
    assert first[2] == {"val/step": 2, "val/epoch": 0.2, "val/miou": 0.5}
    assert of(wandb, "finish") == [1]
    wandb.CALLS.clear()
    past = {"train": [row(1), row(2)], "val": [{"step": 2, "miou": 0.5}]}
    with Loggers(SETTINGS, run, print) as loggers:
        loggers.begin(2, past)
        loggers.numbers("train", row(3))
        loggers.settle()
    assert [r["train/step"] for r in of(wandb, "log")] == [3]
    assert of(wandb, "finish") == [0]


def test_a_resume_goes_on_with_the_same_id(wandb, run):
    for step in (0, 5):
        with Loggers(SETTINGS, run, print) as loggers:
            loggers.begin(step, {"train": [], "val": []})
    first, again = of(wandb, "init")
    assert first["id"] == again["id"]
    assert first["name"] == "train/7"
    assert {first["resume"], again["resume"]} == {"allow"}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"kept": {"id": 3}, "sent": {"train": "x"}}'])
def test_a_damaged_note_begins_anew_with_all_rows(wandb, run, damage):
    with Loggers(SETTINGS, run, print) as loggers:
        loggers.begin(0, {"train": [], "val": []})
    (run / "loggers" / "wandb.json").write_text(damage)
    wandb.CALLS.clear()
    with Loggers(SETTINGS, run, print) as loggers:
        loggers.begin(2, {"train": [row(1), row(2)], "val": []})
    assert [r["train/step"] for r in of(wandb, "log")] == [1, 2]


def test_a_tool_that_fails_in_the_middle_is_told_once(wandb, run):
    told, calls = [], []

    def gone(self, values):
        calls.append(values)
        raise ConnectionError("server gone\nfor good")

    wandb.Run.log = gone
    with Loggers(SETTINGS, run, told.append) as loggers:
        loggers.begin(0, {"train": [], "val": []})
        for step in range(1, 5):
            loggers.numbers("train", row(step))
            loggers.settle()
            time.sleep(0.05)
    assert len(calls) == 1
    told = [line for line in told if "failed" in line]
    assert told == [
        "logger  wandb failed (ConnectionError: server gone for good): the run goes on without;"
        " steps.csv has all numbers"
    ]
    assert json.loads((run / "loggers" / "wandb.json").read_text())["sent"]["train"] == -1


def test_a_tool_that_never_answers_holds_nobody_up(wandb, run, monkeypatch):
    held, told = threading.Event(), []
    monkeypatch.setattr(sending, "END_WITHIN", 0.05)
    wandb.Run.log = lambda self, values: held.wait()
    with Loggers(SETTINGS, run, told.append) as loggers:
        loggers.begin(0, {"train": [], "val": []})
        loggers.numbers("train", row(1))
        loggers.settle()
    held.set()
    assert "no answer within 0.05 s" in told[-1]


@pytest.mark.parametrize("step", [0, 3])
def test_a_tool_that_cannot_begin_stops_a_new_run_only(wandb, run, monkeypatch, step):
    def no_network(**given):
        raise OSError("no network")

    monkeypatch.setattr(wandb, "init", no_network)
    told = []
    with Loggers(SETTINGS, run, told.append) as loggers:
        if step:
            loggers.begin(step, {"train": [], "val": []})
            loggers.numbers("train", row(4))
            loggers.settle()
            assert ["wandb failed (OSError: no network)" in line for line in told] == [True]
            return
        with pytest.raises(InputError, match="WANDB_MODE=offline"):
            loggers.begin(step, {"train": [], "val": []})


def test_one_that_does_not_answer_when_it_begins(wandb, run, monkeypatch):
    held = threading.Event()
    monkeypatch.setattr(wandb, "init", lambda **given: held.wait())
    monkeypatch.setattr(sending, "BEGIN_WITHIN", 0.05)
    with Loggers(SETTINGS, run, print) as loggers:
        with pytest.raises(InputError, match=r"wandb cannot begin \(TimeoutError: no answer"):
            loggers.begin(0, {"train": [], "val": []})
        held.set()


def test_no_key_is_told_with_the_ways_out(wandb, run):
    wandb.KEY = False
    with Loggers(SETTINGS, run, print) as loggers, pytest.raises(InputError) as error:
        loggers.begin(0, {"train": [], "val": []})
    assert "wandb login" in str(error.value)
    assert "WANDB_MODE=offline" in str(error.value)


def test_tensorboard_alone_needs_no_note(run):
    with Loggers(TrainSettings(), run, pytest.fail) as loggers:
        loggers.begin(0, {"train": [], "val": []})
        loggers.numbers("train", row(1))
        loggers.settle()
    assert [p.name for p in run.iterdir()] == ["tensorboard"]


def test_tensorboard_that_cannot_write_is_told_and_left_out(run):
    (run / "tensorboard").write_text("a file")
    told = []
    with Loggers(TrainSettings(), run, told.append) as loggers:
        loggers.begin(0, {"train": [], "val": []})
        loggers.numbers("train", row(1))
        loggers.settle()
    assert len(told) == 1
    assert "tensorboard failed" in told[0]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (None, ()),
        ("none", ()),
        ("csv,tensorboard", ()),
        (" WandB, mlflow,wandb,", ("wandb", "mlflow")),
    ],
)
def test_names(text, names):
    assert choice.read_names(text) == names


def test_a_misspelt_name_and_one_that_is_not_installed(monkeypatch):
    with pytest.raises(InputError, match="did you mean 'wandb'"):
        TrainSettings(loggers="wandbb")
    monkeypatch.setitem(choice.LOGGERS, "not_there_at_all", ("a", "b"))
    with pytest.raises(InputError, match=r"not installed; pip install not_there_at_all"):
        choice.check_installed("not_there_at_all")


def test_a_folder_of_a_tools_name_is_not_the_tool(tmp_path, monkeypatch):
    (tmp_path / "only_a_folder").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(choice.LOGGERS, "only_a_folder", ("a", "b"))
    with pytest.raises(InputError, match="not installed"):
        choice.check_installed("only_a_folder")


def test_a_tool_that_cannot_be_imported(tmp_path, monkeypatch, run):
    (tmp_path / "broken_tool.py").write_text("raise ImportError('needs\\nprotobuf 3')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(choice.LOGGERS, "broken_tool", ("broken_tool", "Tool"))
    with pytest.raises(InputError, match="ImportError: needs protobuf 3"):
        choice.make("broken_tool")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/home/somebody/camvid/data.yaml", "camvid/data.yaml"),
        ("C:\\Users\\somebody\\camvid\\data.yaml", "camvid/data.yaml"),
        ("../../somebody/x", "somebody/x"),
        ("~/camvid", "camvid"),
        ("scenes:size=64,train=10", "scenes:size=64,train=10"),
        ("camvid/data.yaml", "camvid/data.yaml"),
        ("https://me:pw@host/repo?token=abc", "https://host/repo"),
    ],
)
def test_what_of_a_path_is_told(text, told):
    assert without_place(text) == told


def test_settings_are_told_without_secrets():
    given = TrainSettings(data="/a/b/c/data.yaml", model_options={"api_key": "x", "width": 3})
    told = shareable(as_plain(given))
    assert told["data"] == "c/data.yaml"
    assert told["model_options"] == "{'api_key': '(hidden)', 'width': 3}"
    assert told["batch_size"] is None
    assert "runs" not in told
    assert all(v is None or isinstance(v, bool | int | float | str) for v in told.values())


def test_names_of_numbers_that_mlflow_allows():
    given = ["val/iou_a(b", "val/iou_a)b", "val/iou_a/../b", "train/loss", "val/iou_道路"]
    assert allowed(given) == [
        "val/iou_a_b", "val/iou_a_b_2", "val/iou_a_.._b", "train/loss", "val/iou___",
    ]  # fmt: skip


class TestTheToolsThemselves:
    """Where they are installed."""

    pytestmark = pytest.mark.filterwarnings("ignore")

    def story(self, run, name):
        settings = TrainSettings(data="/home/somebody/x/data.yaml", loggers=name)
        told = []
        picture = run / "curves.png"
        from PIL import Image

        Image.new("RGB", (8, 6)).save(picture)
        with contextlib.suppress(Interrupted), Loggers(settings, run, told.append) as loggers:
            loggers.begin(0, {"train": [], "val": []})
            loggers.numbers("train", row(1))
            loggers.numbers("val", {"step": 1, "miou": 0.5, "iou_道路 (x)": 0.1})
            loggers.settle()
            loggers.numbers("train", row(2))
            raise Interrupted(2, 2, run)
        with Loggers(settings, run, told.append) as loggers:
            past = {"train": [row(1)], "val": [{"step": 1, "miou": 0.5}]}
            loggers.begin(1, past)
            loggers.numbers("train", row(2))
            loggers.settle()
            loggers.picture(2, "curves", picture)
        assert not [line for line in told if "failed" in line], told
        return json.loads((run / "loggers" / f"{name}.json").read_text()), told

    def test_wandb(self, run, monkeypatch):
        pytest.importorskip("wandb")
        monkeypatch.setenv("WANDB_MODE", "offline")
        kept, told = self.story(run, "wandb")
        found = list((run / "wandb").glob("offline-run-*"))
        assert found
        assert all(folder.name.endswith(kept["kept"]["id"]) for folder in found)
        assert kept["sent"] == {"train": 2, "val": 1}
        assert "wandb sync" in told[0]

    def test_wandb_without_a_key(self, run, monkeypatch):
        pytest.importorskip("wandb")
        monkeypatch.setenv("HOME", str(run))
        monkeypatch.setenv("WANDB_MODE", "online")
        for name in ("WANDB_API_KEY", "NETRC"):
            monkeypatch.delenv(name, raising=False)
        with Loggers(SETTINGS, run, print) as loggers, pytest.raises(InputError) as error:
            loggers.begin(0, {"train": [], "val": []})
        assert "no API key" in str(error.value)

    def test_mlflow(self, run, monkeypatch):
        pytest.importorskip("mlflow")
        from mlflow.tracking import MlflowClient

        uri = f"sqlite:///{run}/mlflow.db"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        monkeypatch.chdir(run)
        kept, _ = self.story(run, "mlflow")
        client, identity = MlflowClient(uri), kept["kept"]["id"]
        found = client.get_run(identity)
        assert found.info.status == "FINISHED"
        assert found.data.params["data"] == "x/data.yaml"
        steps = [m.step for m in client.get_metric_history(identity, "train/loss")]
        assert steps == [1, 2]
        assert "val/iou___ _x_" in found.data.metrics

    def test_trackio(self, run, monkeypatch):
        pytest.importorskip("trackio")
        storage = pytest.importorskip("trackio.sqlite_storage")
        monkeypatch.setattr(storage, "TRACKIO_DIR", run / "trackio", raising=False)
        monkeypatch.setenv("TRACKIO_PROJECT", f"pixelwise-test-{time.time_ns()}")
        kept, _ = self.story(run, "trackio")
        rows = storage.SQLiteStorage.get_logs(kept["kept"]["project"], kept["kept"]["name"])
        assert sorted(r["step"] for r in rows if "train/loss" in r) == [1, 2]
