"""What goes wrong around commands: one line, an exit code, and nothing lost."""

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.cli.main import main
from pixelwise.networks.factory import create_model

SMALL = [
    "--backbone", "test_resnet", "--steps", "4", "--batch-size", "2", "--workers", "0", "--crop",
    "32", "--validations", "1", "--device", "cpu",
]  # fmt: skip
SCENES = ["train", "--data", "scenes:size=64,train=6,val=2,test=2", *SMALL]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doors")
    assert main([*SCENES, "--quiet", "--runs", str(folder / "runs"), "--name", "one"]) == 0
    return folder / "runs" / "train" / "one"


@pytest.fixture
def run(made, tmp_path):
    """A finished run, in a folder of its own."""
    return Path(shutil.copytree(made, tmp_path / "runs" / "train" / "one"))


def picture(file, seed=0, size=(40, 52)):
    file.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    Image.fromarray(noise).save(file)
    return file


def data_set(folder, names="{0: a, 1: b}", crack=True):
    """Two training pictures and one of val, with the data.yaml that names them."""
    for split, count in (("train", 3), ("val", 1)):
        for number in range(count):
            picture(folder / split / "images" / f"{number}.png", number, (64, 64))
            mask = np.zeros((64, 64), np.uint8)
            mask[:, :8] = crack
            file = folder / split / "masks" / f"{number}.png"
            file.parent.mkdir(exist_ok=True)
            Image.fromarray(mask).save(file)
    data = folder / "data.yaml"
    data.write_text(f"train: train/images\nval: val/images\nnames: {names}\n")
    return data


def refused(capsys, *words, code=2):
    """The one line that a command says."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def command(*words):
    return subprocess.Popen(
        [sys.executable, "-m", "pixelwise.cli.main", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


# What may be replaced


def test_predict_replaces_no_photograph_of_the_same_stem(run, tmp_path, capsys):
    one = picture(tmp_path / "in" / "x.jpg")
    other = picture(tmp_path / "in" / "x.png", 1).read_bytes()
    line = refused(capsys, "predict", run, one, "--out", tmp_path / "in")
    assert "x.png: stands there" in line
    assert (tmp_path / "in" / "x.png").read_bytes() == other
    assert sorted(p.name for p in (tmp_path / "in").iterdir()) == ["x.jpg", "x.png"]


def test_predict_replaces_its_own_masks_but_not_those_that_were_corrected(run, tmp_path, capsys):
    one, out = picture(tmp_path / "in" / "x.jpg"), tmp_path / "out"
    words = ("predict", str(run), str(one), "--out", str(out), "--quiet")
    assert main(words) == 0
    assert main(words) == 0
    Image.new("L", (52, 40), 3).save(out / "x.png")
    corrected = (out / "x.png").read_bytes()
    assert "x.png: stands there, and not as `pixelwise predict` wrote it" in refused(capsys, *words)
    assert (out / "x.png").read_bytes() == corrected


def test_a_link_in_the_way_is_not_followed(run, tmp_path, capsys):
    one, out = picture(tmp_path / "in" / "x.jpg"), tmp_path / "out"
    out.mkdir()
    (out / "x_overlay.png").symlink_to(picture(tmp_path / "precious.png"))
    assert "x_overlay.png: stands there" in refused(capsys, "predict", run, one, "--out", out)


def test_evaluate_does_not_replace_the_numbers_of_the_run(run, capsys):
    before = (run / "metrics.json").read_bytes()
    assert "metrics.json: stands there" in refused(capsys, "evaluate", run, "--out", run)
    assert (run / "metrics.json").read_bytes() == before
    for _ in range(2):
        assert main(["evaluate", str(run), "--quiet", "--device", "cpu"]) == 0


@pytest.mark.parametrize("name", ["classes.csv", "confusion.png"])
def test_evaluate_looks_for_files_of_someone_else_before_it_works(
    run, tmp_path, capsys, monkeypatch, name
):
    def work(*_, **__):
        raise AssertionError("evaluated")

    monkeypatch.setattr("pixelwise.evaluating.scoring.evaluate", work)
    (tmp_path / name).write_text("mine")
    assert name in refused(capsys, "evaluate", run, "--out", tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_explain_does_not_replace_a_page_of_someone_else(run, tmp_path, capsys):
    one = picture(tmp_path / "in" / "x.jpg")
    page = tmp_path / "out" / "x" / "look.html"
    page.parent.mkdir(parents=True)
    page.write_text("mine")
    line = refused(capsys, "explain", run, one, "--out", tmp_path / "out", "--no-deletion")
    assert "look.html: stands there" in line
    assert page.read_text() == "mine"


def test_import_does_not_replace_the_weights_of_a_run(run, tmp_path, capsys):
    torch.save({"conv.weight": torch.zeros(1)}, tmp_path / "some.pth")
    before = (run / "model.safetensors").read_bytes()
    refused(capsys, "import", tmp_path / "some.pth", "--out", run)
    assert (run / "model.safetensors").read_bytes() == before


def test_train_and_bench_want_a_folder_of_their_own(tmp_path, capsys):
    picture(tmp_path / "train" / "holiday" / "a.png")
    words = [*SCENES, "--runs", tmp_path, "--name", "holiday"]
    assert "holiday: exists and is not empty" in refused(capsys, *words)
    words = ["bench", "se", "--out", tmp_path / "train" / "holiday"]
    assert "exists and is not empty" in refused(capsys, *words)


def test_a_network_is_not_saved_over_that_of_another_code(tmp_path):
    model = create_model("fcn", "test_resnet", num_classes=2)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match=r"config\.json: is not of a network .* choose another"):
        model.save_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    for _ in range(2):
        model.save_pretrained(tmp_path)


def test_insertions_are_not_saved_over_something_else(tmp_path, capsys):
    file = picture(tmp_path / "x.png")
    words = ["insert", "test_resnet", "--at", "layer4=se", "--out", file]
    assert "x.png: holds something else than insertions" in refused(capsys, *words)
    for _ in range(2):
        assert main([*words[:-1], str(tmp_path / "some.safetensors"), "--quiet"]) == 0


@pytest.mark.slow
def test_two_commands_at_once(run, tmp_path, capsys):
    pictures = [picture(tmp_path / "in" / f"{i}.png", i, (900, 900)) for i in range(60)]
    first = command("predict", run, *pictures, "--out", tmp_path / "out", "--flip")
    try:
        while not list((tmp_path / "out").glob("*_overlay.png")):
            time.sleep(0.1)
        words = ("predict", run, pictures[0], "--out", tmp_path / "out")
        assert "another `pixelwise predict` is writing there" in refused(capsys, *words)
    finally:
        first.kill()
        first.communicate()
    assert main([*map(str, words)]) == 0  # what was killed is in nobody's way


@pytest.mark.slow
def test_two_resumes_of_one_run_at_once(tmp_path, capsys):
    words = [*SCENES, "--steps", "100000", "--runs", str(tmp_path), "--workers", "2"]
    run = tmp_path / "train" / "1"
    first = command(*words)
    try:
        while not (run / "tensorboard").exists():
            time.sleep(0.1)
        line = refused(capsys, "train", "--resume", run)
        assert f"process {first.pid} is at work on this run" in line
    finally:
        first.kill()
        first.communicate()
    (run / ".saving-left").mkdir()
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("steps: 100000", "steps: 2"))
    assert main(["train", "--resume", str(run), "--quiet"]) == 0  # at once: no lock is left
    assert not list(run.glob(".saving-*"))


# Memory, workers, what nobody foresaw


def test_out_of_memory_in_training_names_what_to_lower_and_the_checkpoint(run, capsys, monkeypatch):
    from pixelwise.train import learning

    (run / "metrics.json").unlink()
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("steps: 4", "steps: 9"))

    def short(self, image, mask):
        torch.empty(2**46)

    monkeypatch.setattr(learning.Learner, "_loss", short)
    assert main(["train", "--resume", str(run), "--quiet"]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    for part in ("memory: did not suffice (some", "GiB", "--batch-size", "--crop", "step_00000004"):
        assert part in line
    assert len(list((run / "checkpoints").glob("*.pt"))) == 1


@pytest.mark.parametrize(
    "size", [["--batch-size", "9999", "--crop", "9999"], ["--crop", "900000000"]]
)
def test_a_batch_larger_than_the_machine_is_refused_before_the_first_step(tmp_path, capsys, size):
    line = refused(capsys, *SCENES, *size, "--runs", tmp_path, "--quiet")
    assert "memory: did not suffice" in line
    assert "--batch-size" in line


@pytest.mark.parametrize("name", ["predict", "evaluate", "explain"])
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate"
                     " memory: you tried to allocate 70368744177664 bytes."),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError("Unable to allocate 3 GiB for an array"),
    ],
)  # fmt: skip
def test_out_of_memory(run, tmp_path, capsys, monkeypatch, name, error):
    from pixelwise.networks.segmenter import Segmenter

    def short(self, image):
        raise error

    monkeypatch.setattr(Segmenter, "forward", short)
    rest = [] if name == "evaluate" else [picture(tmp_path / "x.png")]
    line = refused(capsys, name, run, *rest, "--quiet", "--device", "cpu")
    assert "memory: did not suffice" in line
    assert ("smaller picture" if name == "explain" else "lower --window") in line


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyError("odd"), "KeyError: 'odd'"),
        (RecursionError("maximum recursion depth exceeded"), "RecursionError"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "UnicodeDecodeError"),
        (AssertionError(), "AssertionError; "),
        (SystemExit("sentence of a\nlibrary"), "error: sentence of a library"),
    ],
)
def test_what_nobody_foresaw_is_one_line(capsys, monkeypatch, error, told):
    def fail(arguments):
        raise error

    monkeypatch.setattr("pixelwise.cli.layers.main", fail)
    line = refused(capsys, "layers", code=1)
    assert told in line
    assert isinstance(error, SystemExit) or "--debug shows where" in line


@pytest.mark.parametrize("name", ["train", "evaluate"])
def test_a_killed_loader_ends_the_command(run, tmp_path, capsys, monkeypatch, name):
    from pixelwise.data.scenes import Scenes

    taken = Scenes.split

    def split(self, which):
        pictures = taken(self, which)
        read = type(pictures).__getitem__

        class Killing(type(pictures)):
            def __getitem__(self, index):
                if multiprocessing.parent_process() is not None:
                    os.kill(os.getpid(), signal.SIGKILL)
                return read(self, index)

        pictures.__class__ = Killing
        return pictures

    monkeypatch.setattr(Scenes, "split", split)
    words = [*SCENES, "--runs", tmp_path] if name == "train" else ["evaluate", run]
    line = refused(capsys, *words, "--workers", "2", "--quiet", code=1)
    assert "a process that loads pictures was killed" in line
    assert multiprocessing.active_children() == []


# Runs by name, data that moved, settings and data that changed


def test_a_misspelt_run_names_the_nearest(run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = picture(tmp_path / "x.png")
    for words in (
        ["predict", "runs/train/onee", one],
        ["predict", "rnus/one", one],
        ["explain", "one", one],
        ["evaluate", "runs/tarin/one"],
    ):
        assert "did you mean runs/train/one?" in refused(capsys, *words)
    assert "did you mean runs/train/one?" in refused(capsys, "train", "--resume", "runs/train/oen")
    assert "is a file; give the folder" in refused(
        capsys, "predict", "runs/train/one/model.safetensors", one
    )


def test_a_run_that_moved_with_its_data_finds_them(tmp_path, capsys, monkeypatch):
    (tmp_path / "a").mkdir()
    data_set(tmp_path / "a" / "d")
    monkeypatch.chdir(tmp_path / "a")
    assert main(["train", "--data", "d", *SMALL, "--quiet"]) == 0
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    run = tmp_path / "b" / "runs" / "train" / "1"
    assert main(["evaluate", str(run), "--quiet"]) == 0
    (run / "metrics.json").unlink()
    assert main(["train", "--resume", str(run), "--quiet"]) == 0
    (tmp_path / "b" / "d").rename(tmp_path / "elsewhere")
    for words in (["evaluate", run], ["train", "--resume", run]):
        line = refused(capsys, *words)
        assert "data='d': nothing there" in line
        assert "--data" in line
        assert main([*map(str, words), "--data", str(tmp_path / "elsewhere"), "--quiet"]) == 0


@pytest.fixture
def cut(tmp_path):
    """A run on files that is to go on."""
    data_set(tmp_path / "d")
    words = ["--data", str(tmp_path / "d"), *SMALL, "--runs", str(tmp_path), "--name", "cut"]
    assert main(["train", *words, "--quiet"]) == 0
    run = tmp_path / "train" / "cut"
    (run / "metrics.json").unlink()
    return run


def test_resume_says_what_changed(cut, tmp_path, capsys):
    (tmp_path / "d" / "train" / "images" / "2.png").unlink()
    Image.new("L", (64, 64), 1).save(tmp_path / "d" / "train" / "masks" / "1.png")
    config = cut / "config.yaml"
    text = config.read_text().replace("lr: null", "lr: 1e-3").replace("steps: 4", "steps: 6")
    config.write_text(text)
    line = refused(capsys, "train", "--resume", cut, "--quiet")
    assert "1 pictures are gone: train/2.png, and 1 masks were edited: train/1.png" in line
    assert main(["train", "--resume", str(cut), "--accept-changes", "--quiet"]) == 0
    told = capsys.readouterr().err
    for part in ("lr was None and is 0.001 now", "steps was 4 and is 6 now"):
        assert part in told
    for part in ("1 pictures are gone: train/2.png", "1 masks were edited: train/1.png"):
        assert part in told
    (cut / "metrics.json").unlink()
    assert main(["train", "--resume", str(cut), "--quiet"]) == 0
    assert "changed" not in capsys.readouterr().err  # told once


def test_resume_refuses_classes_that_mean_something_else(cut, tmp_path, capsys):
    data = tmp_path / "d" / "data.yaml"
    data.write_text(data.read_text().replace("{0: a, 1: b}", "{0: b, 1: a}"))
    line = refused(capsys, "train", "--resume", cut, "--quiet")
    assert "the classes were a, b and are b, a now" in line
    assert "--accept-changes" in line
    assert main(["train", "--resume", str(cut), "--accept-changes", "--quiet"]) == 0
    assert "the classes were a, b" in capsys.readouterr().err


def test_resume_refuses_another_network_by_name(cut, capsys):
    config = cut / "config.yaml"
    config.write_text(config.read_text().replace("model: fpn", "model: fcn"))
    line = refused(capsys, "train", "--resume", cut, "--quiet")
    assert "model was 'fpn' and is 'fcn' now" in line
    assert "classes" not in line


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("batch_size: 2", "batch_size: 2.0", "batch_size=2.0: must be null or a whole number"),
        ("flip: true", "flip: yes please", "flip='yes please': must be true or false"),
        ("seed: 0", "seed: -1", "seed=-1: must be from 0"),
        ("seed: 0", "sede: 0", "did you mean 'seed'?"),
        ("seed: 0", "seed: 0\nseed: 1", "'seed' stands in line"),
        ("lr: null", "lr: fast", "lr='fast': must be null or a number"),
        ("lr: null", "lr: .nan", "lr=nan"),
        ("keep: 2", "keep: null", "keep=None"),
        ("time_limit: null", "time_limit: 7", "needs a unit"),
    ],
)
def test_a_config_edited_by_hand_is_checked_by_every_reader(run, tmp_path, capsys, old, new, told):
    (run / "metrics.json").unlink()
    config = run / "config.yaml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new).replace("steps: 4", "steps: null"))
    for words in (["train", "--resume", run], ["evaluate", run], ["train", "--config", config]):
        line = refused(capsys, *words, *(["--runs", tmp_path] if "--config" in words else []))
        assert told in line


def test_numbers_as_yaml_users_write_them(run, capsys):
    (run / "metrics.json").unlink()
    config = run / "config.yaml"
    text = config.read_text().replace("lr: null", "lr: '1e-3'").replace("flip: true", "flip: 'yes'")
    config.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert main(["train", "--resume", str(run), "--quiet"]) == 0


def test_a_network_that_says_one_class_is_told(tmp_path, capsys):
    words = ["train", "--data", str(data_set(tmp_path / "d")), *SMALL, "--lr", "1e-8", "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        from pixelwise.tasks.multiclass import Multiclass

        patch.setattr(
            Multiclass, "answer", lambda self, logits: torch.zeros_like(logits[:, 0]).long()
        )
        assert main([*words, "--runs", str(tmp_path)]) == 0
    told = capsys.readouterr().err
    assert "the best network says 'a' for every pixel of val" in told
    assert "--class-weights auto" in told


@pytest.mark.parametrize("task", ["segmentation", "panoptic"])
def test_a_task_that_there_is_not_is_refused_before_it_is_predicted_as_classes(
    run, tmp_path, capsys, task
):
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"task": task}))
    assert task in refused(capsys, "predict", run, picture(tmp_path / "x.png"))


def test_a_binary_network_is_predicted_by_its_task(tmp_path):
    model = create_model("fcn", "test_resnet", num_classes=1, task="binary")
    with torch.no_grad():
        model.decoder(model.backbone(torch.zeros(1, 3, 64, 64)))
        for part in model.decoder.modules():
            if isinstance(part, torch.nn.Conv2d) and part.out_channels == 1:
                part.weight.zero_()
                part.bias.fill_(1.0)
    model.save_pretrained(tmp_path / "net")
    one = picture(tmp_path / "x.png")
    words = ["predict", str(tmp_path / "net"), str(one), "--out", str(tmp_path / "out"), "--quiet"]
    assert main(words) == 0
    with Image.open(tmp_path / "out" / "x.png") as mask:
        assert np.unique(np.asarray(mask)).tolist() == [1]


# Words of the command line


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--time-limit", "7"], "time_limit='7': needs a unit; write 7s, 7m or 7h"),
        (["--rotate=maybe"], "rotate='maybe': must be true or false"),
        (["--rotate", "maybe"], "maybe: unknown option"),
        (["--print_config", "--lr", "99"], "lr=99: must be from"),
        (["--print_config", "nonsense"], "nonsense: unknown option"),
        (["--print_config=nonsense"], "nonsense"),
        (["--accept-changes"], "is for --resume"),
    ],
)
def test_words_that_are_refused(capsys, words, told):
    assert told in refused(capsys, "train", "--data", "scenes", *words)


@pytest.mark.parametrize(
    ("words", "rotate"),
    [
        (["--rotate"], True), (["--rotate", "true"], True), (["--rotate=yes"], True),
        (["--rotate", "false"], False), (["--rotate=Off"], False), (["--no-rotate"], False),
        (["--rotate", "--quiet=false", "--quiet=true"], True),
    ],
)  # fmt: skip
def test_booleans_are_flags_or_words_of_yaml(capsys, words, rotate):
    with pytest.raises(SystemExit) as stop:
        main(["train", "--flip", "no", *words, "--print_config"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert f"rotate: {str(rotate).lower()}\n" in shown
    assert "flip: false\n" in shown


@pytest.mark.parametrize(
    "words",
    [
        ["train", "--epoch", "3"],
        ["train", "--data", "nowhere"],
        ["train", "--data", "scenes", "--lr", "50"],
        ["train", "--resume", "nowhere"],
        ["predict", "nowhere", __file__],
        ["predict", "nowhere", "nothing.png"],
        ["predict", "nowhere", __file__, "--window", "1"],
        ["evaluate", "nowhere"],
        ["evaluate", "nowhere", "--device", "gpu"],
        ["explain", "nowhere", __file__],
        ["import", "nowhere.pth", "--out", "x"],
        ["insert", "no/where"],
        ["demo", "--steps", "0"],
    ],
)
def test_simple_errors_come_before_anything_heavy_is_loaded(tmp_path, words):
    code = (
        "import sys; from pixelwise.cli.main import main\n"
        f"code = main({words!r}); assert 'torch' not in sys.modules; sys.exit(code)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert ended.returncode == 2, ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
