"""Triton builds every kernel for the GPUs that people have, on a machine without one.

Numbers are those of `test_kernel_numbers.py`; what only compiling shows is shown here: types that
do not fit, more shared memory or registers than there are, products beside the matrix units, reads
of one number at a time. Few are built each time, all with --kernels.
"""

import collections
import itertools
import random

import cards
import pytest
import test_kernel_numbers as numbers
import torch

triton = pytest.importorskip("triton")
pytestmark = pytest.mark.skipif(numbers.INTERPRETED, reason="kernels are interpreted here")

H, W = 64, 128
CASES = {
    "joint product": numbers.joint(2, 512, H * W, product=True),
    "joint sum": numbers.joint(2, 512, H * W, product=False),
    "axis": numbers.axis(2, 512, H, W),
    "polarized": numbers.polarized(2, 512, H * W, "dn", product=True, softmax=True),
    "polarized offset": numbers.polarized(2, 512, H * W, "n", product=False, softmax=False),
    "pool": numbers.pool(2, 512, H * W, "attention_and_mean_pool"),
    "attention": numbers.pairs(2, 64, 512, H * W, H * W),
    "attention deep": numbers.pairs(2, 128, 512, H * W, H * W),
    "attention wide": numbers.pairs(2, 256, 512, H * W, H * W),
    "projection": numbers.projection(2, 512, H * W, 256),
    "scan": numbers.scan(2, 2, 4, H * W, 192, 1, backwards=2),
    "scan of many states": numbers.scan(2, 2, 4, H * W, 192, 16, backwards=2),
    "window": numbers.window(2, 4, 32, 32, (H, W), (H, W), kernel_size=7),
    "mask collect": numbers.mask(33, 33, 2, 512, 512, H, W, collect=True),
    "mask distribute": numbers.mask(33, 33, 2, 512, 512, H, W, collect=False),
    "mask sum": numbers.mask(33, 33, 2, 512, 512, H, W, collect=True, softmax=False),
}
DTYPES = {str(kind).removeprefix("torch."): kind for kind in (torch.float32, *cards.HALVES)}

EVERY_TIME = {
    ("sm_90", "joint product", "bfloat16"),
    ("sm_90", "attention", "bfloat16"),
    ("sm_90", "attention", "float32"),
    ("sm_90", "mask collect", "bfloat16"),
}
OLDEST = "3.6.0"
OLDEST_TIMES = {
    ("sm_90", "joint product", "bfloat16"),
    ("sm_80", "attention", "float32"),
    ("sm_90", "mask collect", "bfloat16"),
    ("sm_80", "projection", "float32"),
    ("sm_80", "scan", "float16"),
}
"""What is built with the oldest Triton whenever there is one; the rest with --kernels."""
SPILL = {
    ("attention", "float32"): 16,
    ("attention deep", "float32"): 16,
    ("attention wide", "float32"): 16,
    **dict.fromkeys(
        itertools.product(["mask collect", "mask distribute", "window"], ["float32"]), 40
    ),
    **dict.fromkeys(itertools.product(["projection", "scan", "scan of many states"], DTYPES), 80),
    ("polarized", "float16"): 16,
}
"""Bytes that a program may spill. Products in float32, which no card of NVIDIA's is given by the
rules, hold their operands in registers; a tile of the scan takes all of these backward, and of half
the places it would spill nothing but read eight bytes at a time. What is spilled are a few
addresses."""


def table():
    for target in cards.KINDS:
        for name in CASES:
            for dtype in DTYPES:
                often = (target, name, dtype) in EVERY_TIME
                yield pytest.param(target, name, dtype, marks=[] if often else pytest.mark.slow)


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """A function from the name of a card to it; each is made once."""
    made = {}

    def find(name):
        if name not in made:
            made[name] = cards.Card(name, tmp_path_factory.mktemp(name))
        return made[name]

    yield find
    for each in made.values():
        each.close()


def wrong(name, dtype, builds, kind):
    for build in builds:
        allowed = build._replace(spilled=max(0, build.spilled - SPILL.get((name, dtype), 0)))
        for fault in cards.faults(
            allowed, kind, DTYPES[dtype] if CASES[name].types == "map" else None
        ):
            yield f"{build.kernel}: {fault}"


@pytest.mark.parametrize(("target", "name", "dtype"), list(table()))
def test_builds(target, name, dtype, card, request):
    if (target, name, dtype) not in EVERY_TIME and not request.config.getoption("kernels"):
        pytest.skip("takes minutes: give --kernels")
    chosen = card(target)
    builds = chosen.builds(CASES[name], DTYPES[dtype])
    assert len(builds) >= 2, "forward and backward"
    assert not list(wrong(name, dtype, builds, chosen.kind))


@pytest.fixture(scope="module")
def oldest(tmp_path_factory, request):
    """A function from the name of a card to one that the oldest Triton builds for."""
    folder = request.config.getoption("triton")
    if folder is None:
        pytest.skip("no folder with the oldest Triton: give --triton")
    made = {}

    def find(name):
        if name not in made:
            made[name] = cards.Card(name, tmp_path_factory.mktemp(name), folder.resolve())
            assert made[name].run(cards.triton_version) == OLDEST
        return made[name]

    yield find
    for each in made.values():
        each.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "name", "dtype"), list(itertools.product(["sm_80", "sm_90"], CASES, DTYPES))
)
def test_builds_with_the_oldest_triton(target, name, dtype, oldest, request):
    if (target, name, dtype) not in OLDEST_TIMES and not request.config.getoption("kernels"):
        pytest.skip("takes minutes: give --kernels")
    chosen = oldest(target)
    builds = chosen.builds(CASES[name], DTYPES[dtype])
    assert len(builds) >= 2, "forward and backward"
    assert not list(wrong(name, dtype, builds, chosen.kind))


def test_attention_forward_has_one_loop(card):
    """So that keys and values are read ahead; queries of many channels are read in a second one."""
    cases = {"wide": CASES["attention wide"], "wider": numbers.pairs(2, 512, 512, H * W, H * W)}
    found = {name: card("sm_90").builds(case, torch.bfloat16)[0] for name, case in cases.items()}
    assert {name: (build.kernel, build.loops) for name, build in found.items()} == {
        "wide": ("_forward", 1),
        "wider": ("_forward", 2),
    }


@pytest.mark.parametrize(
    ("fault", "dtype", "blocks"),
    [
        pytest.param(
            "bytes of shared memory",
            "bfloat16",
            {"own": 128, "other": 128, "stages": 4},
            marks=pytest.mark.slow,
        ),
        pytest.param(" spilled", "bfloat16", {"own": 256}, marks=pytest.mark.slow),
        ("8 numbers deep", "float32", {"depth": 8}),
    ],
)
def test_bad_blocks_are_found(fault, dtype, blocks, card):
    from pixelwise.ops.attention import kernel
    from pixelwise.ops.running import kernel_pairs

    if dtype == "float32":
        single = kernel_pairs.SINGLE._replace(**blocks)
        replaced = {"pixelwise.ops.running.kernel_pairs.SINGLE": single}
    else:
        whole = kernel.CARDS[90].forward[0]._replace(**blocks)
        card_with = kernel.CARDS[90]._replace(forward=(whole,))
        replaced = {"pixelwise.ops.attention.kernel.CARDS": {90: card_with}}
    chosen = card("sm_90")
    try:
        builds = chosen.builds(CASES["attention"], DTYPES[dtype], **replaced)
    except triton.compiler.errors.CompilationError:
        return  # as Triton 3.6 says itself
    assert any(fault in told for told in wrong("attention", dtype, builds, chosen.kind))


def drawn(draw):
    """The operations at one size of a run on pictures of many."""
    h, w, b = draw.randint(16, 160), draw.randint(16, 160), draw.randint(1, 4)
    return [
        numbers.joint(b, 512, h * w, product=True),
        numbers.axis(b, 64, h, w),
        numbers.polarized(b, 512, h * w, "dn", product=True, softmax=True),
        numbers.pool(b, 512, h * w, "attention_and_mean_pool"),
        numbers.pairs(b, 64, 512, h * w, h * w),
        numbers.projection(b, 512, h * w, 256),
        numbers.scan(b, 2, 4, h * w, 192, 1, backwards=2),
        numbers.window(b, 4, 32, 32, (h, w), (h, w), kernel_size=7),
        numbers.mask(2 * h - 1, 2 * w - 1, b, 64, 64, h, w, collect=True),
    ]


def test_many_sizes_share_few_builds(card):
    """Two or three of each kernel, by the alignment of rows and images alone."""
    draw = random.Random(1)
    cases = [case for _ in range(100) for case in drawn(draw)]
    counts = card("sm_90").run(cards.count_builds, cases, torch.bfloat16)
    twice = {"attention.kernel._pair_gradient", "streamed_projection.kernel._sum"}
    twice.add("streamed_projection.kernel._gradient")  # for rows and for pixels
    most = {kernel: 4 if kernel in twice else 3 for kernel in counts}
    assert {kernel for kernel in counts if counts[kernel] > most[kernel]} == set()
    assert sum(counts.values()) <= 82


def test_the_card_has_one_axis_of_programs(monkeypatch):
    """Its second and third take 65,535 at most; `cards` looks whether kernels read them."""
    from pixelwise.ops.running import kernel_launch

    found = []

    def started(*given, **constants):
        found.append(constants)

    grids = collections.defaultdict(lambda: started)
    kernel_launch.launch(grids, (3, 70_000, 5), torch.zeros(1), tile=2)
    kernel_launch.launch(grids, (3, 0, 5), torch.zeros(1), tile=2)
    assert list(grids) == [(3 * 70_000 * 5,)]
    assert found == [{"wide": 3, "high": 70_000, "tile": 2, "enable_fp_fusion": True}]
