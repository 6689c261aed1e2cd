"""Checkpoints of SegFormer: mmsegmentation's, its authors' and Hugging Face's."""

import keys
import pytest
import torch
from files import numbers, write
from transformers import SegformerConfig, SegformerForSemanticSegmentation

import pixelwise
from pixelwise.errors import InputError
from pixelwise.interop.convert import import_checkpoint

WIDTHS, DEPTHS, HEADS = (8, 16, 40, 64), (2, 1, 1, 1), (1, 2, 5, 8)


@pytest.fixture
def hugging_face():
    torch.manual_seed(0)
    config = SegformerConfig(
        hidden_sizes=list(WIDTHS), depths=list(DEPTHS), num_attention_heads=list(HEADS),
        decoder_hidden_size=12, num_labels=4,
    )  # fmt: skip
    model = SegformerForSemanticSegmentation(config).eval()
    torch.nn.init.normal_(model.decode_head.batch_norm.running_mean)
    return model


def test_logits_are_those_of_hugging_face(hugging_face, tmp_path):
    hugging_face.save_pretrained(tmp_path)
    found = import_checkpoint(tmp_path / "model.safetensors")
    config = found.foreign.config
    assert (config.arch, config.num_classes, config.backbone) == ("segformer", 4, "mit_b0")
    assert config.options == {"width": 12, "variant": "plain"}
    assert config.backbone_options == {"widths": WIDTHS, "depths": DEPTHS, "eps": 1e-5}
    image = torch.randn(1, 3, 70, 61, dtype=torch.float64)
    with torch.no_grad():
        wanted = hugging_face.double()(image).logits
        up = torch.nn.functional.interpolate(wanted, (70, 61), mode="bilinear")
        torch.testing.assert_close(found.model.double()(image), up, rtol=1e-9, atol=1e-9)


def test_the_names_that_transformers_has_in_memory(hugging_face, tmp_path):
    hugging_face.save_pretrained(tmp_path)
    wanted = import_checkpoint(tmp_path / "model.safetensors").model
    found = import_checkpoint(write(tmp_path / "a.pth", hugging_face.state_dict())).model
    assert found.config == wanted.config
    for key, value in wanted.state_dict().items():
        assert torch.equal(found.state_dict()[key], value)


def test_the_backbone_alone(hugging_face, tmp_path):
    state = {k: v for k, v in hugging_face.state_dict().items() if "decode_head" not in k}
    assert state
    hugging_face.save_pretrained(tmp_path)
    whole = import_checkpoint(tmp_path / "model.safetensors").foreign.state
    state = {k: v for k, v in whole.items() if not k.startswith("decode_head.")}
    path = write(tmp_path / "a.pth", state | {"classifier.weight": torch.zeros(5, WIDTHS[-1])})
    with pytest.raises(InputError, match="there is no segmentation head in it; take its backbone"):
        pixelwise.load(path)
    model = import_checkpoint(path, classes=3).model
    assert (model.config.arch, model.config.num_classes) == ("fcn", 3)
    stem = whole["segformer.encoder.patch_embeddings.0.proj.weight"]
    assert torch.equal(model.backbone.body.stages[0].embedding.conv.weight, stem)


@pytest.mark.parametrize("code", ["mmsegmentation", "authors"])
def test_every_number_of_other_files_comes_over(code, tmp_path):
    shapes = keys.segformer(WIDTHS, DEPTHS, authors=code == "authors")
    state = numbers(shapes)
    found = import_checkpoint(write(tmp_path / "a.pth", state))
    model = found.model
    assert model.config.arch == "segformer"
    assert model.config.num_classes == 4
    plain = "plain" if code == "authors" else "mmsegmentation"
    assert model.decoder.levels[0].__class__.__name__ == (
        "Conv2d" if plain == "plain" else "Sequential"
    )
    unused = ("decode_head.conv_seg.weight", "decode_head.conv_seg.bias")
    used = {k: v for k, v in state.items() if code != "authors" or k not in unused}
    assert sum(float(v.double().sum()) for v in used.values()) == pytest.approx(
        sum(float(v.double().sum()) for v in model.state_dict().values()), rel=1e-5
    )
    start, blocks = ("backbone.", "block1.0.attn.q.weight")
    query = model.backbone.body.stages[0].blocks[0].attention.query.weight
    if code == "authors":
        assert torch.equal(query, state[start + blocks])
    else:
        joined = state["backbone.layers.0.1.0.attn.attn.in_proj_weight"]
        assert torch.equal(query, joined[: WIDTHS[0]])
    assert model(torch.randn(1, 3, 40, 33)).shape == (1, 4, 40, 33)


def test_a_file_that_lacks_a_tensor_is_refused(tmp_path):
    shapes = keys.segformer(WIDTHS, DEPTHS)
    del shapes["backbone.layers.1.1.0.norm2.bias"]
    with pytest.raises(InputError, match=r"1 missing in the file: backbone\.body\.stages\.1\.blo"):
        pixelwise.load(write(tmp_path / "a.pth", numbers(shapes)))
    del shapes["backbone.layers.0.1.0.ffn.layers.0.weight"]
    with pytest.raises(InputError, match="missing, and widths are read from it; get the whole"):
        pixelwise.load(write(tmp_path / "a.pth", numbers(shapes)))


def test_heads_of_the_configuration_are_taken(tmp_path):
    text = "model = dict(backbone=dict(type='MixVisionTransformer', num_heads=[2, 2, 5, 8]))"
    state = numbers(keys.segformer(WIDTHS, DEPTHS))
    found = import_checkpoint(write(tmp_path / "a.pth", state, meta={"cfg": text}))
    assert found.foreign.config.backbone_options["heads"] == (2, 2, 5, 8)
