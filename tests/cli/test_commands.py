"""The commands as a user types them: what they print, leave behind, and return."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from pixelwise.cli.main import COMMANDS, main
from pixelwise.layers.registry import available
from pixelwise.networks.factory import create_model
from pixelwise.train.interrupt import Stopped
from pixelwise.train.presets import preset_file, preset_names
from pixelwise.train.settings import TrainSettings

RUN = [
    "train", "--data", "scenes:size=64,train=6,val=2,test=2", "--backbone", "test_resnet",
    "--attention", "psa_s", "--output-stride", "16", "--steps", "4", "--batch-size", "2",
    "--workers", "0", "--validations", "1", "--device", "cpu",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    assert main([*RUN, "--quiet", "--runs", str(folder), "--name", "one"]) == 0
    return folder / "train" / "one"


def error_of(capsys, *words):
    assert main(list(words)) == 2
    caught = capsys.readouterr()
    lines = caught.err.strip().splitlines()
    assert len(lines) == 1, caught.err
    assert lines[0].startswith("error: ")
    return lines[0]


def test_help_lists_every_command_and_exit_codes(capsys):
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in COMMANDS)
    assert "130 interrupted" in text


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_is_short(capsys, name):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    flags = {w.strip("[],") for w in text.split() if w.strip("[],").startswith("--")}
    flags = {f for f in flags if not f.startswith(("--no-", "--print_config", "--help"))}
    assert len(flags) <= 25, sorted(flags)


def test_debug_says_which_forms_ran(run, tmp_path, capsys):
    words = ["evaluate", str(run), "--quiet", "--out", str(tmp_path), "--debug"]
    main(words)
    told = [line for line in capsys.readouterr().err.splitlines() if "forms taken: " in line]
    assert len(told) == 1
    assert "polarized_gate lean" in told[0]


def test_train_says_what_it_understood_and_what_is_next(capsys, tmp_path):
    assert main([*RUN, "--runs", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for part in (
        "6 training and 2 validation",
        "fpn with psa_s@stage4 on test_resnet",
        "4 steps of 2",
    ):
        assert part in text
    assert f"next: pixelwise predict {tmp_path / 'train' / '1'}" in text


def test_the_runs_own_yaml_reproduces_it(run, tmp_path, capsys):
    words = ["train", "--config", str(run / "config.yaml"), "--quiet", "--runs", str(tmp_path)]
    assert main(words) == 0
    again = tmp_path / "train" / "one" / "model.safetensors"
    assert again.read_bytes() == (run / "model.safetensors").read_bytes()


def test_a_preset_gives_settings_and_what_is_typed_takes_their_place(tmp_path, capsys):
    small = ["--data", "scenes:size=64,train=4,val=1,test=1", "--backbone", "test_resnet"]
    words = ["--steps", "2", "--batch-size", "2", "--crop", "32x32", "--no-pretrained"]
    rest = ["--workers", "0", "--device", "cpu", "--quiet", "--runs", str(tmp_path)]
    assert main(["train", "--preset", "bisenetv2_cityscapes", *small, *words, *rest]) == 0
    kept = yaml.safe_load((tmp_path / "train" / "1" / "config.yaml").read_text())
    assert kept["model"] == "bisenetv2"
    assert kept["loss"] == "ohem"
    assert "CoinCheung/BiSeNet" in kept["source"]
    assert (kept["steps"], kept["crop"], kept["lr"]) == (2, "32x32", 0.005)
    capsys.readouterr()
    message = error_of(capsys, "train", "--preset", "danet_cityscape", "--data", "scenes")
    assert "did you mean 'danet_cityscapes'?" in message


@pytest.mark.slow
@pytest.mark.parametrize("name", preset_names())
def test_every_preset_builds_its_network(name):
    given = yaml.safe_load(Path(preset_file(name)).read_text())
    settings = TrainSettings(**given)
    assert "github.com/" in settings.source
    with torch.device("meta"):
        model = create_model(
            settings.model if "model" in given else "fcn",
            settings.backbone if "backbone" in given else "resnet50",
            num_classes=19,
            task="multiclass" if settings.task == "auto" else settings.task,
            multi_grid=settings.multi_grid,
            backbone_options=settings.backbone_options,
            **(settings.model_options or {}),
        )
    assert sum(p.numel() for p in model.parameters()) > 3e6


def test_evaluate(run, capsys):
    assert main(["evaluate", str(run), "--split", "test", "--device", "cpu", "--quiet"]) == 0
    assert "mean" in capsys.readouterr().out
    found = json.loads((run / "evaluate" / "test" / "metrics.json").read_text())
    present = [iou for iou in found["iou"].values() if iou is not None]
    assert found["miou"] == pytest.approx(sum(present) / len(present))
    assert (run / "evaluate" / "test" / "confusion.png").is_file()


def test_predict(run, tmp_path, capsys):
    for name in "ab":
        noise = np.random.default_rng(0).integers(0, 255, (40, 52, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / f"{name}.png")
    out = tmp_path / "out"
    assert main(["predict", str(run), str(tmp_path), "--out", str(out), "--window", "32"]) == 0
    names = sorted(p.name for p in out.glob("[!.]*"))
    assert names == ["a.png", "a_overlay.png", "b.png", "b_overlay.png"]
    with Image.open(out / "a.png") as mask:
        assert mask.mode == "P"
        assert mask.size == (52, 40)
    (tmp_path / "c.png").write_bytes(b"not a picture")
    assert main(["predict", str(run), str(tmp_path), "--out", str(out)]) == 1
    caught = capsys.readouterr()
    assert "c.png" in caught.err
    assert "2 of 3 pictures predicted" in caught.out


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["trian"], ["command='trian': unknown command; did you mean 'train'?"]),
        (["train"], ["data='': must be given"]),
        (["train", "--epoch", "3"], ["--epoch: unknown option", "did you mean --epochs?"]),
        (["train", "--lr", "fast"], ["lr=fast: must be a number"]),
        (["train", "--data", "scenes", "--lr", "11"], ["lr=11: must be from"]),
        (["train", "--data", "nowhere"], ["nowhere"]),
        (["train", "--config", "nowhere.yaml"], ["nowhere.yaml"]),
        (["train", "--resume", "nowhere"], ["nowhere", "config.yaml"]),
        (["train", "--resume", "nowhere", "--lr", "0.1"], ["leave out lr"]),
        (["train", "--data", "scenes", "--model", "danett"], ["did you mean 'danet'?"]),
        (["evaluate", "nowhere", "--data", "scenes"], ["nowhere", "no such folder"]),
        (["predict", "nowhere", "a.png", "--out", "x"], ["a.png"]),
        (["evaluate", "1", "--overlap=" + "9" * 400], ["--overlap=999", "too large a number"]),
        (["layers", "splat"], ["is not in this version", "nearest here: 'se', 'eca'"]),
        (["models", "fnc"], ["did you mean 'fcn'?"]),
        (["demo", "--steps", "0"], ["steps=0: must be from"]),
    ],
)
def test_wrong_input_is_one_line(capsys, tmp_path, monkeypatch, words, parts):
    monkeypatch.chdir(tmp_path)
    line = error_of(capsys, *words)
    assert all(part in line for part in parts), line
    assert list(tmp_path.iterdir()) == []


def test_evaluating_on_other_classes(run, tmp_path, capsys):
    for folder in ("images", "masks"):
        (tmp_path / "val" / folder).mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "val" / "images" / "a.png")
    Image.new("L", (8, 8)).save(tmp_path / "val" / "masks" / "a.png")
    data = tmp_path / "data.yaml"
    data.write_text("path: .\nval: val/images\nnames: {0: a, 1: b}\n")
    line = error_of(capsys, "evaluate", str(run), "--data", str(data), "--quiet")
    assert "7 classes" in line
    assert "2 (a, b)" in line


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_mask_value_outside_the_map_is_named(tmp_path, capsys, workers):
    for split in ("train", "val"):
        for folder in ("images", "masks"):
            (tmp_path / split / folder).mkdir(parents=True)
        Image.new("RGB", (64, 64)).save(tmp_path / split / "images" / "a.png")
        mask = Image.new("L", (64, 64))
        mask.putpixel((3, 3), 7)
        mask.putpixel((4, 4), 1)
        mask.save(tmp_path / split / "masks" / "a.png")
    data = tmp_path / "data.yaml"
    data.write_text("path: .\ntrain: train/images\nval: val/images\nnames: {0: a, 1: b}\n")
    words = ["train", "--data", str(data), "--backbone", "test_resnet", "--runs", str(tmp_path)]
    words += ["--steps", "2", "--batch-size", "2", "--workers", workers, "--quiet"]
    line = error_of(capsys, *words, "--no-check-data")
    assert "a.png" in line
    assert "7" in line
    assert "Traceback" not in line
    assert main(words) == 1
    told = capsys.readouterr().err
    assert "stop  values-unlisted: 2 of 2 masks hold values that are not listed: 7" in told
    assert "data.yaml: map: {0: 0, 1: 1, 255: ignore, 7: ignore}" in told
    assert f"pixelwise check-data {data} shows all of it; with --check-data false" in told
    assert not list(tmp_path.glob("train/*/config.yaml"))


def test_suspicions_are_told_and_training_starts(tmp_path, capsys):
    for split in ("train", "val"):
        for folder in ("images", "masks"):
            (tmp_path / "d" / split / folder).mkdir(parents=True)
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / "d" / split / "images" / "a.png")
        mask = Image.fromarray(noise[..., 0] // 128)
        mask.save(tmp_path / "d" / split / "masks" / "a.png")
    data = tmp_path / "d" / "data.yaml"
    data.write_text("train: train/images\nval: val/images\nnames: {0: a, 1: b}\n")
    words = ["train", "--data", str(data), "--backbone", "test_resnet", "--runs", str(tmp_path)]
    words += ["--model", "fcn", "--steps", "1", "--batch-size", "2", "--workers", "0"]
    assert main([*words, "--name", "one"]) == 0
    told = capsys.readouterr()
    assert "warn  leak: 1 picture is byte for byte in several splits" in told.err
    assert "check   2 of 2 pictures and masks in" in told.out
    assert main([*words, "--name", "two", "--check-data", "false"]) == 0
    assert "leak" not in capsys.readouterr().err
    run = tmp_path / "train" / "one"
    (run / "metrics.json").unlink()
    assert main(["train", "--resume", str(run)]) == 0
    assert "leak" not in capsys.readouterr().err
    (run / "metrics.json").unlink()
    mask.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "d" / "val" / "masks" / "a.png")
    assert main(["train", "--resume", str(run), "--accept-changes"]) == 0
    assert "warn  leak" in capsys.readouterr().err


def test_cards(capsys):
    assert main(["layers"]) == 0
    told = "psa_s                Polarized self-attention (sequential), 2021\n    Gate the channels"
    assert told in capsys.readouterr().out
    assert main(["layers", "psa_s"]) == 0
    card = capsys.readouterr().out
    for part in ("arxiv.org/abs/2107.00782", "variant='code'", "MFLOP", "create_layer"):
        assert part in card
    assert main(["models"]) == 0
    told = "danet                Dual attention network, 2019\n    position (pam) and"
    assert told in capsys.readouterr().out
    assert main(["models", "danet", "--backbone", "test_resnet"]) == 0
    card = capsys.readouterr().out
    for part in ("arxiv.org/abs/1809.02983", "width=None", "GFLOP"):
        assert part in card


@pytest.mark.slow
@pytest.mark.parametrize("key", available())
def test_every_layer_has_a_card(key, capsys):
    assert main(["layers", key]) == 0
    card = capsys.readouterr().out
    for part in ("Source: ", "Options", "FLOP; grows with", f'create_layer("{key}", 256)'):
        assert part in card
    assert "  None" not in card


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("--model-options", "upsampler=dysample", "a mapping such as '{name: value}'"),
        ("--multi-grid", "3", "a list of whole numbers such as '[1, 2, 4]'"),
    ],
)
def test_a_mapping_or_a_list_is_asked_for_in_words(capsys, option, value, rule):
    assert main([*RUN, option, value]) == 2
    said = capsys.readouterr().err
    assert f"={value}: must be {rule}; see pixelwise train --help" in said


@pytest.mark.parametrize(("device", "said"), [("cpu", True), ("cuda", False)])
def test_train_keeps_freed_memory_on_a_cpu_and_says_so(monkeypatch, capsys, device, said):
    def stop(*_, **__):
        raise Stopped("here")

    monkeypatch.setattr("pixelwise.train.run.train", stop)
    monkeypatch.setattr("pixelwise.devices.pick_device", lambda _: device)
    monkeypatch.setattr("pixelwise.cli.train.keep_freed_memory", lambda: True)
    assert main(RUN) == 1
    assert ("what a step frees is kept" in capsys.readouterr().out) == said


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_the_process_with_their_code(tmp_path, number, code):
    words = [*RUN, "--steps", "100000", "--workers", "2", "--runs", str(tmp_path), "--quiet"]
    words.remove("4")
    words.remove("--steps")
    process = subprocess.Popen(
        [sys.executable, "-m", "pixelwise.cli.main", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    run = tmp_path / "train" / "1"
    for _ in range(600):
        if (run / "tensorboard").exists():
            break
        time.sleep(0.1)
    time.sleep(1.0)
    os.killpg(process.pid, number)  # as a terminal or a scheduler does: loaders get it too
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert f"pixelwise train --resume {run}" in said
    assert len(list((run / "checkpoints").glob("*.pt"))) == 1


def test_precision_is_told_where_it_is_asked_for(run, tmp_path, capsys):
    picture = tmp_path / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(picture)
    words = ["predict", str(run), str(picture), "--device", "cpu", "--out"]
    assert main([*words, str(tmp_path / "full")]) == 0
    assert "bits " not in capsys.readouterr().out
    assert main([*words, str(tmp_path / "half"), "--precision", "bf16"]) == 0
    assert "bits    bfloat16: asked for" in capsys.readouterr().out
    words = ["evaluate", str(run), "--out", str(tmp_path / "scores"), "--device", "cpu"]
    assert main([*words, "--precision", "auto"]) == 0
    assert "bits    " in capsys.readouterr().out
    assert main([*words, "--precision", "bf16"]) == 0
    assert json.loads((tmp_path / "scores/metrics.json").read_text())["bits"] == "bf16"
    told = error_of(capsys, "predict", str(run), str(picture), "--precision", "16")
    assert told.startswith("error: precision='16': must be one of '32', 'bf16', 'auto'")


@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
def test_compile_is_off_or_auto(run, tmp_path, capsys, command):
    picture = tmp_path / "a.png"
    picture.touch()
    words = {"train": RUN, "predict": ["predict", str(run), str(picture)]}
    told = error_of(capsys, *words.get(command, [command, str(run)]), "--compile", "yes")
    assert told.startswith("error: compile='yes': must be one of 'off', 'auto'; use one of them")


def test_compile_is_told_where_it_is_asked_for(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pixelwise.compiling.per_mode.compiler", lambda: None)
    picture = tmp_path / "a.png"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(picture)
    words = ["predict", str(run), str(picture), "--device", "cpu", "--compile", "auto", "--out"]
    assert main([*words, str(tmp_path / "masks")]) == 0
    assert "compile no C++ compiler was found" in capsys.readouterr().out
    words = ["evaluate", str(run), "--out", str(tmp_path / "scores"), "--device", "cpu"]
    assert main([*words, "--compile", "auto"]) == 0
    assert "compile no C++ compiler was found" in capsys.readouterr().out
    assert json.loads((tmp_path / "scores/metrics.json").read_text())["compile"] == "auto"
    assert main([*words]) == 0
    assert "compile" not in json.loads((tmp_path / "scores/metrics.json").read_text())
    cluster = ["--cluster", "local", "--compile", "auto"]
    told = error_of(capsys, "predict", str(run), str(picture), *cluster)
    assert told == "error: compile='auto': is for one machine; leave it out, or --cluster"
