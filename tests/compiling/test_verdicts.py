"""What a process knows of compiled forms from another one."""

import json
import logging

import pytest
import torch

from pixelwise import create_layer
from pixelwise.compiling import kinds, verdicts
from pixelwise.compiling.per_mode import compiled
from pixelwise.compiling.telling import Compiling


def call(*size, **options):
    """As in a new process."""
    verdicts.forget()
    torch.manual_seed(3)
    layer = compiled(create_layer("se", 16, **options).eval())
    with torch.no_grad():
        layer(torch.zeros(size or (2, 16, 7, 6)))
    return layer


def test_a_verdict_is_found_by_the_next_process(pretended, cache):
    assert call().forward.modes == {"forward"}
    (file,) = cache.iterdir()
    assert json.loads(file.read_text())["verdict"]["taken"] is True
    assert call().forward.modes == {"forward"}
    assert pretended.measured == 1
    assert call(2, 16, 6, 7).forward.modes == {"forward"}  # about as large
    assert pretended.measured == 1


def test_one_that_was_refused_is_found_too(pretended):
    pretended.faster = 0.5
    call()
    assert not call().forward.modes
    assert (pretended.measured, pretended.made) == (1, 1)


@pytest.mark.parametrize(
    ("size", "options"),
    [((2, 16, 30, 30), {}), ((8, 16, 7, 6), {}), ((2, 16, 7, 6), {"reduction": 2})],
)
def test_another_size_or_option_is_measured(pretended, cache, size, options):
    call()
    call(*size, **options)
    assert pretended.measured == 2
    assert len(list(cache.iterdir())) == 2


def test_another_torch_release_processor_or_number_of_threads_is_measured(pretended, monkeypatch):
    call()
    with monkeypatch.context() as patched:
        patched.setattr(torch, "__version__", "99.0")
        call()
    assert pretended.measured == 2
    monkeypatch.setattr(kinds, "VERSION", "99.0")
    call()
    monkeypatch.setattr(kinds, "processor", lambda: "another")
    call()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    call()
    assert pretended.measured == 5


def test_layout_autocast_and_gradient_are_kinds_of_their_own():
    layer, x = create_layer("se", 16), torch.zeros(2, 16, 8, 8)
    last = x.contiguous(memory_format=torch.channels_last)
    learnt = x.clone().requires_grad_()
    found = [kinds.kind_of(layer, "train", (one,)) for one in (x, last, learnt)]
    found.append(kinds.kind_of(layer.eval(), "train", (x,)))
    with torch.autocast("cpu", torch.bfloat16):
        found.append(kinds.kind_of(layer, "train", (x,)))
    for weight in layer.parameters():
        weight.requires_grad_(False)
    found.append(kinds.kind_of(layer, "train", (x,)))
    assert len({json.dumps(kind) for kind in found}) == len(found)


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "[" * 100_000, "\0\xff", '{"version": 1}',
        '{"version": 1, "kind": {}, "verdict": {"taken": true}}', "OTHER VERSION", "OTHER TYPE",
    ],
)  # fmt: skip
def test_a_broken_file_is_measured_anew(pretended, cache, text):
    call()
    (file,) = cache.iterdir()
    right = file.read_text()
    if text == "OTHER VERSION":
        text = right.replace('"version": 1', '"version": 2')
    if text == "OTHER TYPE":
        text = right.replace('"taken": true', '"taken": "yes"')
    assert text != right
    file.write_text(text, encoding="latin-1")
    call()
    assert pretended.measured == 2
    assert file.read_text() == right
    assert len(list(cache.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_told_once(pretended, cache, monkeypatch, caplog):
    cache.parent.write_text("a file")
    with caplog.at_level(logging.WARNING):
        assert call().forward.modes == {"forward"}
        assert call().forward.modes == {"forward"}
    assert pretended.measured == 2
    assert len(caplog.records) == 1
    assert "cannot be written" in caplog.text


def nobody():
    raise RuntimeError("no home")


def test_where_verdicts_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("PIXELWISE_CACHE", "off")
    assert verdicts.folder() is None
    monkeypatch.delenv("PIXELWISE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert verdicts.folder() == tmp_path / "pixelwise" / "compiled"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    assert verdicts.folder() == tmp_path / ".cache" / "pixelwise" / "compiled"
    monkeypatch.setattr("pathlib.Path.home", nobody)
    assert verdicts.folder() is None


def test_without_a_folder_nothing_is_kept(pretended, monkeypatch, cache):
    monkeypatch.setenv("PIXELWISE_CACHE", "off")
    call()
    call()
    assert pretended.measured == 2
    assert not cache.exists()


def model(*keys):
    return torch.nn.Sequential(*(create_layer(key, 16) for key in keys)).eval()


def test_what_a_command_says(pretended):
    lines, network = [], model("se", "cbam")
    told = Compiling("auto", lines.append)
    told.take(network)
    assert lines == ["compile se, cbam: measured at first calls, which takes seconds each"]
    told.tell()
    assert len(lines) == 1
    with torch.no_grad():
        network[0](torch.zeros(2, 16, 7, 6))
        told.tell()
        pretended.faster = 3.1
        network[0](torch.zeros(2, 16, 30, 30))
        pretended.faster = 0.9
        network[1](torch.zeros(2, 16, 7, 6))
        pretended.spoil = lambda y, x: y + 1
        network[1](torch.zeros(2, 16, 60, 60))
    told.tell()
    told.tell()
    assert lines[1:] == [
        "compile faster: se (forward) 2x",
        "compile faster: se (forward) 3.1x; as they are: cbam (forward) 0.9x",
    ]


def test_what_a_command_says_where_nothing_is_compiled(monkeypatch):
    lines = []
    Compiling("off", lines.append).take(model("se"))
    assert not lines
    told = Compiling("auto", lines.append)
    told.take(model("pam"))
    told.take(model("se").to("meta"))
    monkeypatch.setattr("pixelwise.compiling.per_mode.compiler", lambda: None)
    network = model("se")
    told.take(network)
    assert "forward" not in vars(network[0])
    assert lines == [
        "compile no layer here is worth trying",
        "compile layers are compiled on CPUs only, not on meta",
        "compile no C++ compiler was found (c++, g++, clang++, cl), so layers are not",
    ]
