"""Parts of the page as one file: graphs in two, halved weights, the runtime, the joined text."""

import base64
import hashlib
import re
import shutil

import numpy as np
import pytest
import torch
from jaxtyping import config

from pixelwise.errors import InputError
from pixelwise.explanation.recording import LayerCall
from pixelwise.layers.registry import create_layer
from pixelwise.serve.one_file import joining, runtime
from pixelwise.serve.one_file.layers import layer_files

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def session(path):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture
def graph(tmp_path):
    """y = relu(x w) + (2 at + c), where 2 c is known without any input."""
    from onnx import TensorProto, helper, numpy_helper

    weights = [
        numpy_helper.from_array(np.arange(400, dtype="float32").reshape(20, 20) / 399, "w"),
        numpy_helper.from_array(np.array(3, dtype="float32"), "c"),
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Relu", ["product"], ["relu"]),
        helper.make_node("Add", ["c", "c"], ["six"]),
        helper.make_node("Mul", ["at", "six"], ["late"]),
        helper.make_node("Add", ["relu", "late"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    of = TensorProto.FLOAT
    made = helper.make_graph(
        nodes,
        "graph",
        [value("x", of, [None, 20]), value("at", of, [])],
        [value("y", of, None)],
        weights,
        value_info=[value(name, of, None) for name in ("product", "relu", "six", "late")],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    onnx.save(model, tmp_path / "graph.onnx")
    return tmp_path / "graph.onnx"


def test_what_no_late_input_changes_is_computed_before(graph, tmp_path):
    from pixelwise.serve.one_file.parting import parted

    handed = parted(graph, ["at"], tmp_path / "prepare.onnx", tmp_path / "rest.onnx")
    assert handed == ("relu",)
    first, second = onnx.load(tmp_path / "prepare.onnx"), onnx.load(tmp_path / "rest.onnx")
    assert [node.op_type for node in first.graph.node] == ["MatMul", "Relu"]
    assert [node.op_type for node in second.graph.node] == ["Add", "Mul", "Add"]
    x, at = np.random.default_rng(0).normal(size=(2, 20)).astype("float32"), np.array(2, "float32")
    (whole,) = session(graph).run(None, {"x": x, "at": at})
    (relu,) = session(tmp_path / "prepare.onnx").run(None, {"x": x})
    (found,) = session(tmp_path / "rest.onnx").run(None, {"relu": relu, "at": at})
    assert np.array_equal(found, whole)


def test_where_nothing_can_be_done_before_there_is_one_part(graph, tmp_path):
    from pixelwise.serve.one_file.parting import parted

    handed = parted(graph, ["at", "x"], tmp_path / "prepare.onnx", tmp_path / "rest.onnx")
    assert handed == ()
    assert not (tmp_path / "prepare.onnx").exists()


def test_halved_weights_take_half_the_bytes_and_round_alone(graph):
    from pixelwise.serve.one_file.halving import halve_weights

    x, at = np.eye(20, dtype="float32"), np.array(0, "float32")
    (before,) = session(graph).run(None, {"x": x, "at": at})
    size = graph.stat().st_size
    halve_weights(graph)
    (after,) = session(graph).run(None, {"x": x, "at": at})
    assert np.array_equal(after, before.astype("float16").astype("float32"))
    assert 0 < np.abs(after - before).max() < 1e-3
    assert graph.stat().st_size < size - 700  # 400 weights, and two names more


@pytest.fixture
def unchecked():
    """Without checks of types, which know no whole number that is left free."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", before)


def call_of(layer, *inputs):
    rows, columns = inputs[0].shape[2:]
    size = (rows * 4, columns * 4)
    return size, LayerCall(
        "here", layer, inputs, (rows, columns), (4.0 * rows, 4.0 * columns), None
    )


@pytest.mark.usefixtures("unchecked")
def test_a_layer_looks_the_same_from_its_files(tmp_path):
    torch.manual_seed(0)
    layer = create_layer("pam", 8).eval()
    given = [torch.randn(1, 8, *size) for size in ((6, 8), (5, 9), (1, 1))]
    files = layer_files(4, dict(call_of(layer, x) for x in given), tmp_path)
    assert (files.key, files.kind, files.placed) == ("pam", "pixel", True)
    assert files.difference < 1e-5
    x = given[1]
    values = {"input0": x.numpy()}
    before = session(files.prepare)
    names = [entry.name for entry in before.get_outputs()]
    wanted = {entry.name: values[entry.name] for entry in before.get_inputs()}
    values |= dict(zip(names, before.run(None, wanted), strict=True))
    at = {"row": np.array(4), "column": np.array(2)}
    (found,) = session(files.look).run(None, {name: values[name] for name in files.handed} | at)
    spatial = layer.maps(x, (4, 2)).spatial[0, 0].detach()
    assert spatial.max() > 1.2 * spatial.min()
    assert np.allclose(found, spatial.numpy(), atol=1e-6)


def test_a_layer_whose_map_lies_elsewhere_is_refused(tmp_path):
    layer = create_layer("pam", 8).eval()
    size, call = call_of(layer, torch.randn(1, 8, 6, 8))
    with pytest.raises(InputError, match="lies elsewhere in the picture"):
        layer_files(4, {(size[0] + 4, size[1]): call}, tmp_path)


def test_the_runtime_is_what_was_shipped():
    for name, sum_ in runtime.json.loads(runtime.LIST.read_text())["sha256"].items():
        assert hashlib.sha256(runtime.runtime_file(name)).hexdigest() == sum_
    assert runtime.runtime_file("ort-wasm-simd-threaded.wasm")[:4] == b"\0asm"
    assert f"ONNX Runtime Web v{runtime.version()}".encode() in runtime.runtime_file(
        "ort.wasm.bundle.min.mjs"
    )
    assert runtime.licence().startswith("MIT License")


def test_another_runtime_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / "runtime"
    shutil.copytree(runtime.FOLDER, folder)
    monkeypatch.setattr(runtime, "FOLDER", folder)
    name = "ort.wasm.bundle.min.mjs"
    (folder / f"{name}.xz").write_bytes(runtime.lzma.compress(b"other"))
    with pytest.raises(InputError, match="is not the file that was shipped; install"):
        runtime.runtime_file(name)
    (folder / f"{name}.xz").write_bytes(b"broken")
    with pytest.raises(InputError, match="cannot be read"):
        runtime.runtime_file(name)


def test_the_joined_page_asks_for_nothing():
    text = joining.joined({"name": "</script><b>"}, {"network": b"123"})
    assert text.count("</script>") == len(re.findall(r"<script[ >]", text))
    assert not re.search(r"<(?:link|img|iframe|script)[^>]*\b(?:src|href)=", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; ")
    script = re.search(r'<script type="module">(.*?)</script>', text, re.DOTALL)[1]
    for inside in (script, re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]):
        sum_ = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"'sha256-{sum_}'" in policy
    assert not re.search(r"^(?:import|export) ", script, re.MULTILINE)


def test_names_of_modules_that_are_joined_differ():
    text = joining.modules(joining.OWN / "one_file_main.js")
    names = re.findall(r"^(?:async )?(?:function|class|const|let) (\w+)", text, re.MULTILINE)
    assert len(names) > 20
    assert sorted(set(names)) == sorted(names)
