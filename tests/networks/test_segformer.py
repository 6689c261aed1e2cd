"""SegFormer: its head by the equations, its backbone and both beside Hugging Face's."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from pixelwise.errors import InputError
from pixelwise.export.program import traced
from pixelwise.networks.backbones.mit import MixTransformer
from pixelwise.networks.backbones.mit_block import Block
from pixelwise.networks.factory import create_model
from pixelwise.networks.registry import decoder_named

CHANNELS = [4, 6, 8, 10]
SMALL = {"widths": (8, 8, 16, 16), "depths": (2, 1, 1, 1), "heads": (1, 2, 2, 4)}


def shaken(module):
    torch.manual_seed(2)
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.3)
            part.running_var.uniform_(0.5, 1.5)
            torch.nn.init.normal_(part.weight)
    return module.double().eval()


@pytest.mark.parametrize("variant", ["mmsegmentation", "plain"])
@pytest.mark.parametrize("align", [False, True])
def test_the_head_joins_the_resized_maps(variant, align):
    torch.manual_seed(0)
    head = shaken(decoder_named("segformer")([3, *CHANNELS], 5, width=6, variant=variant))
    head.align_corners = align
    features = [
        torch.randn(2, c, s, s + 2, dtype=torch.float64)
        for c, s in zip((3, *CHANNELS), (20, 9, 5, 3, 1), strict=True)
    ]
    size = features[1].shape[2:]
    maps = [level(x) for level, x in zip(head.levels, features[1:], strict=True)]
    up = [F.interpolate(y, size=size, mode="bilinear", align_corners=align) for y in maps]
    wanted = head.classify(head.fuse(torch.cat(up, 1)))
    torch.testing.assert_close(head(features), wanted)


@pytest.fixture(scope="module")
def hugging_face():
    torch.manual_seed(0)
    config = SegformerConfig(
        hidden_sizes=list(SMALL["widths"]),
        depths=list(SMALL["depths"]),
        num_attention_heads=list(SMALL["heads"]),
        decoder_hidden_size=12,
        num_labels=3,
    )
    return shaken(SegformerForSemanticSegmentation(config))


@pytest.mark.parametrize("size", [(64, 96), (37, 45), (33, 120)])
def test_features_and_logits_are_those_of_hugging_face(hugging_face, size, tmp_path):
    hugging_face.save_pretrained(tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    start = "segformer.encoder."
    body = MixTransformer(**SMALL, eps=1e-5).double().eval()
    body.load_reference({k.removeprefix(start): v for k, v in state.items() if k.startswith(start)})
    head = decoder_named("segformer")(SMALL["widths"], 3, width=12, variant="plain").double().eval()
    start = "decode_head."
    head.load_reference({k.removeprefix(start): v for k, v in state.items() if k.startswith(start)})
    image = torch.randn(2, 3, *size, dtype=torch.float64)
    with torch.no_grad():
        wanted = hugging_face(image, output_hidden_states=True)
        features = body(image)
    for found, theirs in zip(features, wanted.hidden_states[-4:], strict=True):
        assert found.shape[2:] == theirs.shape[2:]
    torch.testing.assert_close(head(features), wanted.logits, rtol=1e-9, atol=1e-9)


def mmsegmentation_names(state):
    """The state of a body under mmsegmentation's names: queries, keys and values joined."""
    found = {}
    for key, value in state.items():
        _, i, part, rest = key.split(".", 3)
        if part == "embedding":
            found[f"layers.{i}.0.{rest.replace('conv.', 'projection.')}"] = value
            continue
        if part == "norm":
            found[f"layers.{i}.2.{rest}"] = value
            continue
        j, rest = rest.split(".", 1)
        names = {
            "attention.project": "attn.attn.out_proj", "attention.reduce": "attn.sr",
            "attention.norm": "attn.norm", "mix.expand": "ffn.layers.0",
            "mix.depthwise": "ffn.layers.1", "mix.project": "ffn.layers.4",
        }  # fmt: skip
        start = f"layers.{i}.1.{j}"
        name, _, kind = rest.rpartition(".")
        if name in ("attention.query", "attention.keys", "attention.value"):
            found.setdefault(f"{start}.attn.attn.in_proj_{kind}", []).append(value)
        else:
            found[f"{start}.{names.get(name, name)}.{kind}"] = value
    return {k: torch.cat(v) if isinstance(v, list) else v for k, v in found.items()}


def authors_names(state):
    """Likewise under the authors' names: keys and values joined."""
    found = {}
    for key, value in mmsegmentation_names(state).items():
        i, part, rest = key.removeprefix("layers.").split(".", 2)
        i = int(i) + 1
        if part == "0":
            found[f"patch_embed{i}.{rest.replace('projection', 'proj')}"] = value
        elif part == "2":
            found[f"norm{i}.{rest}"] = value
        elif ".in_proj_" in rest:
            name, kind = rest.replace("attn.attn", "attn").split(".in_proj_")
            third = len(value) // 3
            found[f"block{i}.{name}.q.{kind}"] = value[:third]
            found[f"block{i}.{name}.kv.{kind}"] = value[third:]
        else:
            for theirs, own in (
                ("attn.attn.out_proj", "attn.proj"), ("ffn.layers.0", "mlp.fc1"),
                ("ffn.layers.1", "mlp.dwconv.dwconv"), ("ffn.layers.4", "mlp.fc2"),
            ):  # fmt: skip
                rest = rest.replace(theirs, own)
            found[f"block{i}.{rest}"] = value
    return found


@pytest.mark.parametrize("names", [mmsegmentation_names, authors_names])
def test_other_names_of_the_backbone(names):
    torch.manual_seed(0)
    body, other = MixTransformer(**SMALL), MixTransformer(**SMALL)
    other.load_reference(names(body.state_dict()))
    for name, value in body.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


def test_the_names_of_the_authors_are_those_of_smp():
    smp = pytest.importorskip("segmentation_models_pytorch")
    theirs = smp.encoders.get_encoder("mit_b0", weights=None).state_dict()
    own = authors_names(MixTransformer().state_dict())
    assert {k: tuple(v.squeeze().shape) for k, v in own.items()} == {
        k: tuple(v.squeeze().shape) for k, v in theirs.items()
    }


@pytest.mark.parametrize(
    ("variant", "width", "millions"),
    [("b0", 256, 3.8), ("b1", 256, 13.7), ("b2", 768, 27.5), ("b3", 768, 47.3), ("b4", 768, 64.1),
     ("b5", 768, 84.7)],
)  # fmt: skip
def test_published_sizes(variant, width, millions):
    """Table 1 of the paper, for 150 classes; it rounds, and leaves out the biases of the head."""
    with torch.device("meta"):
        model = create_model("segformer", f"mit_{variant}", num_classes=150, width=width)
    count = sum(p.numel() for p in model.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.13)


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (37, 45)])
def test_pictures_of_any_size(size):
    model = create_model("segformer", num_classes=3, backbone_options=SMALL).eval()
    assert model.backbone.multiple == 1
    with torch.no_grad():
        logits = model(torch.randn(2, 3, *size))
    assert logits.shape == (2, 3, *size)
    assert logits.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width=0: must be at least 1"),
        ({"variant": "nvidia"}, "variant='nvidia': must be one of 'mmsegmentation', 'plain'"),
    ],
)
def test_options_of_the_head(options, message):
    with pytest.raises(InputError, match=message):
        decoder_named("segformer")(CHANNELS, 3, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": ()}, r"widths=\(\): must be one number per stage"),
        ({"depths": (2, 2)}, r"depths=\(2, 2\): must be one number per stage, as widths has 4; gi"),
        ({"heads": (1, 2, 5, 7)}, "heads=7: must divide the 256 channels; e.g. heads=1"),
        ({"reductions": (8, 4, 2, 0)}, "reductions=0: must be at least 1"),
        ({"expansion": 0}, "expansion=0: must be at least 1"),
        ({"drop_path": 1.0}, r"drop_path=1\.0: must be from 0 to below 1; e\.g\."),
    ],
)
def test_options_of_the_backbone(options, message):
    with pytest.raises(InputError, match=message):
        create_model("segformer", num_classes=3, backbone_options=options)


def test_attention_between_the_stages():
    model = create_model(
        "segformer", num_classes=3, backbone_options=SMALL, attention={2: "coord", 4: "se"}
    ).eval()
    with torch.no_grad():
        assert model(torch.randn(1, 3, 40, 64)).shape == (1, 3, 40, 64)


def test_a_program_takes_maps_smaller_than_the_cells_of_keys():
    torch.manual_seed(0)
    block = Block(8, heads=2, reduction=4, expansion=2, drop=0.0, eps=1e-6).eval()
    free = (dict.fromkeys(range(3), torch.export.Dim.DYNAMIC),)
    program = traced(block, (torch.randn(2, 8, 12, 8),), free).module()
    for size in ((2, 8, 12), (3, 3, 9), (1, 5, 2), (2, 2, 2)):
        x = torch.randn(*size, 8)
        with torch.no_grad():
            torch.testing.assert_close(program(x), block(x))
