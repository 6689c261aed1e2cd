"""Weights of an ONNX file in float16: half the bytes, and sums still in float32."""

from pathlib import Path

HALF_TOLERANCE = 0.05
"""The largest difference of a probability, or of a map as a part of its largest weight."""
LEAST = 256
"""Weights of fewer numbers stay as they are."""


def halve_weights(path: Path) -> None:
    """Write the file anew: weights are kept in float16, and cast as the file is opened."""
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(path)
    graph = model.graph
    kept, casts = [], []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or values.size < LEAST:
            kept.append(weight)
            continue
        limits = np.finfo(np.float16)
        short = values.clip(limits.min, limits.max).astype(np.float16)
        name = f"{weight.name}.float16"
        kept.append(numpy_helper.from_array(short, name))
        casts.append(helper.make_node("Cast", [name], [weight.name], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.initializer[:]
    del graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend([*casts, *nodes])
    onnx.save(model, path)
