"""`pixelwise.export`: a file that does what the network does, or none."""

import importlib.util
import json
import resource
import signal

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import pixelwise
from pixelwise.cli.main import main
from pixelwise.errors import InputError
from pixelwise.export import metadata
from pixelwise.export.named import FORMATS
from pixelwise.networks.factory import create_model

FORMS = {suffix: name for name, suffix in FORMATS.items()}


def network(**options):
    torch.manual_seed(0)
    named = {"num_classes": 3, "names": ("grass", "道路", "roof")}
    return create_model("fcn", "test_resnet", **(named | options)).eval()


def listed(folder):
    return sorted(path.name for path in folder.iterdir())


def test_one_file_of_weights_that_is_loaded_again(tmp_path):
    model = network()
    path = tmp_path / "网络" / "net.safetensors"
    report = pixelwise.export(model, path)
    again = pixelwise.load(path)
    assert again.config == model.described()
    assert all(torch.equal(again.state_dict()[k], v) for k, v in model.state_dict().items())
    assert listed(path.parent) == ["net.safetensors"]
    assert "read again" in str(report)
    pixelwise.export(model, path)  # its own may be replaced


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("net.onx", {}, "must end in .onnx, .pt2, .safetensors; rename"),
        ("net.onnx", {"format": "torch-export"}, "must end in .pt2 for format"),
        ("net.onnx", {"format": "onxx"}, "did you mean 'onnx'"),
        ("net.onnx", {"answer": True, "probabilities": True}, "one output; leave out"),
        ("net.onnx", {"opset": 3}, "opset=3: must be at least 18; raise"),
        ("net.onnx", {"size": (0, 5)}, "height=0: must be at least 1"),
        ("net.safetensors", {"answer": True}, "holds weights only; leave out"),
        ("folder.onnx", {}, "is a folder; name a file"),
        ("other.onnx", {}, "no file that pixelwise exported; choose another"),
        ("other.safetensors", {}, "no file that pixelwise exported; choose another"),
        ("text/net.onnx", {}, "cannot be made"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(name, options, told, tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    for other in ("other.onnx", "other.safetensors", "text"):
        (tmp_path / other).write_bytes(b"of somebody else")
    before = listed(tmp_path)
    with pytest.raises(InputError, match=told):
        pixelwise.export(network(), tmp_path / name, **options)
    assert listed(tmp_path) == before


def test_only_networks_of_this_package(tmp_path):
    with pytest.raises(InputError, match="model=Conv2d: is no network of pixelwise; give"):
        pixelwise.export(nn.Conv2d(3, 2, 1), tmp_path / "net.onnx")


def test_weights_that_are_no_numbers(tmp_path):
    model = network()
    next(model.parameters()).data[0] = float("nan")
    with pytest.raises(InputError, match="NaN or infinite values; take another"):
        pixelwise.export(model, tmp_path / "net.onnx")
    assert not listed(tmp_path)


def test_probabilities_of_a_task_without(tmp_path):
    with pytest.raises(InputError, match="task 'regression' has none; leave"):
        pixelwise.export(network(task="regression"), tmp_path / "net.onnx", probabilities=True)
    assert not listed(tmp_path)


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"onnxruntime is needed .*pip install 'pixelwise\[export"):
        pixelwise.export(network(), tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nowhere"], "no such folder"),
        (["owner/name"], "say where to write: --out FILE"),
        (["RUN", "--format", "onxx"], "did you mean 'onnx'?"),
        (["RUN", "--size", "0"], "HEIGHTxWIDTH"),
        (["RUN", "--qgis", "--answer"], "leave out"),
        (["RUN", "--qgis", "--size", "64x32"], "leave out"),
        (["RUN", "--normalize"], "did you mean --normalise?"),
    ],
)
def test_the_command_says_what_is_wrong_in_a_line(words, told, tmp_path, capsys):
    network().save_pretrained(tmp_path / "run")
    words = [str(tmp_path / "run") if word == "RUN" else word for word in words]
    assert main(["export", *words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_the_command_writes_into_the_run(tmp_path, capsys):
    network().save_pretrained(tmp_path / "run")
    assert main(["export", str(tmp_path / "run"), "--format", "safetensors"]) == 0
    assert listed(tmp_path / "run" / "export") == ["model.safetensors"]
    assert "exported" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("options", "ends"),
    [
        ({}, {}),
        ({"in_channels": 4, "scale": 1000.0}, {"normalise": True, "answer": True}),
        ({"task": "binary", "num_classes": 1, "names": ("no", "yes")}, {"answer": True}),
        ({"task": "regression"}, {"normalise": True, "answer": True}),
        ({"task": "multilabel"}, {"probabilities": True}),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["net.onnx", "net.pt2"])
def test_files_do_what_the_network_does(name, options, ends, tmp_path):
    model = network(**options).train().to(torch.bfloat16)
    report = pixelwise.export(model, tmp_path / name, **ends)
    assert model.training
    assert next(model.parameters()).dtype == torch.bfloat16
    assert report.worst < 1e-4
    assert len(report.rows) == 5
    about = metadata.read(tmp_path / name)
    assert about == report.about
    assert about.config == model.described()
    assert len(about.proof) == 5
    assert listed(tmp_path) == [name]
    if name == "net.onnx":
        runtime = pytest.importorskip("onnxruntime")
        session = runtime.InferenceSession(tmp_path / name)
        assert session.get_inputs()[0].shape == [
            "batch",
            model.config.in_channels,
            "height",
            "width",
        ]
        assert [o.name for o in session.get_outputs()] == [about.output]
        told = session.get_modelmeta().custom_metadata_map
        assert json.loads(told["class_names"])["1"] == model.config.names[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_qgis_reads_square_tiles_of_probabilities(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    network().save_pretrained(tmp_path)
    out = tmp_path / "net.onnx"
    assert main(["export", str(tmp_path), "--qgis", "--size", "96", "--out", str(out)]) == 0
    session = runtime.InferenceSession(out)
    assert session.get_inputs()[0].shape == ["batch", 3, 96, 96]
    assert session.get_outputs()[0].shape == ["batch", 3, 96, 96]
    raw = torch.randint(0, 256, (1, 3, 96, 96)).float()
    (found,) = session.run(None, {"image": raw.numpy()})
    config = (model := pixelwise.load(tmp_path)).config
    mean, std = (torch.tensor(v)[:, None, None] for v in (config.mean, config.std))
    with torch.no_grad():
        wanted = model((raw / config.scale - mean) / std).softmax(dim=1)
    torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "net.safetensors",
        pytest.param("net.onnx", marks=pytest.mark.slow),
        pytest.param("net.pt2", marks=pytest.mark.slow),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_full_disk_leaves_nothing(name, tmp_path, capsys):
    network().save_pretrained(tmp_path / "run")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    words = ["--format", FORMS[name[3:]], "--out", str(tmp_path / name)]
    try:
        code = main(["export", str(tmp_path / "run"), *words])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    error = capsys.readouterr().err
    assert code == 2, error
    assert error.count("\n") == 1
    assert "layer" not in error
    assert listed(tmp_path) == ["run"]


class Pooled(nn.Module):
    """Right in eager; ONNX files take the bins of the sample's size."""

    def forward(self, x):
        return x + F.interpolate(F.adaptive_avg_pool2d(x, 3), size=x.shape[2:])


class Wide(nn.Module):
    """An operator that ONNX Runtime has no kernel for: a convolution of 64 bits."""

    def forward(self, x):
        return x + F.conv2d(x.double(), x.new_ones(1, x.shape[1], 1, 1).double()).float()


class Inverse(nn.Module):
    """An operator that ONNX does not have."""

    def forward(self, x):
        return x + torch.special.erfinv(x.sigmoid() * 2 - 1)


class Branching(nn.Module):
    """What is done depends on values."""

    def forward(self, x):
        return x * 2 if x.sum() > 0 else x


class Counting(nn.Module):
    """Another number in a program than in eager."""

    def forward(self, x):
        return x * (12.0 if torch.compiler.is_compiling() else x.shape[2])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("layer", "name", "told"),
    [
        (Pooled, "net.onnx", "size=97x61, batch=1: the file differs from the network by"),
        (Wide, "net.onnx", "ONNX Runtime cannot load it"),
        (Inverse, "net.onnx", "operator prims.erf_inv has no translation to ONNX"),
        (Branching, "net.pt2", "tracing failed"),
        (Counting, "net.pt2", "size=97x61, batch=1: the file differs from the network by"),
    ],
)
def test_a_refusal_names_the_layer_and_leaves_nothing(layer, name, told, tmp_path, capfd):
    model = network()
    model.backbone.body.layer3.append(layer())
    with pytest.raises(InputError) as refused:
        pixelwise.export(model, tmp_path / name)
    text = str(refused.value)
    assert text.startswith(f"layer='backbone.body.layer3.1 ({layer.__name__})': {told}"), text
    assert "take another layer" in text
    assert text.count("\n") == 0
    assert not listed(tmp_path)
    assert capfd.readouterr() == ("", "")


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxscript" else found(name)
    )
    with pytest.raises(InputError, match=r"onnxscript is needed.*pip install"):
        pixelwise.export(network(), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())
