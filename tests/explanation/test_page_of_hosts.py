"""Pages of attention with heads, of networks without attention, and of many maps at once."""

import dataclasses
import io
import re
from html import unescape

import numpy as np
import pytest
import torch
from made import explanation, layer_map
from PIL import Image

from pixelwise.explanation.page.numbers import numbers
from pixelwise.explanation.page.page import save
from pixelwise.explanation.page.tints import LEVELS, legend, tinted
from pixelwise.explanation.page.wording import grouped
from pixelwise.explanation.result import ClassMap, Reach, ReceptiveField


def host(name="blocks.0.attn", heads=12, **fields):
    rows = torch.rand(heads, 5, 7, generator=torch.Generator().manual_seed(0)).flatten(1)
    found = rows.softmax(1).view(heads, 5, 7) * 0.88
    values = {"heads": found, "apart": 0.12, "proof": 3.2e-7, **fields}
    return layer_map(name, "Attention", spatial=found.mean(0), **values)


def written(path, *findings):
    return save(list(findings), path / "page.html").read_text("utf-8")


def field(*reaches, own=0.25, size=(40, 56)):
    values = torch.zeros(size)
    values[18:23, 28:33] = 1 / 25
    return ReceptiveField(values, own, reaches, 0.5, 2_000_000)


def test_heads_are_folded_and_the_proof_is_printed(tmp_path):
    page = unescape(written(tmp_path, explanation(host(), host("b", proof=0.0, apart=0.001))))
    assert page.count("<details>") == 2
    assert "<details open" not in page
    assert page.count("<summary>12 heads</summary>") == 2
    assert "head 11</b><span>peak" in page
    assert "weights \N{MULTIPLICATION SIGN} values = output to 3e-7" in page
    assert "weights \N{MULTIPLICATION SIGN} values = output, to the last bit" in page
    assert "12 % of the weight is on tokens that are no pixels: class token, registers" in page
    assert "0.1 % of the weight" in page
    assert "peak" in page
    assert ">proof<" in page
    plain = written(tmp_path, explanation(layer_map()))
    assert "<details" not in plain
    assert ">proof<" not in plain
    assert "proof" in numbers(explanation(host()))["layers"][0]
    assert numbers(explanation(host()))["layers"][0]["heads"] == 12


def test_the_peak_is_where_it_is(tmp_path):
    spatial = torch.full((4, 8), 0.02)
    spatial[2, 5] = 0.4
    found = layer_map("a", "Attention", spatial=spatial)
    page = unescape(written(tmp_path, explanation(found)))  # cells of 10 x 7 pixels
    mean = (0.02 * 31 + 0.4) / 32
    assert (
        f"peak {0.4 / mean:.3g} \N{MULTIPLICATION SIGN} mean at row 25, column 38; mean {mean:.3g}"
        in page
    )
    beyond = dataclasses.replace(found, covers=(160.0, 224.0))
    assert "beyond the picture's edge" in unescape(written(tmp_path, explanation(beyond)))


def test_a_network_without_attention_is_said_to_have_none(tmp_path):
    half, most = Reach(0.5, 11.4, 0.051), Reach(0.9, 30.2, 0.4)
    maps = tuple(
        ClassMap(method, "4", 1, "car", torch.rand(5, 7), 0.1, 10)
        for method in ("gradient", "occlusion")
    )
    found = explanation(
        receptive=field(half, most), class_maps=maps, notes=("No <b>: it has none.",)
    )
    page = unescape(written(tmp_path, found))
    assert "<title>What the network's answer depends on</title>" in page
    assert (
        "used no attention that could be shown. What is shown are the effective receptive field, "
        "the gradient map and the occlusion map, which are not attention"
    ) in page
    assert "within 11 pixels (5.1 % of the picture), nine tenths from within 30 (40 %)" in page
    assert page.count('r="11.40"') == page.count('r="30.20"') == 2
    assert "No <b>: it has none." in page
    found = explanation(receptive=field(Reach(0.5, None, 0.03), Reach(0.9, None, 0.2), own=0.0))
    page = unescape(written(tmp_path, found))
    assert "half of the influence comes from 3 % of the picture's pixels, nine tenths" in page
    assert "<circle" not in page
    found = explanation(receptive=field(Reach(0.5, None, 0.01), Reach(0.9, None, 0.01), own=1.0))
    assert "depends on this pixel alone" in written(tmp_path, found)
    assert "no attention that could be shown.</p>" in written(tmp_path, explanation())
    assert numbers(found)["receptive_field"]["own"] == 1
    assert (found.save(tmp_path / "a.png")).stat().st_size > 1000


def test_beside_attention_the_receptive_field_has_a_place_of_its_own(tmp_path):
    found = explanation(host(), receptive=field(Reach(0.5, 3.0, 0.1), Reach(0.9, 9.0, 0.3)))
    page = unescape(written(tmp_path, found))
    assert "<title>Where the network looks</title>" in page
    assert "<h3>Without attention</h3>" in page
    assert "That could be shown" not in page


def test_many_heads_of_many_pixels_are_a_small_page(tmp_path):
    heads = torch.rand(12, 64, 128, generator=torch.Generator().manual_seed(0))
    heads = heads.flatten(1).softmax(1).view_as(heads)
    maps = [host(f"blocks.{i}", heads=1) for i in range(6)]
    maps = [dataclasses.replace(m, spatial=heads.mean(0), heads=heads) for m in maps]
    first = explanation(*maps, size=(1024, 2048))
    page = written(tmp_path, first, dataclasses.replace(first, at=(900, 1900)))
    assert len(page) < 4e6  # half the layers, two pixels, and noise, which no file makes smaller
    assert len(re.findall(r"data:image/jpeg", page)) == 2  # the picture, in colour and in grey


@pytest.mark.parametrize(
    ("values", "signed", "sparse"),
    [
        (np.eye(5), False, True),
        (np.linspace(-1, 2, 12).reshape(3, 4), True, False),
        (np.full((3, 3), np.nan), False, False),
        (np.array([[np.nan, 1.0], [2.0, 3.0]]), False, False),
        (np.zeros((1, 1)), False, True),
        (np.full((2, 2), 1e-30), False, False),
        (np.random.default_rng(0).random((300, 700)), False, False),
    ],
)
def test_any_map_has_colours(values, signed, sparse):
    found = tinted(values)
    assert (found.signed, found.sparse) == (signed, sparse)
    picture = np.array(Image.open(io.BytesIO(found.png)).convert("RGBA"))
    assert picture.shape[:2] == tuple(min(side, 256) for side in values.shape)
    hidden = ~np.isfinite(values) | (sparse & (values == 0))
    if values.size < 100:
        assert ((picture[..., 3] == 0) == hidden).all()


def test_larger_maps_are_averaged_and_small_ones_keep_their_values():
    values = np.linspace(0, 1, 64).reshape(8, 8)
    levels = np.array(Image.open(io.BytesIO(tinted(values).png)))
    assert (np.diff(levels.ravel().astype(int)) >= 0).all()
    assert levels.max() == LEVELS - 1
    halved = np.array(Image.open(io.BytesIO(tinted(values, most=4).png)))
    wanted = values.reshape(4, 2, 4, 2).mean((1, 3))
    assert (np.argsort(halved.ravel()) == np.argsort(wanted.ravel())).all()
    assert Image.open(io.BytesIO(legend(True))).size == (LEVELS, 1)


def test_layers_that_are_not_shown_for_one_reason_share_a_line():
    notes = [f"blocks.{i}: it weighs channels" for i in range(5)]
    assert grouped([*notes, "x: other: thing", notes[0], "No map."]) == [
        "blocks.0, blocks.1, blocks.2 and 2 more: it weighs channels",
        "x: other: thing",
        "No map.",
    ]
    assert grouped([]) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1)])
def test_pictures_of_any_shape(tmp_path, size):
    found = explanation(host(), size=size, at=(0, 0))
    assert f'viewBox="0 0 {size[1]} {size[0]}"' in written(tmp_path, found)
