"""Every broken set is named with file and remedy."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from broken import BROKEN  # noqa: E402

from pixelwise.doctor.examine import examine  # noqa: E402


@pytest.mark.parametrize("name", BROKEN)
def test_broken(name, tmp_path):
    case = BROKEN[name]
    case.make(tmp_path)
    found = examine(tmp_path)
    told = {f"{f.severity} {f.key}": f for f in found.findings}
    assert f"{case.severity} {case.key}" in told, [f.line for f in found.findings]
    finding = told[f"{case.severity} {case.key}"]
    assert any(file.endswith(case.file) for file in (*finding.files, "")), finding.files
    assert finding.remedy and "\n" not in finding.line
    assert found.may_start == (case.severity != "stop")
