"""The mean of checkpoints, and what its batch norms are measured on."""

import shutil

import pytest
import torch

import pixelwise
from pixelwise.errors import InputError
from pixelwise.networks.segmenter import load
from pixelwise.train import averaging, checkpoint
from pixelwise.train.averaging import average_checkpoints
from pixelwise.train.inputs import augmentation, open_splits, training_stream
from pixelwise.train.run import train
from pixelwise.train.saved import read_settings


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of four steps with all its checkpoints, and one whose weights are averaged too."""
    from pixelwise.train.settings import TrainSettings

    class Silent:
        say = step = busy = validated = lambda *_: None

    folder = tmp_path_factory.mktemp("averaged")
    common = {
        "data": "scenes:size=64,train=6,val=1,test=1",
        "model": "fcn",
        "backbone": "test_resnet",
        "output_stride": 16,
        "batch_size": 2,
        "steps": 4,
        "lr": 0.02,
        "validations": 1,
        "workers": 0,
        "crop": "32",
        "checkpoint_every": "0",
        "device": "cpu",
        "keep": 3,
        "runs": str(folder),
    }
    plain = train(TrainSettings(**common), Silent())
    moving = train(TrainSettings(**common, ema=0.5), Silent())
    return plain.run, moving.run


@pytest.fixture(autouse=True)
def few_crops(monkeypatch):
    monkeypatch.setattr(averaging, "CROPS", 6)


def weights(run, name="model"):
    return [checkpoint.load(path)[name] for path in checkpoint.newest_first(run)]


def test_so_many_checkpoints_stay(runs):
    names = [path.name for path in checkpoint.newest_first(runs[0])]
    assert names == ["step_00000004.pt", "step_00000003.pt", "step_00000002.pt"]


@pytest.mark.parametrize("ema", [False, True])
def test_weights_are_the_mean_in_float64(runs, ema):
    found = pixelwise.average_checkpoints(runs[ema], 3)
    assert not found.training
    states = weights(runs[ema], "averaged" if ema else "model")
    before = "module." if ema else ""
    for name, value in found.named_parameters():
        each = torch.stack([state[before + name].double() for state in states])
        assert torch.equal(value, each.mean(0).float()), name
        assert each.std(0).sum() > 0 or value.numel() == 0, name


def test_norms_have_the_statistics_of_crops_under_the_mean_weights(runs):
    """Running means are those of what really comes in, which the mean of statistics is not."""
    found = average_checkpoints(runs[0], 3)
    settings = read_settings(runs[0])
    data = open_splits(settings)
    stream = training_stream(settings, data, found, (32, 32), augmentation(settings, data.task))
    crops = torch.stack([stream[i][0] for i in range(6)])
    norms = {n: m for n, m in found.named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    means = {}

    def note(name):
        return lambda module, given: means.update({name: given[0].mean((0, 2, 3))})

    hooks = [norm.register_forward_pre_hook(note(name)) for name, norm in norms.items()]
    states = weights(runs[0])
    with torch.no_grad():
        found.with_auxiliary(crops)
    for hook in hooks:
        hook.remove()
    first = next(iter(norms))
    assert torch.allclose(norms[first].running_mean, means[first], atol=1e-5)
    off, plain = 0.0, 0.0
    for name, norm in norms.items():
        assert int(norm.num_batches_tracked) == 3, name
        assert norm.momentum == 0.1
        averaged = torch.stack([state[f"{name}.running_mean"] for state in states]).mean(0)
        off += float((norm.running_mean - means[name]).norm())
        plain += float((averaged - means[name]).norm())
    assert off < 0.5 * plain


def test_a_norm_that_the_run_kept_still_stays(runs, tmp_path):
    run = tmp_path / "still"
    shutil.copytree(runs[0], run)
    name = next(n for n, m in load(run).named_modules() if isinstance(m, torch.nn.BatchNorm2d))
    for path in checkpoint.newest_first(run):
        state = checkpoint.load(path)
        state["model"][f"{name}.num_batches_tracked"].fill_(9)
        state["model"][f"{name}.running_mean"].fill_(0.25)
        torch.save(state, path)
    found = average_checkpoints(run, 2).get_submodule(name)
    assert torch.all(found.running_mean == 0.25)


def test_without_norms_no_data_is_read(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(averaging, "_norms", lambda model: iter(()))
    monkeypatch.setattr(averaging, "open_splits", None)
    assert isinstance(average_checkpoints(runs[0], 2), torch.nn.Module)


def refused(run, count=2):
    with pytest.raises(InputError) as error:
        average_checkpoints(run, count)
    return str(error.value)


def test_what_cannot_be_averaged(runs, tmp_path):
    assert "has 3 checkpoints; lower it, or train with `keep: 4`" in refused(runs[0], 4)
    assert "count=1: must be at least 2" in refused(runs[0], 1)
    load(runs[0]).save_pretrained(tmp_path / "model")
    assert "has no checkpoints, as saved models have none" in refused(tmp_path / "model")
    run = tmp_path / "damaged"
    shutil.copytree(runs[0], run)
    newest, second, _ = checkpoint.newest_first(run)
    second.write_bytes(second.read_bytes()[:1000])
    assert f"{second}: cannot be read" in refused(run)
    torch.save({"state": {}}, newest)
    assert f"{newest}: does not fit the network" in refused(run)
    torch.save([1], newest)
    assert f"{newest}: cannot be read (it is no state of a training)" in refused(run)


def test_balanced_crops_are_taken_where_the_run_took_them(runs, tmp_path):
    run = tmp_path / "balanced"
    shutil.copytree(runs[0], run)
    config = (run / "config.yaml").read_text()
    assert "balance: none" in config
    plain = average_checkpoints(run, 2).state_dict()
    (run / "config.yaml").write_text(config.replace("balance: none", "balance: auto"))
    found = average_checkpoints(run, 2).state_dict()
    other = {name for name, value in found.items() if not torch.equal(value, plain[name])}
    assert other
    assert all("running_" in name for name in other)
