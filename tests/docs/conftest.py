"""The whole documentation, built once for all tests that need it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

ROOT = Path(__file__).parents[2]
DOCS = str(ROOT / "docs")
if DOCS not in sys.path:
    sys.path.append(DOCS)


@pytest.fixture(scope="session")
def built(tmp_path_factory, worker_id):
    """The folder of a build: `source`, `site`, `cache`. Workers of pytest-xdist share one."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "built_documentation"
    with FileLock(f"{shared}.lock"):
        if not (shared / "said.txt").exists():
            shared.mkdir(exist_ok=True)
            done = subprocess.run(
                [sys.executable, str(ROOT / "docs/build.py")],
                env=os.environ | {"PIXELWISE_DOCS_BUILD": str(shared), "HF_HUB_OFFLINE": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
            (shared / "said.txt").write_text(f"{done.returncode}\n{done.stdout}{done.stderr}")
    code, _, said = (shared / "said.txt").read_text().partition("\n")
    assert code == "0", said
    return shared
