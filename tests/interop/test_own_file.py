"""A network of one's own file: run, called by name, and refused in one line."""

import sys

import pytest
import torch
from torch import nn

from pixelwise.errors import InputError
from pixelwise.interop.own_file import OwnNetwork

NET = """
from torch import nn
class Net(nn.Sequential):
    def __init__(self, width=4, kernels=[3]):
        super().__init__(*[nn.Conv2d(3, width, k) for k in kernels + [1]])
def build(width=4, kernels=[3]):
    return Net(width, kernels)
"""


@pytest.fixture(autouse=True)
def imports_restored(tmp_path, monkeypatch):
    """What user files put into `sys` goes again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = {*sys.modules}
    yield
    for name in {*sys.modules} - before:
        file = str(getattr(sys.modules[name], "__file__", "") or "")
        if name.startswith("own_") or str(tmp_path) in file:
            del sys.modules[name]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def made(text):
    return OwnNetwork.read(text).build()


@pytest.mark.parametrize(
    ("named", "width", "call"),
    [
        ("build", 4, "build()"),
        ("build()", 4, "build()"),
        ("build(width=7)", 7, "build(width=7)"),
        ("Net(width = 6, kernels=[1, 3])", 6, "Net(width = 6, kernels=[1, 3])"),
    ],
)
def test_functions_and_classes_are_called_with_options(tmp_path, named, width, call):
    write(tmp_path / "my" / "net.py", NET)
    network, expression = made(f"my/net.py:{named}")
    assert network[0].out_channels == width
    assert expression == call


def test_a_network_is_taken_as_it_is(tmp_path):
    write(tmp_path / "net.py", NET + "model = build(width=5)\nclass Zoo:\n    tiny = Net\n")
    network, expression = made("net.py:model")
    assert (network[0].out_channels, expression) == (5, "model")
    assert isinstance(made("net.py:Zoo.tiny")[0], nn.Sequential)
    with pytest.raises(InputError, match="network already; leave out the brackets"):
        made("net.py:model()")


def test_modules_beside_the_file_are_found(tmp_path):
    write(tmp_path / "网络" / "blocks.py", "from torch import nn\nclass Block(nn.Conv2d): pass\n")
    write(tmp_path / "网络" / "parts.py", "KERNEL = 3\n")
    write(tmp_path / "above.py", "STRIDE = 2\n")
    file = write(
        tmp_path / "网络" / "模型 v1.2.py",
        "from .blocks import Block\nfrom parts import KERNEL\nfrom above import STRIDE\n"
        "def 建立():\n    from . import blocks\n    return blocks.Block(3, 4, KERNEL, STRIDE)\n",
    )
    assert made(f"{file}:建立")[0].stride == (2, 2)


def test_packages_import_what_is_above_them(tmp_path):
    write(tmp_path / "pack" / "__init__.py", "from .nets.net import Net as build\n")
    write(tmp_path / "pack" / "ops.py", "WIDTH = 9\n")
    write(tmp_path / "pack" / "nets" / "__init__.py", "")
    write(
        tmp_path / "pack" / "nets" / "net.py",
        "from torch import nn\nfrom ..ops import WIDTH\nimport pack.ops\n"
        "class Net(nn.Conv2d):\n    def __init__(self): super().__init__(3, WIDTH, 1)\n",
    )
    assert made("pack/nets/net.py:Net")[0].out_channels == 9
    assert made("pack/__init__.py:build")[0].out_channels == 9


def test_a_link_finds_what_is_beside_it_and_beside_its_file(tmp_path):
    write(tmp_path / "store" / "far.py", "WIDTH = 4\n")
    real = write(
        tmp_path / "store" / "net.py",
        "from torch import nn\nfrom .far import WIDTH\nfrom .near import KERNEL\n"
        "def build(): return nn.Conv2d(3, WIDTH, KERNEL)\n",
    )
    write(tmp_path / "here" / "near.py", "KERNEL = 5\n")
    (tmp_path / "here" / "net.py").symlink_to(real)
    assert made("here/net.py:build")[0].kernel_size == (5, 5)
    (tmp_path / "gone.py").symlink_to(tmp_path / "nothing.py")
    with pytest.raises(InputError, match="a link to a file that is not there; "):
        made("gone.py:build")


def test_a_package_of_a_name_that_is_taken(tmp_path):
    write(tmp_path / "torch" / "__init__.py", "")
    write(tmp_path / "torch" / "sizes.py", "WIDTH = 4\n")
    write(
        tmp_path / "torch" / "net.py",
        "from torch import nn\nfrom .sizes import *\ndef build(): return nn.Conv2d(3, WIDTH, 1)",
    )
    assert made("torch/net.py:build")[0].out_channels == 4
    assert sys.modules["torch"] is torch


def test_what_runs_as_a_script_does_not_run(tmp_path):
    write(tmp_path / "net.py", NET + "if __name__ == '__main__':\n    raise SystemExit('no')\n")
    assert isinstance(made("net.py:Net")[0], nn.Module)


@pytest.mark.parametrize(
    ("text", "body", "told"),
    [
        ("nett.py:build", NET, "no such file; did you mean 'net.py'?"),
        ("net:build", NET, "did you mean net.py:build?"),
        ("net.py", NET, "names nothing in the file; write FILE.py:NAME"),
        ("net.py:", NET, "In net.py: Net, build"),
        ("net.py:bild", NET, "has no 'bild'; did you mean 'build'?"),
        ("net.py:build(", NET, "is no name; write"),
        ("net.py:build(3)", NET, "'3' is no option; "),
        ("net.py:build(widht=3)", NET, "has no option 'widht'; did you mean 'width'?"),
        (".:build", NET, "is a folder; name a Python file in it"),
        ("net.py:build", "def build(n, depth): pass", "needs n, depth; write net.py:build(n=..."),
        ("net.py:build", "def build():\n  return (\n", "net.py, line 2: return ("),
        ("net.py:build", "import no_such_module", "'no_such_module' (net.py, line 1: import no"),
        (
            "net.py:build",
            "def build():\n  return 1 / 0",
            "division by zero (net.py, line 2: return",
        ),
        ("net.py:build", "import sys\nsys.exit(3)", "SystemExit: 3 (net.py, line 2: sys.exit(3));"),
        ("net.py:build", "def build(): assert False", "raised AssertionError (net.py, line 1"),
        ("net.py:build", "def build():\n  raise ValueError('a\\nb')", "ValueError: a b (net.py"),
        ("net.py:build", "def build(): return 3", "returned something of type int; it must return"),
        (
            "net.py:build",
            NET + "build = lambda: Net",
            "returned the class Net, not an object of it",
        ),
        ("net.py:build", "build = 3", "build is of type int, no function and no class; name one"),
        (
            "net.py:build",
            "from torch import nn\ndef build(): return nn.LazyConv2d(3, 1)",
            "lazy modules, which have no weights yet; run it once",
        ),
        (
            "net.py:build",
            "from torch import nn\ndef build(): return nn.Conv2d(3, 1, 1, device='meta')",
            "on the meta device",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_errors(tmp_path, text, body, told):
    write(tmp_path / "net.py", body)
    with pytest.raises(InputError) as caught:
        made(text)
    message = str(caught.value)
    assert told in message
    assert message.startswith(f"host={text!r}: ")
    assert "; " in message
    assert "\n" not in message


def test_an_error_beside_the_file_is_told_where_it_is(tmp_path):
    write(tmp_path / "my" / "helper.py", "def work():\n    return {}['a']\n")
    write(tmp_path / "my" / "net.py", "import helper\ndef build():\n    return helper.work()\n")
    with pytest.raises(InputError, match=r"KeyError: 'a' \(helper.py, line 2: return"):
        made("my/net.py:build")
    write(tmp_path / "my" / "broken.py", "x = = 1\n")
    write(tmp_path / "my" / "next.py", "import broken\n")
    with pytest.raises(InputError, match=r"invalid syntax \(broken.py, line 1: x = = 1\)"):
        made("my/next.py:build")


def test_files_that_are_no_python(tmp_path):
    write(tmp_path / "net.txt", NET)
    with pytest.raises(InputError, match="is no Python file"):
        made("net.txt:build")
    (tmp_path / "gbk.py").write_bytes("x = '网络'\n".encode("gbk"))
    with pytest.raises(InputError, match="raised SyntaxError"):
        made("gbk.py:build")
    (tmp_path / "zero.py").write_bytes(b"x = 1\0\n")
    with pytest.raises(InputError, match="null bytes"):
        made("zero.py:build")
