"""What the attention maps of known libraries cover, against steps that are known."""

import pytest
import torch

import pixelwise
from pixelwise.errors import InputError
from pixelwise.explanation.host_areas import Change, step_of
from pixelwise.explanation.host_calls import host_attentions
from pixelwise.explanation.host_maps import host_maps


def maps_of(model, size, at):
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = host_attentions(model.eval(), image, size)
        return found, list(host_maps(model, image, found.calls, at).values())


@pytest.mark.parametrize("size", [(96, 136), (100, 140)])
def test_segformer(size):
    transformers = pytest.importorskip("transformers")
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 16, 24, 32],
        num_attention_heads=[1, 2, 2, 4],
        depths=[1, 1, 1, 1],
        decoder_hidden_size=16,
    )
    at = (size[0] - 1, size[1] - 1)
    found, maps = maps_of(transformers.SegformerForSemanticSegmentation(config), size, at)
    assert found.notes == ()
    steps = (4, 8, 16, 32)
    keys = {(96, 136): [(3, 4)] * 3 + [(3, 5)], (100, 140): [(3, 4)] * 3 + [(4, 5)]}[size]
    for call, one, step, coarse in zip(found.calls, maps, steps, keys, strict=True):
        cells = tuple(-(-side // step) for side in size)
        assert (call.size, call.covers) == (cells, tuple(step * n for n in cells))
        assert one.at == (at[0] // step, at[1] // step)
        assert (one.size, one.covers) == (coarse, tuple(32 * n for n in coarse))
        assert (one.apart, one.proof < 1e-5) == (0, True)


def test_swin_that_pads_its_windows_and_its_merges():
    timm = pytest.importorskip("timm")
    model = timm.create_model(
        "swin_tiny_patch4_window7_224",
        img_size=(72, 104),
        embed_dim=24,
        depths=(2, 1, 2, 2),
        num_heads=(1, 2, 2, 4),
    )
    found, maps = maps_of(model, (72, 104), (71, 103))
    assert found.notes == ()
    wanted = [((18, 26), 4), ((18, 26), 4), ((9, 13), 8), ((5, 7), 16), ((5, 7), 16)]
    wanted += [((3, 4), 32)] * 2
    for one, (cells, step) in zip(maps, wanted, strict=True):
        assert (one.size, one.covers) == (cells, tuple(step * n for n in cells))
        assert one.at == (71 // step, 103 // step)


def test_swin_that_pads_its_patches():
    transformers = pytest.importorskip("transformers")
    config = transformers.SwinConfig(image_size=64, embed_dim=16, depths=[1, 1], num_heads=[1, 2])
    found, maps = maps_of(transformers.SwinModel(config), (70, 102), (69, 101))
    assert found.notes == ()
    assert [(one.at, one.size, one.covers) for one in maps] == [
        ((17, 25), (18, 26), (72, 104)),
        ((8, 12), (9, 13), (72, 104)),
    ]


@pytest.mark.parametrize(
    ("name", "options", "size"),
    [
        ("vit_tiny_patch16_224", {"class_token": False, "global_pool": "avg"}, (64, 96)),
        ("swin_tiny_patch4_window7_224", {"embed_dim": 24, "num_heads": (1, 2)}, (56, 56)),
    ],
)
def test_no_key_is_apart_where_every_token_is_a_cell(name, options, size):
    timm = pytest.importorskip("timm")
    depth = {"depths": (2, 1)} if "swin" in name else {"depth": 2}
    model = timm.create_model(name, img_size=size, **options, **depth)
    found, maps = maps_of(model, size, (20, 30))
    assert (found.notes, len(maps)) == ((), 3 if "swin" in name else 2)
    assert [one.apart for one in maps] == [0] * len(maps)


def test_yolo(tmp_path, monkeypatch):
    monkeypatch.setenv("YOLO_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("YOLO_OFFLINE", "True")
    ultralytics = pytest.importorskip("ultralytics")
    yolo = ultralytics.YOLO("yolo11n.yaml")
    found, (one,) = maps_of(yolo.model, (128, 160), (127, 159))
    assert found.notes == ()
    assert (one.at, one.size, one.covers, one.apart) == ((3, 4), (4, 5), (128, 160), 0)
    assert one.proof < 1e-5
    with pytest.raises(InputError, match=r"^model=YOLO: .*; give its \.model$"):
        pixelwise.explain(yolo, torch.randn(3, 128, 160), (3, 3))
    with pytest.raises(InputError, match="must be logits") as refused:
        pixelwise.explain(yolo.model, torch.randn(3, 128, 160), (3, 3))
    assert "\n" not in str(refused.value)


def test_a_step_is_proved_or_refused():
    place = torch.arange(10).float()
    assert step_of(place, 8 * place + 0.5, 10, [4.0, 8.0, 16.0]) == (8, True)
    assert step_of(place, 8 * place + 12, 10, [4.0, 8.0, 16.0]) == (8, False)  # lies a cell beside
    assert step_of(place, 8 * place + 4, 10, [7.95, 8.05])[1] is False  # two fit
    assert step_of(place, 11 * place, 10, [4.0, 8.0, 16.0])[1] is False
    assert step_of(place[:1], place[:1], 1, [4.0, 8.0]) == (8, True)
    assert Change(merged=((5, 7),)).steps(0, [16.0], 3) == [32]
    assert Change(resized=(5, 7)).steps(1, [16.0], 14) == [8]
    assert Change((2, 2)).steps(1, [4.0, 8.0], 9) == [8, 16]
