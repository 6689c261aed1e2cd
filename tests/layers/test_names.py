"""What people type for a layer: one is found, or all that it could be are told."""

import functools
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

import pixelwise
from pixelwise import naming, notes
from pixelwise.errors import InputError
from pixelwise.insertion.insert import insert
from pixelwise.layers.aliases import MORE, SHARED
from pixelwise.layers.elsewhere import ELSEWHERE
from pixelwise.layers.plans import read_plan
from pixelwise.layers.registry import all_names, available, create, create_layer, resolve
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.factory import create_model
from pixelwise.train.saved import SETTINGS, read_settings
from pixelwise.train.settings import TrainSettings

NAMES = """
    psa_s PSA_s PSA-S; psa_p PSA_p PSAp; isa ISA_Module ISA_Block ISANet; cbam CBAM
    coord coordinate_attention CoordAtt; deform dcn DCNv2 ModulatedDeformConv2dPack
    pam PAM_Module PAM; cam CAM_Module CAM; spd space_to_depth SPD-Conv SPDConv
    gc CB2d ContextBlock GCNet
    nonlocal NONLocalBlock2D NonLocal2d NL; scse SCSEModule; eca ECA-Net eca_layer
    crisscross CC_module RCCA CrissCrossAttention CC; ema ema EMAU EMANet emanet; se SELayer SENet
    gate GridAttentionBlock2D; ocr SpatialOCR_Module; encoding EncModule; bam BAM; acmix ACmix
    acmix_window WindowAttention_acmix; fpa FPABlock; gau GAUBlock; dnl DisentangledNonLocal2d
    psanet PSANet; self_attention SelfAttentionBlock2D SelfAttention self-attention
    se SqueezeExcite SE_attention SEBlock SE注意力 SE注意力机制 挤压激励; eca 高效通道注意力
    coord 坐标注意力 CoordAttentionModule; cbam CBAM_attention 卷积块注意力模块
    pam 位置注意力 DANet_position_attention position_attention
    nam NAMAttention NAM; gam GAM_Attention GAMAttention 全局注意力机制; cpca CPCA CPCANet
    shuffle SANet SA-Net sa_layer shuffle_attention ShuffleAttention 洗牌注意力; scsa SCSA
    ela ELA EfficientLocalAttn 高效局部注意力; external EANet External_attention 外部注意力
    double A2Net A²-Nets A2-Nets DoubleAttention double_attention; nam 基于归一化的注意力; mlca MLCA
    emsa 高效多尺度注意力 EfficientMultiScaleAttention; caa PKINet; triplet 三重注意力
    sge SpatialGroupEnhance; sk SKNet SKConv SKAttention 选择性核
    simam simam_module 无参注意力 SimAM:_A_Simple,_Parameter-Free_Attention_Module
    psa_s sequential_polarised_self_attention; crisscross 十字交叉注意力 criss_cross_block
    hamburger NMF2D LightHam; focal FocalNet; axial 轴向注意力 axial_attention; agent 代理注意力
    cga EfficientViT 级联分组注意力 LocalWindowAttention
    natten NA DiNAT NeighborhoodAttention2D 邻域注意力; msda DilateFormer 多尺度空洞注意力
    biformer BiFormer BRA 双层路由注意力 bi_level_routing_attention
    dat DAT DAttention deformable_attention_transformer
    hamburger HAM NMF; ela EfficientLocalizationAttention; scsa SCSAttention
    ss2d VMamba VSSM S6 VSS
"""


@pytest.mark.parametrize("line", [part for row in NAMES.split("\n") for part in row.split(";")])
def test_names_of_papers_and_reference_classes_are_found(line):
    key, *names = line.split() or [""]
    assert all(resolve(name) == key for name in names)


@pytest.mark.parametrize("key", available())
def test_a_layer_is_found_by_its_title_in_any_spelling(key):
    title = available()[key].title
    for name in (
        title,
        title.upper(),
        title.replace(" ", "_"),
        title.replace(" ", "-"),
        f" {key} ",
    ):
        assert resolve(name) == key


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("Squeeze-and-Excitation Networks", "se"),
        ("Coordinate Attention for Efficient Mobile Network Design", "coord"),
        ("CBAM: Convolutional Block Attention Module", "cbam"),
        ("GCNet: what the second edition calls it", "gc"),
        ("Deformable ConvNets v2", "deform"),
    ],
)
def test_a_layer_is_found_by_the_title_of_its_paper(title, key):
    assert resolve(title) == key


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("PSA", ("'psa_p'", "'psa_s'", "'psanet'", "EPSANet", "YOLO")),
        ("EMA", ("'emsa' (Efficient multi-scale attention", "'ema' (", "write 'emsa' or 'EM")),
        ("EMA attention", ("'ema'", "'emsa' (Efficient multi-scale attention")),
        ("DA", ("'cam'", "'pam'", "'double'", "'dat'")),
        ("CA", ("'cam'", "'coord'", "CBAM", "cross-attention")),
        ("SA", ("'self_attention'", "'shuffle'", "CBAM")),
        ("DANet", ("'cam'", "'pam'")),
        ("CCA", ("'crisscross'", "UCTransNet")),
        ("GCT", ("gated channel transformation", "Gaussian context", "nearest here: 'se'")),
        ("ChannelAttention", ("'cam'", "'se'", "CBAM")),
        ("SpatialAttention", ("'pam'", "CBAM")),
        ("polarized self-attention", ("'psa_p'", "'psa_s'")),
        ("Polarised_Self_Attention_module", ("'psa_p'", "'psa_s'")),
        ("极化自注意力", ("'psa_p'", "'psa_s'")),
        ("双重注意力", ("'pam'", "'cam'", "'double'")),
        ("Dual Attention Network for Scene Segmentation", ("'pam'", "'cam'")),
        ("Mamba", ("'ss2d'", "Vision Mamba")),
        ("focal attention", ("'focal'", "Focal Transformer")),
    ],
)
def test_a_name_of_several_mechanisms_lists_them(name, candidates):
    with pytest.raises(InputError, match=": could be ") as caught:
        create(name, 8)
    told = str(caught.value)
    assert told.startswith(f"layer={name!r}: ")
    assert all(candidate in told for candidate in candidates)
    assert "\n" not in told
    assert "; " in told


MISSING = """
    outlook lambda halo aft afnb
    DCNv3 HaloNet EPSA MHSA ASPP ResNeSt FcaNet 窗口注意力
    Lambda_Layer Vision_Mamba Vim Strip_Block Strip_R-CNN D-LKA Focal_Transformer
"""


@pytest.mark.parametrize("name", MISSING.split())
def test_a_mechanism_that_is_not_here_gets_no_wrong_hint(name):
    with pytest.raises(InputError, match="is not in this version; nearest here: '") as caught:
        create(name, 8)
    assert "did you mean" not in str(caught.value)


def test_what_is_misspelt_is_told_of_what_is_not_here_too():
    with pytest.raises(
        InputError, match=r"unknown layer; did you mean halo attention \(2021\), which is not"
    ):
        resolve("HaloNett")
    with pytest.raises(InputError, match="did you mean residual attention network"):
        resolve("Residual Attention Network for Image Classification")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "names no layer; known: acmix"),
        ("  ", "names no layer; known: acmix"),
        ("---", "names no layer; known: acmix"),
        ("еmа", "with a CYRILLIC SMALL LETTER IE in its name; did you mean 'ema'?"),  # noqa: RUF001
        ("se\n8", "'se\\n8': unknown layer; did you mean 'se'?"),
        ("x" * 1000, "x...: unknown layer; known: acmix"),
        ("zzz", "unknown layer; known: acmix"),
        (5, "layer=5: is no name; give that of a layer as text"),
        (None, "layer=None: is no name; "),
        (["se"], "layer=['se']: is no name; "),
        (nn.Conv2d, "is no name; "),
        (torch.zeros(2, 2), "layer=tensor([[0., 0.], [0., 0.]]): is no name; "),
    ],
)
def test_what_is_no_name_gets_one_line(name, told):
    with pytest.raises(InputError) as caught:
        naming.resolve("layer", name, all_names())
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wide_letters_are_letters():
    assert resolve("\uff33\uff25") == "se"


def test_a_layers_class_stands_for_its_key():
    layer = create_layer(available()["se"], 8, reduction=4)
    assert type(layer) is available()["se"]


def test_a_name_is_either_here_or_listed_as_missing():
    """Who adds a layer that is listed as missing takes its entry out of `elsewhere`."""
    keys = [one.key for one in ELSEWHERE]
    assert all(keys)
    assert len({*keys}) == len(keys)
    known = all_names().known
    here = {naming.folded(n) for k, one in known.items() for n in (k, one.title, *one.names)}
    for one in ELSEWHERE:
        assert not {naming.folded(name) for name in one.all_names} & here, one.title
        assert {*one.near} <= {*known}, one.title
        assert one.paper, one.title
        assert one.line, one.title


def test_shared_names_speak_of_what_is_known():
    known = {*available(), *(one.key for one in ELSEWHERE)}
    for name, keys in SHARED.items():
        assert len({*keys}) == len(keys) > 1, name
        assert {*keys} <= known, name
    assert {*MORE} <= {*available()}
    assert len({naming.folded(name) for name in SHARED}) == len(SHARED)


def test_no_name_of_one_layer_is_by_accident_that_of_another():
    shared = {naming.folded(name) for name in SHARED}
    of = {}
    for key, one in all_names().known.items():
        for name in (key, one.title, *one.names[: -1 if " " in one.names[-1] else None]):
            of.setdefault(naming.folded(name), set()).add(key)
    assert [name for name, keys in of.items() if len(keys) > 1 and name not in shared] == []


def test_a_layer_that_is_added_takes_its_short_names_with_it():
    """Nothing but the entry in `elsewhere` has to go when a layer comes."""
    names = all_names()
    left = [one for one in ELSEWHERE if one.key != "emsa"]
    known = {**names.known, "emsa": naming.Known("Efficient multi-scale attention", 2023, ("E",))}
    later = names._replace(known=known, elsewhere=left)
    assert naming.resolve("layer", "efficient_multi_scale_attention", later) == "emsa"
    assert naming.resolve("layer", "ema", later) == "ema"
    with pytest.raises(InputError, match=r"could be 'emsa' \(.*\), 'ema' \(.*write 'emsa' or 'EMA"):
        naming.resolve("layer", "EMA", later)
    assert "which is 'emsa' here; write 'EMANet'" in naming.mistaken("ema", later)


@pytest.fixture
def noted(monkeypatch):
    """The notes of this test, as if nothing had been told in this process."""
    monkeypatch.setattr(notes, "_told", set())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def test_a_key_that_most_take_for_something_else_is_noted_once(noted):
    create_layer("ema", 16)
    create_layer("ema", 16)
    (one,) = noted
    assert one.category is notes.AmbiguousName
    assert not Path(one.filename).is_relative_to(Path(notes.__file__).parent)
    told = str(one.message)
    assert told.startswith("layer='ema': is Expectation-maximization attention (2019); most people")
    assert told.endswith("; write 'EMANet' to be understood without this note")
    assert "\n" not in told


def test_a_note_raised_as_an_error_is_raised_again(noted):
    warnings.simplefilter("error")
    for _ in range(2):
        with pytest.raises(notes.AmbiguousName):
            create_layer("ema", 16)


def test_who_names_it_without_doubt_gets_no_note(noted):
    create_layer("emanet", 16)
    create_layer("ema", 16)  # known by now
    create("ema", 16)
    functools.partial(create_layer, "psa_s")(16)
    for key in available():
        resolve(key)
    assert noted == []


def test_only_ema_is_noted():
    names = all_names()
    assert [key for key in available() if naming.is_taken_for_another(key, names)] == ["ema"]
    assert naming.taken_for("cam", names)  # and yet DANet's is what most mean


@pytest.mark.parametrize(
    "door",
    [
        lambda: create_model("fcn", "resnet18", num_classes=2, attention="ema@4"),
        lambda: insert(nn.Sequential(nn.Conv2d(3, 16, 1)), {"0": "ema"}),
        lambda: read_plan("se@3, ema(bases=8)@4", "attention"),
        lambda: TrainSettings(data="scenes", attention="ema"),
    ],
    ids=["create_model", "insert", "plan", "settings"],
)
def test_every_door_notes(noted, door):
    door()
    assert [one.category for one in noted] == [notes.AmbiguousName]
    assert "='ema': is Expectation-maximization" in str(noted[0].message)


def test_what_is_loaded_is_not_noted(noted, tmp_path):
    model = create_model("fcn", "resnet18", num_classes=2, attention="EMANet@4")
    model.config.save(tmp_path / "config.json")
    assert '"attention": "ema@stage4"' in (tmp_path / "config.json").read_text()
    (tmp_path / SETTINGS).write_text("data: scenes\nattention: ema@4\ninsert: ema@backbone.stem\n")
    notes._told.clear()
    ModelConfig.load(tmp_path / "config.json")
    notes._told.clear()
    read_settings(tmp_path)
    assert noted == []


def test_what_is_kept_has_the_one_key():
    settings = TrainSettings(
        data="scenes", attention="Coordinate Attention@3", insert="SELayer@a.b"
    )
    assert settings.attention == "coord@stage3"
    assert settings.insert == "se@a.b"
    model = create_model(
        "fcn", "resnet18", num_classes=2, attention={3: {"name": "SqueezeExcite", "reduction": 8}}
    )
    assert model.config.plain()["attention"] == "se(reduction=8)@stage3"
    host = nn.Sequential(nn.Conv2d(3, 16, 1))
    report = insert(host, "SE(reduction=8)@0")
    assert [(place.key, dict(place.options)) for place in report.places] == [
        ("se", {"reduction": 8})
    ]
    report.remove()
    with pytest.raises(InputError, match="insert='PSA': could be 'psa_s'"):
        insert(host, "PSA@0")
    with pytest.raises(InputError, match=r"attention='ge': gather-excite \(2018\) is not"):
        create_model("fcn", "resnet18", num_classes=2, attention="ge@4")
    with pytest.raises(InputError, match="convolution='DCNv3': deformable convolution v3"):
        create_model("fcn", "resnet18", num_classes=2, convolution="DCNv3@4")


def test_the_public_door_is_the_one_that_notes():
    assert pixelwise.create_layer is create_layer
