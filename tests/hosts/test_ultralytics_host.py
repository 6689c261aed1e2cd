"""Ultralytics networks keep what was inserted, and say so where their trainer would lose it."""

import copy
import os
import shutil
import tempfile

import pytest
import torch

import pixelwise as pw
from pixelwise.errors import InputError
from pixelwise.insertion.rebuilt import Look

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
