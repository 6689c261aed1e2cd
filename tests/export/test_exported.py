"""Exported files in the place of networks."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from pointwise import COLOURS, Pointwise, onnx_file

from pixelwise.cli.main import main
from pixelwise.errors import InputError
from pixelwise.export.exported import open_exported
from pixelwise.export.metadata import About, write
from pixelwise.export.opening import open_model
from pixelwise.networks.config import ModelConfig
from pixelwise.predict import raster
from pixelwise.predict.evaluation import evaluate
from pixelwise.predict.fixed import predictor_of
from pixelwise.predict.images import network_input, predict_answer, predict_pictures
from pixelwise.predict.views import Views

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FIXED = {"height": 24, "width": 32}
TASKS = {
    "multiclass": {},
    "binary": {"num_classes": 1, "task": "binary", "task_options": {"threshold": 0.3}},
    "multilabel": {"num_classes": 3, "task": "multilabel"},
    "regression": {
        "num_classes": 2,
        "task": "regression",
        "task_options": {"mean": (5.0, 9.0), "std": (2.0, 3.0), "positive": True},
    },
}


@pytest.fixture
def folder(tmp_path):
    """Pictures of three sizes."""
    made = tmp_path / "pictures"
    made.mkdir()
    for number, size in enumerate([(40, 50), (24, 32), (17, 61)]):
        values = np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(values).save(made / f"图 {number}.png")
    return made


def files_of(model, folder, out, **options):
    pictures = sorted(folder.iterdir())
    problems = [r.problem for r in predict_pictures(model, pictures, out, **options)]
    assert problems == [None] * len(pictures)
    return {file.name: file.read_bytes() for file in sorted(out.iterdir()) if file.is_file()}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("views", [{}, {"window": 33, "views": Views((1.0,), flip=True)}])
def test_writes_the_files_of_the_network(task, views, folder, tmp_path):
    model = Pointwise(**TASKS[task])
    found = open_exported(onnx_file(tmp_path / "网络 1.onnx", model))
    wanted = files_of(model, folder, tmp_path / "eager", **views)
    written = files_of(found, folder, tmp_path / "onnx", **views)
    assert written.keys() == wanted.keys()
    if task != "regression":  # whose files hold floats
        assert written == wanted
    image = torch.randint(0, 256, (3, 40, 50)).to(torch.uint8)
    answers = [predict_answer(one, image, **views) for one in (found, model)]
    torch.testing.assert_close(*answers, rtol=1e-5, atol=1e-5)
    assert found.config == model.config


@pytest.mark.parametrize(
    "kind",
    [
        {"batch": 1},
        {"batch": 2},
        {"dtype": "UINT8"},
        {"bands_last": True},
        {"bands_last": True, "dtype": "UINT8", "batch": 1, **FIXED},
        {"ending": "Softmax"},
        {"ending": "ArgMax"},
        {"outputs": ("aux", "more")},
    ],
    ids=str,
)
def test_takes_what_files_take(kind, folder, tmp_path):
    model = Pointwise()
    found = open_exported(onnx_file(tmp_path / "network.onnx", model, **kind))
    wanted = files_of(model, folder, tmp_path / "eager")
    assert files_of(found, folder, tmp_path / "onnx") == wanted
    raw = torch.randint(0, 256, (3, 3, *(found.fixed_size or (9, 11))))
    image = network_input(model, raw)
    assert torch.equal(found(image).argmax(1), model(image).argmax(1))


def test_half_precision_is_taken(folder, tmp_path):
    model = Pointwise()
    found = open_exported(onnx_file(tmp_path / "network.onnx", model, dtype="FLOAT16"))
    image = torch.rand(2, 3, 20, 30)
    torch.testing.assert_close(found(image), model(image), rtol=0, atol=1e-2)
    assert found(image).dtype == torch.float32


def test_raw_values_go_into_a_file_that_normalises(tmp_path):
    model = Pointwise(mean=(0.2, 0.3, 0.4), std=(0.5, 0.6, 0.7), scale=1000.0)
    plain = Pointwise(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), scale=1.0)
    about = About(model.config, normalises=True)
    found = open_exported(onnx_file(tmp_path / "network.onnx", plain, about=about))
    raw = torch.rand(1, 3, 5, 7) * 1000
    mean, std = (torch.tensor(v)[:, None, None] for v in (model.config.mean, model.config.std))
    torch.testing.assert_close(found((raw / 1000 - mean) / std), plain(raw), rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_answers_are_turned_back_into_logits(task, tmp_path):
    model = Pointwise(**TASKS[task])
    logits = torch.randn(2, model.config.num_classes, 6, 5)
    from pixelwise.export.outputs import as_logits

    back = as_logits(model.task.answer(logits), "answer", model.task, "file")
    torch.testing.assert_close(back, logits, rtol=1e-3, atol=1e-3)


def test_a_fixed_size_goes_over_pictures_in_windows(tmp_path):
    model = Pointwise()
    found = open_exported(onnx_file(tmp_path / "network.onnx", model, **FIXED))
    assert found.fixed_size == (24, 32)
    for size in ((24, 32), (60, 70), (5, 90), (1, 1)):
        image = torch.randn(2, 3, *size)
        torch.testing.assert_close(predictor_of(found)(image), model(image))
    with pytest.raises(InputError, match=r"takes pictures of \(24, 32\)"):
        found(torch.randn(1, 3, 24, 33))


def test_scores_are_those_of_the_network(tmp_path):
    model = Pointwise()
    found = open_exported(onnx_file(tmp_path / "network.onnx", model))
    items = [(torch.randn(3, 30, 40), torch.randint(0, 4, (30, 40)), f"{i}", 0) for i in range(3)]
    wanted = evaluate(model, items, window=64)
    assert evaluate(found, items, window=64).numbers() == wanted.numbers()


def test_a_raster_by_a_file_and_by_a_session(tmp_path):
    import onnxruntime

    model = Pointwise()
    values = np.random.default_rng(0).integers(0, 256, (3, 90, 110), dtype=np.uint8)
    wanted = raster(model, values, window=64)
    path = onnx_file(tmp_path / "network.onnx", model)
    assert np.array_equal(raster(path, values, window=64), wanted)
    assert np.array_equal(raster(str(path), values, window=64, batch=3), wanted)
    session = onnxruntime.InferenceSession(str(path))
    assert np.array_equal(raster(session, values, window=64), wanted)


def test_a_stranger_is_described_beside_it_or_by_the_call(tmp_path):
    model = Pointwise(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    path = onnx_file(tmp_path / "other.onnx", model, about=False, ending="Softmax", output="y")
    values = np.random.default_rng(0).integers(0, 256, (3, 40, 50), dtype=np.uint8)
    with pytest.raises(InputError, match=r"write other\.json beside it: \{\"names\""):
        open_exported(path)
    stated = {"mean": model.config.mean, "std": model.config.std}
    wanted = raster(model, values)
    assert np.array_equal(raster(path, values, **stated, scale=255.0), wanted)
    names = ["grass", "tree", "路", "roof"]
    beside = tmp_path / "other.json"
    beside.write_text(json.dumps({"names": names, **stated}))
    found = open_exported(path)
    assert (found.config.names, found.about.output) == (tuple(names), "probabilities")
    assert np.array_equal(raster(path, values), wanted)
    for told, message in (
        ({"name": names}, "unknown entry 'name'"),
        ({"names": names, "std": 1.0}, "mean is missing"),
        ({"names": names[:2], **stated}, "must be one per class"),
        ({**stated, "output": "masks"}, "output='masks'"),
    ):
        beside.write_text(json.dumps(told))
        with pytest.raises(InputError, match=message):
            open_exported(path)


def test_a_file_for_deepness_is_understood(tmp_path):
    import onnx

    model = Pointwise(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    path = onnx_file(tmp_path / "other.onnx", model, about=False, ending="Softmax")
    file = onnx.load(path)
    told = {
        "model_type": "Segmentor",
        "class_names": {str(i): f"c{i}" for i in range(4)},
        "standardization_mean": model.config.mean,
        "standardization_std": model.config.std,
    }
    for key, value in told.items():
        file.metadata_props.add(key=key, value=json.dumps(value))
    onnx.save(file, path)
    found = open_exported(path)
    assert found.config.names == ("c0", "c1", "c2", "c3")
    image = torch.randn(1, 3, 8, 9)
    assert torch.equal(found(image).argmax(1), model(image).argmax(1))


def test_sizes_that_a_file_does_not_take_are_extended(tmp_path):
    """As networks do that join maps of several strides without cropping."""
    import onnx

    text = """<ir_version: 9, opset_import: ["" : 18]>
    net (float[n,3,h,w] image) => (float[n,3,h,w] logits)
    <float[4] twice = {1, 1, 2, 2}>
    {
        half = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (image)
        again = Resize <mode = "nearest"> (half, , twice)
        logits = Add(again, image)
    }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "other.onnx")
    stated = {"names": ["a", "b", "c"], "mean": 0.0, "std": 1.0}
    found = open_exported(tmp_path / "other.onnx", stated)
    image = torch.randn(1, 3, 37, 50)
    larger = torch.nn.functional.pad(image, (0, 14, 0, 27), mode="replicate")
    assert torch.equal(found(image), found(larger)[..., :37, :50])
    assert found(image[:0]).shape == (0, 3, 37, 50)


def test_a_single_file_of_weights_is_opened_too(tmp_path):
    from pixelwise.networks.factory import create_model
    from pixelwise.networks.single_file import write

    model = create_model("fcn", "test_resnet", num_classes=3).eval()
    write(tmp_path / "网络.safetensors", model.config.plain(), model.state_dict())
    image = torch.rand(1, 3, 20, 30)
    assert torch.equal(open_model(tmp_path / "网络.safetensors")(image), model(image))


def broken(kind, tmp_path):
    model, path = Pointwise(), tmp_path / "network.onnx"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "truncated":
        onnx_file(path, model)
        path.write_bytes(path.read_bytes()[:150])
    elif kind == "text":
        path.write_text("<html>not found</html>")
    elif kind == "outputs":
        onnx_file(path, model, output="first", outputs=("second",))
    elif kind == "bands":
        onnx_file(path, Pointwise(in_channels=5), about=About(model.config))
    elif kind == "side":
        onnx_file(path, model, height=32)
    elif kind == "metadata":
        onnx_file(path, model)
        write(path, About(ModelConfig("fcn", "resnet18", num_classes=4)))
        path.write_bytes(path.read_bytes().replace(b'"version": ', b'"Version": '))
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", "is empty"),
        ("truncated", "ONNX Runtime cannot read it"),
        ("text", "ONNX Runtime cannot read it"),
        ("missing", "no such file"),
        ("outputs", r"has 2 outputs \(first, second\)"),
        ("bands", "takes 5 bands"),
        ("side", "only one side"),
        ("metadata", "describes no network"),
    ],
)
def test_what_cannot_be_used_is_one_line(kind, message, tmp_path):
    with pytest.raises(InputError, match=message) as caught:
        open_exported(broken(kind, tmp_path))
    assert "\n" not in str(caught.value)
    assert "; " in str(caught.value)


def test_values_beyond_the_type_of_the_input(tmp_path):
    found = open_exported(onnx_file(tmp_path / "network.onnx", Pointwise(), dtype="UINT8"))
    with pytest.raises(InputError, match="takes values of 0 to 255"):
        found(torch.full((1, 3, 4, 4), 9.0))


def test_classes_alone_give_no_probabilities(tmp_path):
    path = onnx_file(tmp_path / "network.onnx", Pointwise(), ending="ArgMax")
    values = np.zeros((3, 20, 20), np.uint8)
    with pytest.raises(InputError, match="says classes, not how probable"):
        raster(path, values, probability=tmp_path / "p.tif")


def test_without_onnxruntime(tmp_path, monkeypatch):
    path = onnx_file(tmp_path / "network.onnx", Pointwise())
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"pip install 'pixelwise\[export\]'"):
        open_exported(path)


def test_predict_takes_a_file(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    onnx_file(tmp_path / "network.onnx", Pointwise(palette=COLOURS))
    assert main(["predict", "network.onnx", str(folder)]) == 0
    assert "3 of 3 pictures predicted: network_onnx/predict" in capsys.readouterr().out
    assert (tmp_path / "network_onnx" / "predict" / "图 0.png").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["predict", "no.onnx", "."], "no such file"),
        (["explain", "network.onnx", "x.png"], "is an exported file"),
        (["train", "--resume", "network.onnx"], "is an exported file"),
        (["evaluate", "network.onnx", "--data", "scenes", "--average", "2"], "needs the run"),
        (["evaluate", "network.onnx"], "give --data"),
    ],
)
def test_commands_that_need_the_run_say_so(words, message, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    onnx_file(tmp_path / "network.onnx", Pointwise())
    (tmp_path / "x.png").write_bytes((folder / "图 0.png").read_bytes())
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
@pytest.mark.parametrize("options", [{}, {"normalise": True}, {"probabilities": True}], ids=str)
def test_an_exported_network_gives_its_logits(suffix, options, tmp_path):
    import pixelwise

    torch.manual_seed(0)
    model = pixelwise.create_model("fcn", "test_resnet", num_classes=3).eval()
    pixelwise.export(model, tmp_path / f"network{suffix}", **options)
    found = open_exported(tmp_path / f"network{suffix}")
    image = torch.randn(2, 3, 45, 61)
    wanted = model(image)
    if options.get("probabilities"):
        wanted = wanted.log_softmax(1)
    torch.testing.assert_close(found(image), wanted, rtol=1e-3, atol=1e-3)
