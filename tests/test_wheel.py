"""The wheel and the sdist: built, checked, installed where there is nothing else, and asked."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from pixelwise.release import VERSION

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
DATA = (
    "report_template.html",
    "train/presets",
    "compare/presets",
    "serve/page/index.html",
    "serve/one_file/page/onnx_source.js",
    "serve/runtime/runtime.json",
    "serve/runtime/ort-wasm-simd-threaded.wasm.xz",
    "locale/zh/LC_MESSAGES/pixelwise.mo",
    "agents/SKILL.md",
    "agents/SKILL.md",
)
"""Of what is no Python; the wheel has all files of the sources."""


def run(words, **options):
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, **options)
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    for package in ("build", "twine", "check_wheel_contents", "hatchling"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    out = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT])
    return out


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """An environment that holds the wheel, and sees the dependencies of this one."""
    home = tmp_path_factory.mktemp("bare") / "venv"
    run([sys.executable, "-m", "venv", "--without-pip", home])
    python = home / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    run([*pip, "--no-deps", "--no-index", wheel])
    (site,) = home.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return home


def test_archives_pass_their_checks(built):
    wheel, sdist = f"pixelwise-{VERSION}-py3-none-any.whl", f"pixelwise-{VERSION}.tar.gz"
    assert {path.name for path in built.iterdir()} == {wheel, sdist}
    run([sys.executable, "-m", "twine", "check", "--strict", built / wheel, built / sdist])
    run([sys.executable, "-m", "check_wheel_contents", built / wheel])
    with tarfile.open(built / sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "CITATION.cff", "docs/index.md", "tests/conftest.py"} <= names
    assert not [name for name in names if name.startswith("docs/_build") or name.endswith(".pyc")]


def test_the_wheel_has_every_file_of_the_sources(built):
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"pixelwise-{VERSION}.dist-info/METADATA").decode()
    sources = run(["git", "ls-files", "src/pixelwise"], cwd=ROOT).splitlines()
    assert {name.removeprefix("src/") for name in sources} <= names
    assert "Project-URL: Documentation, https://" in metadata
    assert "License-File: LICENSE" in metadata
    assert path.stat().st_size < 12e6


def test_it_works_where_there_is_nothing_else(installed, tmp_path):
    command, python = installed / "bin" / "pixelwise", installed / "bin" / "python"
    assert run([command, "--version"], cwd=tmp_path) == f"pixelwise {VERSION}\n"
    assert "psa_s" in run([command, "layers"], cwd=tmp_path)
    code = (
        "import pixelwise, importlib.resources as r; print(pixelwise.__file__);"
        f"print(*[(r.files('pixelwise') / n).exists() for n in {DATA!r}])"
    )
    where, found = run([python, "-c", code], cwd=tmp_path).splitlines()
    assert where.startswith(str(installed))
    assert found == " ".join(["True"] * len(DATA))
