"""Every broken set is named with file and remedy, and mended where a data.yaml can mend it."""

import pytest
from broken_sets import BROKEN

from pixelwise.data.opening import open_data
from pixelwise.doctor.examine import examine
from pixelwise.doctor.repair import check_target, write_repaired


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name, tmp_path):
    case = BROKEN[name]
    case.make(tmp_path)
    found = examine(tmp_path)
    told = {f"{f.severity} {f.key}": f for f in found.findings}
    assert f"{case.severity} {case.key}" in told, [f.line for f in found.findings]
    finding = told[f"{case.severity} {case.key}"]
    assert any(file.endswith(case.file) for file in (*finding.files, "")), finding.files
    assert finding.remedy
    assert all("\n" not in f.line for f in found.findings)
    starts = case.severity != "stop" if case.starts is None else case.starts
    assert found.may_start == starts


@pytest.mark.parametrize("name", [name for name, case in BROKEN.items() if case.mends])
def test_mended(name, tmp_path):
    """What is written is read again: training may start, and the masks have classes."""
    BROKEN[name].make(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    target = tmp_path / "mended.yaml"
    check_target(tmp_path, target)
    mended = write_repaired(examine(tmp_path), target)
    assert mended is not None
    assert mended.may_start, [f.line for f in mended.findings]
    assert {file: file.read_bytes() for file in before} == before
    source = open_data(target)
    for split in ("train", "val"):
        assert sum(count > 0 for count in source.split(split).check().counts) > 1
