"""`pixelwise insert`: the list of places, the report, and errors of one line."""

import sys

import pytest
import torch
from safetensors import safe_open
from torch import nn

from pixelwise import create_model
from pixelwise.cli.main import main


def test_places_of_a_timm_model(capsys):
    assert main(["insert", "test_resnet"]) == 0
    text = capsys.readouterr().out
    assert "layer2.*.conv1" in text
    assert "ends a stage ('each stage')" in text
    assert 'next: pixelwise insert test_resnet --at "LAYER@PLACE"' in text


def test_report_and_file(capsys, tmp_path):
    file = tmp_path / "insertions.safetensors"
    words = ["insert", "test_resnet", "--at", "layer3.*.bn2=psa_s, layer4=gc", "--size", "128x192"]
    assert main([*words, "--per-channel", "--out", str(file)]) == 0
    text = capsys.readouterr().out
    assert "for a picture of 128x192" in text
    assert "0 in eval mode, 0 in train mode" in text
    assert f'pixelwise.insert(host, "{file}")' in text
    with safe_open(file, framework="pt") as found:
        assert any(name.startswith("layer3.0.bn2/layer.") for name in found.keys())  # noqa: SIM118


def test_a_saved_network(capsys, tmp_path):
    create_model("fcn", "test_resnet", num_classes=3).save_pretrained(tmp_path)
    assert main(["insert", str(tmp_path), "--at", "backbone.body.layer3=se", "--quiet"]) == 0
    assert "1 layer inserted into Segmenter" in capsys.readouterr().out


NET = """
from torch import nn
def build(classes=2):
    return nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, classes, 1))
"""


@pytest.fixture
def own_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    before = {*sys.modules}
    yield tmp_path / "net.py"
    for name in [name for name in {*sys.modules} - before if name.startswith("own_")]:
        del sys.modules[name]


@pytest.mark.parametrize("words", [["net.py:build(classes=3)"], ["--host=net.py:build(classes=3)"]])
def test_a_file_of_ones_own(capsys, own_file, words):
    assert main(["insert", *words]) == 0
    text = capsys.readouterr().out
    assert "host    net.py:build(classes=3): 251 parameters" in text
    assert "next: pixelwise insert 'net.py:build(classes=3)' --at" in text
    more = ["--at", "eca@1", "--size", "128x192", "--out", "eca.safetensors"]
    assert main(["insert", *words, *more]) == 0
    text = capsys.readouterr().out
    assert "1 layer inserted into Sequential" in text
    assert "for a picture of 128x192" in text
    assert text.endswith('in Python: pixelwise.insert(build(classes=3), "eca.safetensors")\n')
    assert own_file.with_name("eca.safetensors").is_file()


def test_a_network_that_takes_one_size_alone(capsys, own_file):
    own_file.write_text(
        NET.replace("return nn.Seq", "end = nn.Linear(8 * 12 * 10, 2)\n    return nn.Seq").replace(
            "nn.Conv2d(8, classes, 1)", "nn.Flatten(), end"
        )
    )
    assert main(["insert", "net.py:build", "--at", "eca@1"]) == 2
    assert "did not run on pictures" in capsys.readouterr().err
    assert main(["insert", "net.py:build", "--at", "eca@1", "--size", "48x40"]) == 0


def test_weights_of_a_file(capsys, own_file):
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.Conv2d(8, 2, 1))
    torch.save({"state_dict": layers.state_dict()}, "w.pth")
    words = ["insert", "--host", "net.py:build", "--checkpoint", "w.pth", "--at", "eca@1"]
    assert main(words) == 0
    assert "weights w.pth: all 4 tensors loaded" in capsys.readouterr().out
    words[2] = "net.py:build(classes=3)"
    assert main(words) == 2
    told = capsys.readouterr().err
    assert "2 of 4 tensors of Sequential fit; 2 of another shape" in told
    assert len(told.strip().splitlines()) == 1


def test_weights_for_timm_and_for_a_folder(capsys, tmp_path):
    network = create_model("fcn", "test_resnet", num_classes=3)
    network.save_pretrained(tmp_path)
    torch.save({"model": network.state_dict()}, tmp_path / "run.pth")
    words = ["--checkpoint", str(tmp_path / "run.pth"), "--at", "backbone.body.layer3=se"]
    assert main(["insert", str(tmp_path), *words]) == 0
    body = {"module." + k: v for k, v in network.backbone.body.state_dict().items()}
    torch.save(body, tmp_path / "body.pth")
    words = ["--checkpoint", str(tmp_path / "body.pth"), "--at", "layer3=se"]
    assert main(["insert", "test_resnet(num_classes=0)", *words]) == 0
    capsys.readouterr()
    assert main(["insert", "test_resnet", *words]) == 2
    assert "2 missing in the file (fc.weight, fc.bias)" in capsys.readouterr().err


def test_a_network_for_one_size_is_made_for_the_size_asked_for(capsys):
    words = ["insert", "test_vit", "--at", "se@blocks.2", "--size", "64x96"]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "test_vit is for one size of pictures: made with img_size=(64, 96)" in text
    assert "4x6" in text


def test_suggestions(capsys, own_file):
    words = ["insert", "net.py:build", "--suggest", "eca,gc", "--size", "64x96"]
    assert main([*words, "--out", "costs.csv"]) == 0
    text = capsys.readouterr().out
    assert "costs and reach only; whether it helps your data: pixelwise compare" in text
    assert "weights: as net.py makes them" in text
    assert own_file.with_name("costs.csv").read_text().startswith("stage,place,channels")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["resnet118"], "did you mean 'resnet18'"),
        (["test_resnet", "--at", "layer9=se"], "place='layer9': unknown place in ResNet"),
        (["test_resnet", "--at", "layer4"], "names no place and layer"),
        (["test_resnet", "--at", "se@7"], "has the stages 1 to 4"),
        (["test_resnet", "--at", "layer4=ocr"], "takes a second input"),
        (["test_resnet", "--out", "x.safetensors"], "name them with --at"),
        (["test_resnet", "--at", "layer4=gc", "--size", "12by"], "size"),
        (["--at", "layer4=gc"], "no network; name a timm model"),
        (["test_resnet", "--host", "resnet18"], "'test_resnet' is named too"),
        (["net.py:build"], "no such file"),
        (["test_resnet", "--suggest", "--at", "se@4"], "--suggest tries every stage; "),
        (["test_resnet", "--suggest", "--out", "x.safetensors"], "ends in .csv"),
        (["--suggest", "test_resnet"], "no network; name a timm model"),
        (["test_resnet(classes=3)"], "timm could not make it (TypeError"),
        (["test_resnet(3)"], "'3' is no option; "),
        (["test_resnet", "--checkpoint", "no.pth"], "no.pth: no such file"),
        (["test_resnet", "--pretrained", "--checkpoint", __file__], "--checkpoint brings"),
        (["net.py:build", "--pretrained"], "is for names of timm; "),
        ([__file__.removesuffix("/test_insert_command.py")], "a folder of Python files"),
    ],
)
def test_errors(capsys, words, told):
    assert main(["insert", *words]) == 2
    caught = capsys.readouterr()
    assert len(caught.err.strip().splitlines()) == 1
    assert told in caught.err
