"""docs/export-matrix.md is what the study measured, and a part of that is measured again."""

import sys
from pathlib import Path

import pytest

from pixelwise.export.program import _is_of_layout
from pixelwise.layers.registry import available
from pixelwise.networks.registry import names

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture
def study(monkeypatch):
    """The modules of the study: its cases, its measurement and its page."""
    monkeypatch.syspath_prepend(STUDIES)
    import export_cases
    import export_matrix
    import export_page

    yield export_cases, export_matrix, export_page
    for module in (export_cases, export_matrix, export_page):
        del sys.modules[module.__name__]


def test_the_page_is_written_from_the_rows(study):
    _, _, page = study
    assert page.PAGE.read_text(encoding="utf-8") == page.page(page.read())


def test_no_layer_and_no_network_is_left_out(study):
    cases, _, _ = study
    found = {(case.kind, case.key) for case in cases.cases()}
    assert {key for kind, key in found if kind == "layer"} == set(available())
    assert {key for kind, key in found if kind == "network"} == set(names())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize(
    "id",
    [
        "layer: deform",
        "layer: dnl, mode='concatenation'",
        "layer: fpa",
        "layer: scse",
        "layer: isa",
        "network: ann",
        "network: fcn",
    ],
)
def test_rows_are_measured_again(id, study):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    pytest.importorskip("openvino")
    cases, matrix, page = study
    (case,) = (case for case in cases.cases() if case.id == id)
    told = {r["format"]: r for r in page.read() if (r["kind"], r["name"]) == (case.kind, case.name)}
    for row in matrix.rows_of(case):
        written = told[row["format"]]
        assert row["result"] == written["result"], row["reason"]
        if row["result"] == "yes":
            assert row["worst"] <= max(10 * float(written["worst"]), 1e-6)


@pytest.mark.parametrize(
    ("guard", "dropped"),
    [
        ("L['x'].size()[0] != 1", True),
        ("L['x'].size()[0] > 1", True),
        ("(L['x'].size()[0]*(1 + L['x'].size()[3] // 2)) != (1 + L['x'].size()[3] // 2)", True),
        ("1 < torch.sym_max(1, L['x'].size()[2] // 4)", True),
        ("1 + (((-1) + L['x'].size()[2]) // 32) > 1", True),
        ("1 + (((-1) + torch.sym_max(1, L['x'].size()[2] // 2)) // 8) > 1", True),
        ("1 + (((-1) + L['x'].size()[2]) // 32) > 2", False),
        ("2 + (((-1) + L['x'].size()[2]) // 32) > 1", False),
        ("L['x'].size()[2] > 1", False),
        ("L['x'].size()[2] != L['x'].size()[3]", False),
        ("L['x'].size()[3] >= 18", False),
        ("8*L['x'].size()[2] != 24", False),
    ],
)
def test_guards_that_ask_for_no_size_of_1_are_dropped(guard, dropped):
    assert _is_of_layout(guard) == dropped
