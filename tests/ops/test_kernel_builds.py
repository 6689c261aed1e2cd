"""Triton builds every kernel for the GPUs that people have, on a machine without one.

Numbers are those of `test_kernel_numbers.py`; what only compiling shows is shown here: types that
do not fit, products of a shape that there is not, more shared memory than a processor has.
"""

import multiprocessing
import os

import pytest
import test_kernel_numbers as numbers
import torch

SHARED = {80: 163 * 1024, 90: 227 * 1024}
"""Compute capability -> bytes of shared memory that one program can have."""
CASES = {
    "joint": numbers.joint(1, 512, 1024, product=True),
    "axis": numbers.axis(1, 64, 32, 128),
    "polarized": numbers.polarized(1, 512, 1024, "dn", product=True, softmax=True),
    "polarized offset": numbers.polarized(1, 512, 1024, "n", product=False, softmax=False),
    "pool": numbers.pool(1, 512, 1024, "attention_and_mean_pool"),
    "attention": numbers.pairs(1, 64, 512, 256, 256),
    "projection": numbers.projection(1, 512, 1024, 256),
    "window": numbers.window(1, 4, 128, 128, (8, 16), (8, 16), kernel_size=7),
    "mask collect": numbers.mask(33, 33, 1, 64, 512, 17, 17, collect=True),
    "mask distribute": numbers.mask(33, 33, 1, 64, 512, 17, 17, collect=False),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(numbers.INTERPRETED, reason="kernels are interpreted here"),
]


@pytest.fixture(scope="module", params=SHARED)
def builder(request, tmp_path_factory):
    """A process in which Triton believes in a GPU of a compute capability."""
    if not request.config.getoption("kernels"):
        pytest.skip("takes minutes: give --kernels")
    pytest.importorskip("triton")
    given = (request.param, str(tmp_path_factory.mktemp("triton")))
    with multiprocessing.get_context("spawn").Pool(1, believe, given) as pool:
        yield pool


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_builds(name, dtype, builder):
    built = builder.apply(build, (name, dtype))
    assert built
    capability, limit = builder.apply(limits)
    for kernel, shared in built:
        assert shared <= limit, f"{kernel} for {capability}"


def believe(capability, cache):
    os.environ["TRITON_CACHE_DIR"] = cache
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    from pixelwise.ops.running import kernel_launch as module

    class Driver:
        def get_current_device(self):
            return 0

        def get_current_stream(self, device):
            return 0

        def get_current_target(self):
            return GPUTarget("cuda", capability, 32)

    def launch(kernel, grid, *given, **constants):
        done = kernel.warmup(*given, grid=grid, enable_fp_fusion=True, **constants)
        _built.append((kernel.fn.__qualname__, done.metadata.shared))

    driver.set_active(Driver())
    module.launch = launch
    _capability.append(capability)


def limits():
    return _capability[0], SHARED[_capability[0]]


def build(name, dtype):
    _built.clear()
    case = CASES[name]
    inputs = [None if z is None else z.requires_grad_() for z in case.draw("cpu", dtype)]
    found = case.kernel(*inputs)
    sum(z.sum() for z in (found if isinstance(found, tuple) else (found,))).backward()
    return list(_built)


_built, _capability = [], []
