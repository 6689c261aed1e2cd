"""Importing starts nothing; the doors lead where they say."""

import subprocess
import sys

import pytest
import torch

import pixelwise

HEAVY = ("timm", "torchvision", "lightning_fabric", "lightning", "rasterio", "ray", "matplotlib")


def loaded_after(code):
    listed = f"{code}; import sys; print(*sorted(m for m in sys.modules if '.' not in m))"
    words = [sys.executable, "-c", listed]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert not loaded_after("import pixelwise") & {*HEAVY, "torch", "numpy", "PIL"}


def test_importing_layers_loads_torch_alone():
    code = "import pixelwise.layers.registry as r; r.available()"
    assert not loaded_after(code) & {*HEAVY, "PIL", "yaml", "rich"}


@pytest.mark.parametrize("command", ["", "train --help", "predict --help", "--version", "demo -h"])
def test_help_does_not_import_torch(command):
    code = (
        "import contextlib, io\n"
        "from pixelwise.cli.main import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    main({command.split()!r})\n"
    )
    assert not loaded_after(f"exec({code!r})") & {*HEAVY, "torch"}


def test_doors():
    assert {"psa_s", "pam"} <= set(pixelwise.list_layers())
    assert {"fcn", "danet"} <= set(pixelwise.list_models())
    assert pixelwise.create_layer("gc", 16)(torch.ones(1, 16, 2, 3)).shape == (1, 16, 2, 3)
    assert set(pixelwise.__all__) <= set(dir(pixelwise))
    with pytest.raises(AttributeError, match="no attribute 'create_layers'"):
        pixelwise.create_layers  # noqa: B018
