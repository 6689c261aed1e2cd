"""Equations of docstrings become TeX, which a converter of others takes."""

import sys
from types import ModuleType

import pytest
from building.gallery.equations import BrokenEquation, about, equation, equations, prose
from building.gallery.tex import NotUnderstood, as_tex

from pixelwise.layers.registry import available

LAYERS = list(available())


@pytest.mark.parametrize("key", LAYERS)
def test_equations_of_every_layer_are_typeset(key):
    convert = pytest.importorskip("latex2mathml.converter", reason="pip install '.[docs]'").convert
    found = list(equations(about(sys.modules[available()[key].__module__])))
    assert found
    for line in found:
        for side in (line.left, line.right):
            if side:
                assert convert(side).startswith("<math")


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("softmax_n(w . x_n)", r"\operatorname{softmax}_{n}(w \cdot x_{n})"),
        ("q_i . k_j / sqrt(d)", r"\dfrac{q_{i} \cdot k_{j}}{\sqrt{d}}"),
        ("(sum_j v_j k_j^T) / N", r"\dfrac{\sum_{j} v_{j} k_{j}^{\top}}{N}"),
        ("Wq x_i + bq", "W_{q} x_{i} + b_{q}"),
        ("x_n * g", r"x_{n} \odot g"),
        ("D_k * z + d_k", r"D_{k} \ast z + d_{k}"),
        ("W1 * mean_j x_ij", r"W_{1} \ast \operatorname{mean}_{j} x_{i j}"),
        ("T_mul(g)", r"T_{\text{mul}}(g)"),
        ("s_k |v_n - c_k|^2", r"s_{k} {\left| v_{n} - c_{k} \right|}^{2}"),
        ("(q_i - <q>) / t", r"\dfrac{q_{i} - \left\langle q \right\rangle}{t}"),
        ("softmax_{j in W(i)}(x)", r"\operatorname{softmax}_{j \in W(i)}(x)"),
        ("z_(s + 1), s = 1..r", r"z_{s + 1},\; s = 1, \dots,  r"),
        ("[x', z_1, ..., z_m]", r"[x',\; z_{1},\; \dots,\; z_{m}]"),
        ("gamma sum_d A_cd x_d", r"\gamma \sum_{d} A_{c d} x_{d}"),
        ("c // 4", r"\left\lfloor c / 4 \right\rfloor"),
        ("R^(c x h)", r"\mathbb{R}^{c \times h}"),
    ],
)
def test_tex(text, tex):
    assert as_tex(text) == tex


@pytest.mark.parametrize("text", ["x_", "a +", "(a", "a ? b", "softmax_n(w . x_n", "x_i_j", "|a"])
def test_what_is_no_equation_is_refused(text):
    with pytest.raises(NotUnderstood):
        as_tex(text)


def test_gloss_stands_beside_its_equation():
    found = equation('    f = relu(x)    "mul"      where to look    (one weight)')
    assert (found.left, found.right) == ("f", r"= \operatorname{relu}(x)")
    assert found.gloss == '"mul"; where to look (one weight)'


def test_condition_belongs_to_the_equation():
    found = equation("z_s = F * z_s,   s = 1..r     the same kernel")
    assert found.right == r"= F \ast z_{s},\; s = 1, \dots,  r"
    assert found.gloss == "the same kernel"


def test_quantities_in_sentences_are_typeset_and_signs_kept():
    assert prose("(sum_j v_j)") == r"({math}`\sum_{j}` {math}`v_{j}`)"
    assert prose("pixels x_j in R^c, a * b, `max_n`") == (
        r"pixels {math}`x_{j}` in {math}`\mathbb{R}^{c}`, a \* b, `max_n`"
    )


def test_broken_equation_says_where_it_stands(tmp_path):
    file = tmp_path / "wrong.py"
    file.write_text('"""One line.\n\nFor x,\n\n    y = softmax_(x     oh\n"""\n')
    module = ModuleType("wrong", file.read_text().split('"""')[1])
    module.__file__ = str(file)
    with pytest.raises(BrokenEquation, match=r"wrong\.py:5: "):
        about(module)
