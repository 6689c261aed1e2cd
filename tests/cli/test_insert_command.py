"""`pixelwise insert`: the list of places, the report, and errors of one line."""

import pytest
from safetensors import safe_open

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
    ],
)
def test_errors(capsys, words, told):
    assert main(["insert", *words]) == 2
    caught = capsys.readouterr()
    assert len(caught.err.strip().splitlines()) == 1
    assert told in caught.err
