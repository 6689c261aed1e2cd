"""Learning rates over a run and over a network, early ends, one batch, maps computed again."""

import csv

import pytest
import torch

from pixelwise import create_model
from pixelwise.cli.main import main
from pixelwise.errors import InputError
from pixelwise.train.recipes import (
    backbone_shares,
    frozen_norms,
    layers_of,
    learning_rate,
    make_optimizer,
)
from pixelwise.train.settings import TrainSettings

SMALL = ["--model", "fcn", "--backbone", "test_resnet", "--batch-size", "2", "--workers", "0"]


def train(tmp_path, *words, steps=4):
    data = ["train", "--data", "scenes:size=64,train=4,val=2", "--steps", str(steps), "--quiet"]
    return main([*data, *SMALL, "--runs", str(tmp_path), *words])


def rows(tmp_path, name):
    with (tmp_path / "train/1" / name).open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        ("poly", {0.0: 0.01, 0.5: 0.5, 1.0: 0.0}),
        ("cosine", {0.0: 0.01, 0.5: 0.5, 0.25: 0.8535534, 1.0: 0.0}),
        ("constant", {0.0: 0.01, 0.5: 1.0, 1.0: 1.0}),
        ("one_cycle", {0.0: 0.04, 0.15: 0.52, 0.3: 1.0, 0.65: 0.5, 1.0: 0.0}),
    ],
)
def test_schedules(schedule, values):
    settings = TrainSettings(schedule=schedule, lr=1.0, power=1.0, warmup=1e-9)
    for progress, wanted in values.items():
        assert learning_rate(settings, progress) == pytest.approx(wanted, abs=1e-6)


def test_warm_up_comes_before_all_but_one_cycle():
    for schedule in ("poly", "cosine", "constant"):
        settings = TrainSettings(schedule=schedule, lr=1.0, warmup=0.1)
        assert learning_rate(settings, 0.05) == pytest.approx(0.5)


def test_one_cycle_is_torchs():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 1.0, total_steps=101, cycle_momentum=False, final_div_factor=1e12
    )
    settings = TrainSettings(schedule="one_cycle", lr=1.0)
    for step in range(101):
        # Their peak lies at 0.3 * 101 - 1 of 100 steps, ours at 0.3.
        part = step / 100
        peak = 0.293
        at = 0.3 * part / peak if part < peak else 0.3 + 0.7 * (part - peak) / (1 - peak)
        assert learning_rate(settings, at) == pytest.approx(theirs.get_last_lr()[0], abs=1e-6)
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(
    ("backbone", "first", "last", "count"),
    [
        ("resnet18", "conv1.weight", "layer4.1.bn2.bias", 9),
        ("convnext_atto", "stem_0.weight", "stages_3.blocks.1.mlp.fc2.bias", None),
        ("vit_tiny_patch16_224", "model.cls_token", "model.blocks.11.mlp.fc2.bias", 13),
    ],
)
def test_layers_of_backbones(backbone, first, last, count):
    body = create_model("fcn", backbone, num_classes=2).backbone.body
    names = {parameter: name for name, parameter in body.named_parameters()}
    layers = layers_of(body)
    assert [names[p] for layer in layers for p in layer] == list(names.values())
    assert (names[layers[0][0]], names[layers[-1][-1]]) == (first, last)
    assert count is None or len(layers) == count


def test_earlier_layers_learn_more_slowly():
    model = create_model("fcn", "resnet18", num_classes=2)
    settings = TrainSettings(backbone_lr=0.5, layer_decay=0.8)
    shares = backbone_shares(model, settings)
    body = model.backbone.body
    assert shares[body.layer4[1].conv1.weight] == pytest.approx(0.5)
    assert shares[body.conv1.weight] == pytest.approx(0.5 * 0.8**8)
    groups = make_optimizer(model, settings).param_groups
    of = {p: group["share"] for group in groups for p in group["params"]}
    assert {*of} == {*model.parameters()}
    assert all(of[p] == shares.get(p, 1.0) for p in of)


def test_a_frozen_backbone_stays_statistics_and_all(tmp_path):
    assert train(tmp_path, "--model", "fcn", "--backbone-lr", "0") == 0
    from pixelwise.networks.segmenter import load

    torch.manual_seed(0)
    fresh = create_model("fcn", "test_resnet", num_classes=7).backbone.state_dict()
    learnt = load(tmp_path / "train/1/last").backbone.state_dict()
    assert all(torch.equal(learnt[name], value) for name, value in fresh.items())
    assert len(frozen_norms(create_model("fcn", "test_resnet", num_classes=7))) == 0


def test_a_run_ends_early_where_nothing_gets_better(tmp_path, capsys):
    words = ["train", "--data", "scenes:size=64,train=4,val=2", "--steps", "40", *SMALL]
    more = ["--lr", "0.00000001", "--validations", "40", "--patience", "3"]
    assert main([*words, *more, "--runs", str(tmp_path)]) == 0
    assert "evaluations brought nothing better than step" in capsys.readouterr().out
    assert len(rows(tmp_path, "steps.csv")) < 40


def test_one_batch_alone_is_learnt_by_heart(tmp_path):
    words = ["--overfit-one-batch", "true", "--validations", "1", "--lr", "0.01"]
    assert train(tmp_path, *words, steps=60) == 0
    losses = [float(row["loss"]) for row in rows(tmp_path, "steps.csv")]
    assert losses[-1] < 0.5 * losses[0]


def test_maps_computed_again_give_the_same_weights(tmp_path):
    found = []
    for again in ("false", "true"):
        assert train(tmp_path / again, "--checkpointing", again, steps=2) == 0
        file = tmp_path / again / "train/1/last/model.safetensors"
        found.append(file.read_bytes())
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schedule": "step"}, "schedule='step': must be one of 'poly'"),
        ({"backbone_lr": -1.0}, "backbone_lr=-1"),
        ({"layer_decay": 1.5}, "layer_decay=1.5"),
        ({"patience": 0}, "patience=0"),
    ],
)
def test_what_is_refused(change, told):
    with pytest.raises(InputError, match=told):
        TrainSettings(**change)


def test_a_backbone_that_cannot_compute_its_maps_again(tmp_path, capsys):
    words = ["--model", "hrnetv2", "--backbone", "hrnet_w18_small", "--checkpointing", "true"]
    assert train(tmp_path, *words) == 2
    assert "checkpointing=True: backbone 'hrnet_w18_small' cannot" in capsys.readouterr().err
