"""Importing starts nothing; the doors lead where they say."""

import inspect
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


def test_every_layer_and_network_has_a_title_and_a_year():
    from pixelwise.layers.registry import available as layers
    from pixelwise.networks.registry import available as decoders
    from pixelwise.networks.zoo import ZOO

    for found in (layers(), decoders(), ZOO):
        assert len({entry.title for entry in found.values()}) == len(found)
        for key, entry in found.items():
            # one that inherits them would go by the name of another
            own = vars(entry)
            assert own["title"], key
            about = inspect.getdoc(inspect.getmodule(entry)) or ""
            if own["year"] is None:
                assert "Source: no paper" in about, f"{key}: a paper has a year"
            else:
                assert 2010 <= own["year"] <= 2030, key
