"""A network of one layer, as a module and as ONNX files of all kinds."""

import numpy as np
import torch
from torch import nn

from pixelwise.export.metadata import About, write
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.segmenter import Segmenter

COLOURS = ((0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115))


class Pointwise(Segmenter):
    """Logits are a weighed sum of the bands."""

    def __init__(self, **config):
        nn.Module.__init__(self)
        self.config = ModelConfig("pointwise", "none", **({"num_classes": 4} | config))
        torch.manual_seed(0)
        self.layer = nn.Conv2d(self.config.in_channels, self.task.outputs, 1)
        self.eval().requires_grad_(False)

    def forward(self, image):
        return self.layer(image)


def onnx_file(
    path,
    model,
    *,
    batch="batch",
    height="height",
    width="width",
    dtype="FLOAT",
    bands_last=False,
    ending=None,
    output="logits",
    outputs=(),
    about=True,
):
    """The network as an ONNX file; `ending` is Softmax, Sigmoid or ArgMax."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kind = getattr(TensorProto, dtype)
    bands, k = model.config.in_channels, model.task.outputs
    half = np.float16 if dtype == "FLOAT16" else np.float32
    working = TensorProto.FLOAT16 if dtype == "FLOAT16" else TensorProto.FLOAT
    weight = model.layer.weight.numpy()
    bias = model.layer.bias.numpy()
    if dtype.startswith("UINT"):  # raw values: the normalisation goes into the layer
        mean, std = np.array(model.config.mean), np.array(model.config.std)
        bias = bias - (weight[:, :, 0, 0] * (mean / std)).sum(1)
        weight = weight / (std * model.config.scale)[None, :, None, None]
    nodes, last = [], "image"
    if dtype.startswith("UINT"):
        nodes.append(helper.make_node("Cast", [last], ["cast"], to=TensorProto.FLOAT))
        last = "cast"
    if bands_last:
        nodes.append(helper.make_node("Transpose", [last], ["nchw"], perm=[0, 3, 1, 2]))
        last = "nchw"
    nodes.append(helper.make_node("Conv", [last, "weight", "bias"], ["sums"]))
    last, axes, result = "sums", [batch, k, height, width], working
    if ending is not None:
        options = {"Softmax": {"axis": 1}, "Sigmoid": {}, "ArgMax": {"axis": 1, "keepdims": 0}}
        nodes.append(helper.make_node(ending, [last], ["ended"], **options[ending]))
        last = "ended"
        if ending == "ArgMax":
            axes, result = [batch, height, width], TensorProto.INT64
    if bands_last and ending != "ArgMax":
        nodes.append(helper.make_node("Transpose", [last], ["nhwc"], perm=[0, 2, 3, 1]))
        last, axes = "nhwc", [batch, height, width, k]
    nodes.append(helper.make_node("Identity", [last], [output]))
    results = [helper.make_tensor_value_info(output, result, axes)]
    for name in outputs:
        nodes.append(helper.make_node("Identity", ["sums"], [name]))
        results.append(helper.make_tensor_value_info(name, working, [batch, k, height, width]))
    given = [batch, height, width, bands] if bands_last else [batch, bands, height, width]
    graph = helper.make_graph(
        nodes,
        "pointwise",
        [helper.make_tensor_value_info("image", kind, given)],
        results,
        [
            numpy_helper.from_array(weight.astype(half), "weight"),
            numpy_helper.from_array(bias.astype(half), "bias"),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    onnx.save(made, path)
    if about:
        kinds = {None: "logits", "ArgMax": "answer"}
        said = about if isinstance(about, About) else None
        write(path, said or About(model.config, output=kinds.get(ending, "probabilities")))
    return path
