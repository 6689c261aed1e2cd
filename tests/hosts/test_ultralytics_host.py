"""Ultralytics networks keep what was inserted, and say so where their trainer would lose it."""

import copy
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import torch

import pixelwise as pw
from pixelwise.errors import InputError
from pixelwise.insertion.attached import insertions_of
from pixelwise.insertion.rebuilt import Look
from pixelwise.insertion.settling import LayerSkipped

STUDIES = Path(__file__).parents[2] / "studies"
FOLDER = tempfile.mkdtemp(prefix="ultralytics-")
os.environ["YOLO_CONFIG_DIR"], os.environ["YOLO_OFFLINE"] = FOLDER, "true"
ultralytics = pytest.importorskip("ultralytics")
from pixelwise.hosts import ultralytics as adapter  # noqa: E402


@pytest.fixture(scope="module", autouse=True)
def nothing_left_behind():
    yield
    shutil.rmtree(FOLDER, ignore_errors=True)


@pytest.fixture
def yolo():
    return ultralytics.YOLO("yolo11n-seg.yaml")


LINE = r"insert='psa_s@model\.9; psa_s@model\.16': the trainer builds a new network without .*"


def test_the_trainer_of_a_task(yolo):
    with pytest.raises(InputError, match=r"^yolo: nothing is inserted into this network; "):
        adapter.trainer(yolo)
    pw.insert(yolo.model, "model.9=psa_s")
    assert adapter.trainer(yolo) is adapter.SegmentationTrainer
    yolo.task = "count"
    with pytest.raises(InputError, match=r"^yolo.task='count': has no trainer here, only detect, "):
        adapter.trainer(yolo)


def test_a_new_network_from_the_recipe_is_refused(yolo):
    pw.insert(yolo.model, "model.9=psa_s, model.16=psa_s")
    kind = type(yolo.model)
    for recipe in (yolo.model.yaml, copy.deepcopy(yolo.model).yaml):
        with pytest.raises(InputError, match=LINE):
            kind(recipe, verbose=False)


def test_the_yolo_object_looks_at_what_is_trained(yolo):
    pw.insert(yolo.model, "model.9=psa_s, model.16=psa_s")
    (look,) = (one for one in yolo.callbacks["on_pretrain_routine_end"] if isinstance(one, Look))
    trainer = torch.nn.Module()
    trainer.model = copy.deepcopy(yolo.model)
    look(trainer)
    trainer.model = type(yolo.model)("yolo11n-seg.yaml", verbose=False)
    with pytest.raises(InputError, match=LINE):
        look(trainer)


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(STUDIES)
    import yolo_insertion

    yield yolo_insertion
    del sys.modules["yolo_insertion"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore", f"error::{LayerSkipped.__module__}.LayerSkipped")
def test_trained_saved_fused_predicted_and_exported(study, tmp_path):
    yolo, rows = study.trained(tmp_path)
    assert len({row["keys"] for row in rows}) == 1
    effect, *later = study.afterwards(yolo, tmp_path)
    assert effect["difference"] > 1e-3
    assert max(row["difference"] for row in later) < 1e-4
    assert pw.verify(yolo.model).ok
    with pytest.raises(InputError, match="the trainer builds a new network without these layers"):
        yolo.train(data=str(tmp_path / "set/data.yaml"), **study.TRAINING)
    before = insertions_of(yolo.model).state_dict()
    options = {**study.TRAINING, "epochs": 1, "lr0": 0.0, "project": str(tmp_path)}
    data = str(tmp_path / "set/data.yaml")
    yolo.train(data=data, trainer=adapter.trainer(yolo), **options)
    for name, value in insertions_of(yolo.trainer.model).state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_usual_trainer_of_a_network_from_a_file_is_stopped(yolo, study, tmp_path):
    pw.insert(yolo.model, "model.9=psa_s, model.16=psa_s")
    data = str(study.draw_set(tmp_path / "set"))
    with pytest.raises(InputError, match=LINE):
        yolo.train(data=data, project=str(tmp_path), **study.TRAINING)
