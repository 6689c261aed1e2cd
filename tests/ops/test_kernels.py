"""How kernels are reached. Their numbers: `test_kernel_numbers.py`, which this starts."""

import ast
import importlib
import logging
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
import torch.utils.checkpoint
from test_kernel_numbers import INTERPRETED, SMALL, joint, run

from pixelwise import ops
from pixelwise.errors import InputError
from pixelwise.ops.joint_gate import joint_gate
from pixelwise.ops.joint_gate.lean import JointGate
from pixelwise.ops.running import choice, failures, kernels, taken

NUMBERS = Path(__file__).with_name("test_kernel_numbers.py")


def interpreted(chosen):
    """Run these tests where Triton interprets, in a process of its own."""
    if INTERPRETED:
        pytest.skip("this is the process that interprets")
    pytest.importorskip("triton")
    command = [sys.executable, "-m", "pytest", str(NUMBERS), "-q", "-p", "no:cacheprovider"]
    found = subprocess.run(
        [*command, "-m", chosen],
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-4000:] + found.stderr[-1000:]
    assert " passed" in found.stdout


@pytest.mark.slow
def test_small_maps_in_the_interpreter():
    interpreted("not slow and not gpu")


@pytest.mark.slow
def test_large_maps_in_the_interpreter(request):
    if not request.config.getoption("kernels"):
        pytest.skip("takes minutes: give --kernels")
    interpreted("slow and not gpu")


class FailingKernels:
    """Stands for every kernel module: the lean form, until told to raise in a direction."""

    def __init__(self):
        self.forward = self.backward = None
        self.tried = []

    def apply(self, *arguments):
        *given, lean = arguments
        self.tried.append("forward")
        if self.forward is not None:
            raise self.forward
        tensors = [z for z in given if z is None or isinstance(z, torch.Tensor)]
        return _Failing.apply(self, lean, *tensors)


class _Failing(torch.autograd.Function):
    @staticmethod
    def forward(ctx, kernels, lean, *tensors):
        ctx.kernels, ctx.lean = kernels, lean
        ctx.save_for_backward(*tensors)
        with torch.no_grad():
            return lean(*tensors)

    @staticmethod
    @torch.no_grad()
    def backward(ctx, *grads):
        def again(context):
            return None, context.saved_tensors

        @kernels.lean_on_failure("joint_gate", again)
        def attempt(context, *grads):
            context.kernels.tried.append("backward")
            raise context.kernels.backward

        return None, None, *attempt(ctx, *grads)[: len(ctx.needs_input_grad) - 2]


@pytest.fixture
def failing(monkeypatch):
    """Kernels that run, and fail as they are told to."""
    module = FailingKernels()
    real = importlib.import_module

    def load(name, package=None):
        ours = name.startswith("pixelwise.ops.") and name.endswith(".kernel")
        return module if ours else real(name, package)

    monkeypatch.setattr(importlib, "import_module", load)
    monkeypatch.setattr(kernels, "interpreted", lambda: False)
    failures.forget()
    taken.forget()
    yield module
    failures.forget()
    taken.forget()


def no_compiler():
    return RuntimeError("no compiler here\nand more about it")


def gate(form, n=7, dtype=torch.float32, c=5):
    """The joint gate of a map of n pixels, and its gradients."""
    case = joint(2, c, n, product=True)
    torch.manual_seed(5)
    inputs = case.draw("cpu", dtype)
    with choice.forced(joint_gate=form):
        return run(lambda *given: case.function(*given, **case.options), inputs)


def equal(found, wanted):
    return all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("name", SMALL)
def test_lean_form_where_a_kernel_cannot_be_built(name, failing, caplog):
    failing.forward = no_compiler()
    case = SMALL[name]
    torch.manual_seed(5)
    inputs = case.draw("cpu")

    def form(wanted):
        def function(*given):
            with choice.forced(**{case.operation: wanted}):
                return case.function(*given, **case.options)

        return run(function, inputs)

    with caplog.at_level(logging.WARNING):
        found, again, lean = form("kernel"), form("kernel"), form("lean")
    assert equal(found, lean)
    assert equal(again, lean)
    assert failing.tried == ["forward"], "what does not run is not tried again"
    (record,) = caplog.records
    assert record.getMessage() == (
        f"the Triton kernel of {case.operation} does not run here, forward in float32 on cpu "
        "(RuntimeError: no compiler here): PyTorch runs instead"
    )


def test_lean_gradients_where_a_backward_kernel_cannot_be_built(failing, caplog):
    failing.backward = no_compiler()
    with caplog.at_level(logging.WARNING):
        found, again = gate("kernel"), gate("kernel")
    wanted = gate("lean")
    assert equal(found, wanted)
    assert equal(again, wanted)
    assert failing.tried == ["forward", "backward"], "the second step is lean both ways"
    (record,) = caplog.records
    assert "backward in float32 on cpu" in record.getMessage()
    with torch.no_grad(), choice.forced(joint_gate="kernel"):
        x, channel, spatial = joint(2, 5, 7).draw("cpu")
        joint_gate(x, channel, spatial, product=True)
    assert failing.tried[2:] == ["forward"], "without gradients the kernel still runs"


def test_lean_gradients_under_checkpointing(failing):
    """Checkpointing hands out each saved tensor once, and stops the second forward by an error."""
    failing.backward = no_compiler()
    x, channel, spatial = (z.requires_grad_() for z in joint(2, 5, 7).draw("cpu"))

    def function(x):
        with choice.forced(joint_gate="kernel"):
            return joint_gate(x, channel, spatial, product=True)

    kept = torch.utils.checkpoint.checkpoint(function, x, use_reentrant=False)
    (found,) = torch.autograd.grad(kept.sum(), x)
    assert failing.tried == ["forward", "forward", "backward"]
    with choice.forced(joint_gate="lean"):
        lean = joint_gate(x, channel, spatial, product=True)
    assert torch.equal(found, torch.autograd.grad(lean.sum(), x)[0])


def test_a_failure_is_that_of_its_shapes_and_its_type(failing):
    failing.forward = no_compiler()
    gate("kernel")
    failing.forward, failing.backward = None, no_compiler()
    for other in ({"n": 8}, {"dtype": torch.bfloat16}):
        failing.tried.clear()
        gate("kernel", **other)
        assert failing.tried == ["forward", "backward"]


def test_one_cause_at_three_shapes_switches_a_kernel_off_there_alone(failing, caplog):
    failing.forward = no_compiler()
    with caplog.at_level(logging.WARNING):
        for n in (6, 7, 8, 9, 10):
            gate("kernel", n=n)
    assert len(failing.tried) == 3
    assert len(caplog.records) == 1
    gate("kernel", n=9, dtype=torch.float16)
    assert len(failing.tried) == 4


def test_other_causes_are_counted_apart(failing):
    for n in (6, 7, 8, 9):
        failing.forward = RuntimeError(f"shared memory: {n} bytes")
        gate("kernel", n=n)
    assert len(failing.tried) == 4


def test_a_failure_on_one_card_leaves_the_other_alone(failing):
    x = torch.zeros(1)
    here = failures.place("joint_gate", "forward", [x])
    failures.add(here, [x], no_compiler())
    assert failures.known(here, [x])
    assert not failures.known(here._replace(device=torch.device("cuda", 1)), [x])


@pytest.mark.parametrize("error", [InputError("x=1: too small; enlarge it"), "memory"])
def test_neither_a_refusal_nor_too_little_memory_is_a_broken_kernel(error, failing):
    failing.forward = torch.OutOfMemoryError("too large") if error == "memory" else error
    for _ in range(2):
        with pytest.raises(type(failing.forward)):
            gate("kernel")
    assert len(failing.tried) == 2


def test_shapes_that_do_not_fit_are_no_broken_kernel(failing, caplog):
    failing.forward = RuntimeError("shapes do not fit")
    x = torch.zeros(1, 5, 3)
    apply = kernels.either("kernel", "joint_gate", JointGate.apply)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="must match"):
            apply(x, torch.zeros(1, 3), torch.zeros(1, 3), True)
    assert len(failing.tried) == 2
    assert not caplog.records


def test_the_environment_switches_kernels_off(failing, monkeypatch):
    monkeypatch.setenv("PIXELWISE_KERNELS", "off")
    assert equal(gate("kernel"), gate("lean"))
    assert not failing.tried
    assert not kernels.available(card(torch.float16))
    monkeypatch.setenv("PIXELWISE_KERNELS", "0")
    with pytest.raises(InputError, match="PIXELWISE_KERNELS=0: must be on or off"):
        gate("kernel")


def test_forms_that_ran_are_told_on_one_line(failing):
    assert taken.line() == "forms taken: none"
    failing.backward = no_compiler()
    gate("kernel")
    assert taken.line() == "forms taken: joint_gate kernel and lean backward"
    with torch.device("meta"):
        choice.form("pooling", torch.zeros(1))
    assert "pooling" not in taken.line()
    taken.add({"pooling": ["lean"]})
    gate("lean")
    assert taken.line() == "forms taken: joint_gate kernel and lean and lean backward; pooling lean"


class Card(torch.Tensor):
    """A tensor that says it is on a card."""

    is_cuda = True
    device = torch.device("cuda", 0)


def card(dtype, width=1):
    return torch.zeros(1, width, 4, dtype=dtype).as_subclass(Card)


HALVES = {torch.float16, torch.bfloat16}


@pytest.fixture
def machine(monkeypatch):
    """A function that says which GPU there is."""
    monkeypatch.setattr(kernels, "installed", lambda: True)

    def has(capability=(9, 0), amd=None):
        kernels.multiplied_types.cache_clear()
        found = types.SimpleNamespace(gcnArchName=f"{amd}:sramecc+:xnack-")
        monkeypatch.setattr(torch.version, "hip", amd and "7.0")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found)

    yield has
    kernels.multiplied_types.cache_clear()


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (9, 0)])
def test_products_need_tensor_cores(capability, machine):
    machine(capability)
    x = card(torch.float16)
    found = {operation: choice.form(operation, x) for operation in ("local_attention", "pooling")}
    modern = capability >= (8, 0)
    assert found == {"local_attention": "kernel" if modern else "lean", "pooling": "kernel"}
    assert choice.form("skewed_mask", card(torch.float32)) == "lean"
    assert choice.form("streamed_projection", x) == "lean", "it multiplies in float32"
    narrow = choice.form("attention", x, card(torch.float16, 2))
    assert narrow == ("kernel" if modern else "fused")


@pytest.mark.parametrize(
    ("name", "multiplied"),
    [
        ("gfx942", {torch.float32, *HALVES}),
        ("gfx90a", {torch.float32, *HALVES}),
        ("gfx1100", HALVES),
        ("gfx906", set()),
    ],
)
def test_products_on_amd_are_by_card(name, multiplied, machine):
    machine(amd=name)
    for kind in kernels.HALF_OR_SINGLE:
        wanted = "kernel" if kind in multiplied else "lean"
        assert choice.form("skewed_mask", card(kind)) == wanted
        single = "kernel" if torch.float32 in multiplied else "lean"
        assert choice.form("streamed_projection", card(kind)) == single


@pytest.mark.parametrize("device", ["mps", "xpu"])
@pytest.mark.parametrize("operation", choice.RULES)
def test_other_accelerators_take_plain_or_lean(operation, device):
    """But for torch's own reading of points, which Intel's have too."""

    class Elsewhere(torch.Tensor):
        is_cuda = is_meta = False

    Elsewhere.device = torch.device(device)
    allowed = {"plain", "lean"}
    if operation == "self_similarity":
        allowed = {"attention"}  # which takes one of the two there
    if (operation, device) == ("point_reading", "xpu"):
        allowed = {"operator"}
    for dtype in kernels.HALF_OR_SINGLE:
        x = torch.zeros(1, 1, 4, 4, dtype=dtype).as_subclass(Elsewhere)
        assert choice.form(operation, x) in allowed


def test_products_are_as_deep_as_triton_wants():
    """Triton 3.6 and 3.7 compile no product of float32 with less than 16 numbers in its sums."""
    pytest.importorskip("triton")
    from pixelwise.ops.attention import kernel
    from pixelwise.ops.local_attention import kernel_halo
    from pixelwise.ops.running import kernel_pairs
    from pixelwise.ops.skewed_mask import kernel_skew

    for blocks in (kernel_pairs.SINGLE, kernel_pairs.HALF):
        assert min(blocks.own, blocks.other, blocks.depth) >= 16
    for skew in (kernel_skew.SINGLE, kernel_skew.HALF):
        assert min(skew.run, skew.depth) >= 16
    for window in (kernel_halo.SINGLE, kernel_halo.HALF):
        assert min(window.tall * window.broad, window.other, window.depth) >= 16
    for card in (*kernel.CARDS.values(), kernel.OTHER_CARDS):
        assert min(min(whole.own, whole.other) for blocks in card for whole in blocks) >= 16


KERNELS = sorted(Path(ops.__file__).parent.glob("*/kernel*.py"))


@pytest.mark.parametrize("file", KERNELS, ids=lambda file: f"{file.parent.name}.{file.stem}")
def test_kernels_are_written_as_triton_reads_them(file):
    """Triton 3.6 refuses `(a, b), c = ...`; in place of the kernel the lean form would run."""
    for function in ast.walk(ast.parse(file.read_text())):
        if isinstance(function, ast.FunctionDef) and function.decorator_list:
            first = ast.unparse(function.decorator_list[0])
            if first == "triton.jit" or first.startswith("built("):
                for node in ast.walk(function):
                    targets = node.targets if isinstance(node, ast.Assign) else []
                    parts = [part for target in targets for part in getattr(target, "elts", [])]
                    assert not any(isinstance(part, ast.Tuple) for part in parts), ast.unparse(node)


def test_kernels_are_for_cuda_and_half_or_single_precision():
    assert not any(kernels.available(torch.zeros(1, dtype=kind)) for kind in kernels.HALF_OR_SINGLE)
    assert choice.form("joint_gate", torch.zeros(1)) == "lean"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_choice_on_cuda():
    x = torch.zeros(1, 1, 1, device="cuda")
    assert choice.form("joint_gate", x) == ("kernel" if kernels.installed() else "lean")
    assert choice.form("joint_gate", x.double()) == "lean"


def test_triton_is_loaded_by_a_kernel_alone():
    code = (
        "import sys, pkgutil, importlib, pixelwise.ops, pixelwise.layers\n"
        "for found in pkgutil.walk_packages(pixelwise.ops.__path__, 'pixelwise.ops.'):\n"
        "    name = found.name.rpartition('.')[2]\n"
        "    if name != 'kernel' and not name.startswith('kernel_'):\n"
        "        importlib.import_module(found.name)\n"
        "assert 'triton' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
