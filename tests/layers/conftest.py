"""`--matrix FILE`: which layer keeps which promise, from a run of the contract tests."""

from collections import defaultdict

from pixelwise.layers.base import AttentionLayer, FusionLayer, Limits
from pixelwise.layers.registry import available

CONTRACT = "test_contract.py"
DTYPES = ("float16", "bfloat16", "float32", "float64")
PROMISES = {
    "trains": ["test_trains_on_one_image_or_refuses", "test_gradients_are_those_of_the_formula"],
    "channels_last": ["test_memory_format_is_kept"],
    "any strides, input untouched": ["test_layout_does_not_matter_and_nothing_is_modified"],
    "autocast": ["test_autocast"],
    "compile": ["test_compiles_without_a_break"],
    "export": ["test_exports_with_free_sizes"],
    "copy, save": ["test_copies_and_saves"],
    "second derivative": ["test_second_derivatives"],
    "maps": ["test_output_is_reconstructed_from_the_maps"],
    "checkpoints": ["test_reference_checkpoint_round_trip"],
    "FLOPs ~ pixels ^": ["test_cost_grows_as_declared"],
}
"""Column -> tests that must pass; a test may say what to write in place of "yes"."""

HEAD = """# Tested properties of the layers

Written by `pytest tests/layers/test_contract.py --matrix docs/layers.md`: each cell is the result
of tests that run for every layer. A number type is tested on maps of 1x1, 1x17, 7x5 and 33x64
pixels (or the nearest size within the limits), with one and two images, in eval mode. Training on
one image is tested at the same sizes. `pixelwise layers NAME` shows the equations, options and
cost of a layer; [names.md](names.md) tells which one is meant by a name such as PSA.

- **compile** is `torch.compile(fullgraph=True)` with fixed and with free sizes; **export** is
  `torch.export` with free height and width, checked at three sizes.
- **second derivative**: by finite differences; it is taken through the plain forms of operations.
- **maps**: the output is computed again from `layer.maps(...)`, to 1e-10 in float64.
- **checkpoints**: `load_reference` takes weights under the names of their source.
- **limits** hold for the default options; input beyond them gets an error that says so.

"""


def pytest_terminal_summary(terminalreporter, config):
    file = config.getoption("matrix")
    if file is None:
        return
    passed = defaultdict(lambda: defaultdict(bool))
    told = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            path, _, name = report.nodeid.partition("::")
            if report.when != "call" or not path.endswith(CONTRACT):
                continue
            test, _, parameters = name.removesuffix("]").partition("[")
            words = parameters.split("-")
            for column in columns_of(test, parameters):
                cell = passed[words[-1]]
                cell[column] = cell.get(column, True) and outcome == "passed"
                facts = dict(report.user_properties)
                if "cell" in facts:
                    told[words[-1], column] = facts["cell"]
    file.write_text(HEAD + table(passed, told) + "\n")
    terminalreporter.write_line(f"wrote {file}")


def columns_of(test, parameters):
    if test == "test_size_and_type":
        return [dtype for dtype in DTYPES if f"torch.{dtype}" in parameters.split("-")]
    return [column for column, tests in PROMISES.items() if test in tests]


def table(passed, told):
    columns = [*DTYPES, *PROMISES]
    lines = [["layer", "inputs", *columns, "keeps shape", "limits"]]
    lines.append(["---"] * len(lines[0]))
    for key, layer in available().items():
        kind = "2" if issubclass(layer, FusionLayer) else "1"
        cells = [
            ("no" if not kept else told.get((key, column), "yes"))
            if (kept := passed[key].get(column)) is not None
            else ("-" if has_none(layer, column) else "not run")
            for column in columns
        ]
        made = layer(64)
        lines.append([f"`{key}`", kind, *cells, "yes" if made.keeps_shape else "no", limits(made)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def has_none(layer, column):
    """Whether there is nothing to test: no maps, or no checkpoints that anybody has."""
    if column == "maps":
        return not issubclass(layer, AttentionLayer)
    return column == "checkpoints" and not layer.reference_keys


def limits(layer):
    least, multiple, images = layer.limits
    parts = [
        f"at least {least}x{least}" * (least > Limits().least),
        f"multiples of {multiple}" * (multiple > Limits().multiple),
        f"training batches from {images}" * (images > Limits().images),
    ]
    return ", ".join(filter(None, parts)) or "none"
