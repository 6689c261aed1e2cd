"""GPUs that are not here, as Triton sees them: kernels are built for them, and looked at.

`Card(name)` is a process in which Triton believes in such a GPU. There inputs have shapes and
strides alone, so that nothing is computed, and the library's own calls are built in place of run.
"""

import contextlib
import importlib
import io
import multiprocessing
import os
import re
import sys
from typing import NamedTuple

import torch

from pixelwise.ops.running import choice, kernels

HALVES = (torch.float16, torch.bfloat16)


class Kind(NamedTuple):
    backend: str
    arch: int | str
    warp: int
    shared: int
    """Bytes of shared memory that one program can have."""


KINDS = {
    "sm_80": Kind("cuda", 80, 32, 163 * 1024),
    "sm_89": Kind("cuda", 89, 32, 99 * 1024),
    "sm_90": Kind("cuda", 90, 32, 227 * 1024),
    "gfx942": Kind("hip", "gfx942", 64, 64 * 1024),
}


class Build(NamedTuple):
    """What there is to know of one kernel without running it."""

    kernel: str
    shared: int
    spilled: int
    """Bytes, or registers, that did not fit."""
    multiplies: str | None
    """The type in which it multiplies matrices, if it does."""
    depth: int | None
    """Over how few numbers one of these products sums."""
    matrix_units: bool
    wide: bool
    """Whether it reads 16 bytes at a time."""
    axes: int
    """Axes of the grid that its programs look at."""
    loops: int
    registers: int
    """Of a thread."""
    warps: int
    stages: int
    instruction: str
    """Which multiplies matrices: `wgmma`, `mma` or `mfma`, if any."""
    widest: int
    """Bytes of the widest read from memory."""


class Card:
    """A process that builds for one kind of GPU, with the Triton in a folder if that is given."""

    def __init__(self, name, cache, triton=None):
        self.name, self.kind = name, KINDS[name]
        given = (self.kind, str(cache), triton)
        self._pool = multiprocessing.get_context("spawn").Pool(1, _believe, given)

    def run(self, function, *arguments):
        return self._pool.apply(function, arguments)

    def builds(self, case, dtype, **replaced):
        """All kernels of a case, forward and backward."""
        return self.run(_builds, case, dtype, replaced)

    def close(self):
        self._pool.terminate()


def faults(build, kind, dtype):
    """What would be wrong with a kernel on a card, in words; `dtype` is that of all its maps."""
    if build.shared > kind.shared:
        yield f"{build.shared} bytes of shared memory, of {kind.shared}"
    if build.spilled:
        yield f"{build.spilled} spilled"
    if build.axes > 1:
        yield "axes of the grid with 65,535 places"
    halves = build.multiplies in ("fp16", "bf16")
    if halves and not build.matrix_units:
        yield "products of halves without matrix units"
    if build.multiplies and not halves and dtype in HALVES:
        yield f"halves multiplied as {build.multiplies}"
    if build.depth is not None and build.depth < 16:
        yield f"products {build.depth} numbers deep, which Triton 3.6 does not build"
    if not build.wide:
        yield "no read of 16 bytes"


def maps(case, dtype):
    """The inputs of a case, without numbers."""
    kinds = [dtype, *[dtype if case.types == "map" else torch.float32] * (len(case.shapes) - 1)]
    return [
        None if shape is None else torch.empty(shape, dtype=kind, device="meta", requires_grad=True)
        for shape, kind in zip(case.shapes, kinds, strict=True)
    ]


def both_ways(case, dtype):
    """Forward and backward, without numbers."""
    found = case.kernel(*maps(case, dtype))
    found = found if isinstance(found, tuple) else (found,)
    torch.autograd.backward(found, [torch.empty_like(z) for z in found])


def triton_version():
    """Of the Triton that builds."""
    import triton

    return triton.__version__


def _believe(kind, cache, folder):
    os.environ["TRITON_CACHE_DIR"] = cache
    if folder is not None:
        assert "triton" not in sys.modules
        sys.path.insert(0, str(folder))
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    class Driver:
        def get_current_device(self):
            return 0

        def get_current_stream(self, device):
            return 0

        def get_current_target(self):
            return GPUTarget(kind.backend, kind.arch, kind.warp)

    driver.set_active(Driver())
    importlib.import_module("pixelwise.ops.running.kernel_launch")
    kernels.interpreted = lambda: True  # what fails is not to be replaced by the lean form
    triton.knobs.nvidia.dump_ptxas_log = True


def _builds(case, dtype, replaced):
    found = []

    def build(kernel, grid, *given, **constants):
        wide, high, deep = grid
        assert wide * high * deep < 2**31, "too many programs"
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            done = kernel.warmup(
                *given, grid=(1,), wide=wide, high=high, enable_fp_fusion=True, **constants
            )
        if done.hash not in _built:
            kind = constants.get("kind")
            _built[done.hash] = _seen(kernel.fn.__name__, done, told.getvalue(), kind)
        found.append(_built[done.hash])

    with _launched(build), _replaced(replaced):
        both_ways(case, dtype)
    return found


_built = {}
"""What was built here before, which the compiler is silent about."""


def _seen(name, done, told, kind):
    shared, multiplied = done.metadata.shared, None if kind is None else str(kind)
    depths = re.findall(r"tt\.dot .*: tensor<\d+x(\d+)x", done.asm["ttir"])
    depth, loops = min(map(int, depths), default=None), done.asm["ttir"].count("scf.for")
    about = {"warps": done.metadata.num_warps, "stages": done.metadata.num_stages}
    if "ptx" in done.asm:
        code = done.asm["ptx"]
        spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", told)
        assert spills, f"ptxas says {told!r}"
        names = {"wgmma": "wgmma.mma_async", "mma": "mma.sync"}
        return Build(
            name,
            shared,
            sum(int(count) for count in spills[-1]),
            multiplied,
            depth,
            re.search(r"mma\.sync|wgmma\.mma_async", code) is not None,
            re.search(r"ld\.global\S*\.v4\.\w32|ld\.global\S*\.v2\.\w64|cp\.async", code)
            is not None,
            1 + any(f"ctaid.{axis}" in code for axis in "yz"),
            loops,
            int(re.findall(r"Used (\d+) registers", told)[-1]),
            instruction=next((name for name, text in names.items() if text in code), ""),
            widest=max(_reads(code), default=0),
            **about,
        )
    code = done.asm["amdgcn"]
    spilled = re.search(r"\.vgpr_spill_count:\s*(\d+)", code)
    return Build(
        name,
        shared,
        int(spilled[1]),
        multiplied,
        depth,
        "v_mfma" in code,
        re.search(r"(global|buffer)_load_dwordx4", code) is not None,
        1 + ("workgroup_id_y 1" in code or "workgroup_id_z 1" in code),
        loops,
        int(re.search(r"\.vgpr_count:\s*(\d+)", code)[1]),
        instruction="mfma" if "v_mfma" in code else "",
        widest=max(_amd_reads(code), default=0),
        **about,
    )


def _reads(ptx):
    """Bytes of each read from memory, that is not the scratch memory of a thread."""
    for vector, bits in re.findall(r"ld\.global[\w.:]*?(?:\.v(\d))?\.[bfsu](\d+)\s", ptx):
        yield int(vector or 1) * int(bits) // 8
    for size in re.findall(r"cp\.async\.c[ag]\.\S+\s*\[[^]]*\],\s*\[[^]]*\],\s*(\w+)", ptx):
        yield int(size, 0)


def _amd_reads(code):
    sizes = {"dwordx4": 16, "dwordx3": 12, "dwordx2": 8, "dword": 4}
    for kind in re.findall(r"(?:global|buffer)_load_(?:lds_)?(dwordx\d|[a-z]+)", code):
        yield sizes.get(kind, 1 if "byte" in kind else 2)


def count_builds(cases, dtype):
    """Kernel -> how many builds these cases take; nothing is built."""
    found = {}

    def count(kernel, grid, *given, **constants):
        wide, high, _ = grid
        binder = kernel.device_caches[0][-1]
        _, special, _ = binder(
            *given, wide=wide, high=high, enable_fp_fusion=True, debug=False, **constants
        )
        module = kernel.fn.__module__.removeprefix("pixelwise.ops.")
        found.setdefault(f"{module}.{kernel.fn.__name__}", set()).add(str(special))

    with _launched(count):
        for case in cases:
            both_ways(case, dtype)
    return {kernel: len(special) for kernel, special in found.items()}


@contextlib.contextmanager
def _launched(way):
    """All kernels start in another way."""
    modules = [importlib.import_module(name) for name in _with_launch()]
    before = [module.launch for module in modules]
    for module in modules:
        module.launch = way
    try:
        yield
    finally:
        for module, launch in zip(modules, before, strict=True):
            module.launch = launch


def _with_launch():
    named = [operation for operation, forms in choice.FORMS.items() if "kernel" in forms]
    return [
        "pixelwise.ops.running.kernel_launch",
        "pixelwise.ops.running.kernel_products",
        "pixelwise.ops.skewed_mask.kernel_gradients",
        *(f"pixelwise.ops.{operation}.kernel" for operation in named),
    ]


@contextlib.contextmanager
def _replaced(values):
    """Values of modules, by their names, exchanged."""
    before = []
    for name, value in values.items():
        module = importlib.import_module(name.rpartition(".")[0])
        name = name.rpartition(".")[2]
        before.append((module, name, getattr(module, name)))
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)
