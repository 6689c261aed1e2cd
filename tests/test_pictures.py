import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.errors import InputError
from pixelwise.pictures import (
    coloured,
    comparison,
    confusion_matrix,
    curves,
    displayable,
    legend,
    map_overlay,
    overlay,
    png,
    side_by_side,
    triptych,
    write_bytes,
    write_index_png,
    wrong_pixels,
)
from pixelwise.pictures.attention import Parts, attention_panels, shortened
from pixelwise.pictures.evidence import channel_gates, deletion_curves
from pixelwise.pictures.overlays import Panel

PALETTE = ((0, 0, 0), (230, 159, 0), (86, 180, 233))
NAMES = ("background", "house", "water")


def opened(content):
    return np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def same_pixels(a, b):
    return a.shape == b.shape and bool((a == b).all())


def test_8_bit_bands_are_shown_as_they_are():
    image = torch.randint(0, 256, (4, 5, 6), dtype=torch.uint8)
    assert (displayable(image) == image[:3].permute(1, 2, 0).numpy()).all()
    assert (displayable(image[:1]) == image[0, ..., None].numpy()).all()
    assert displayable(image[:2]).shape == (5, 6, 3)


@pytest.mark.parametrize("dtype", [torch.uint16, torch.float32])
def test_other_bands_are_stretched_each_for_itself(dtype):
    ramp = torch.arange(1000.0).reshape(20, 50)
    picture = displayable(torch.stack([ramp, ramp * 10, ramp * 0, ramp]).to(dtype))
    assert picture[..., 0].min() == 0
    assert picture[..., 0].max() == 255
    assert abs(int(picture[10, 0, 0]) - 127) <= 2  # the middle stays the middle
    assert np.abs(picture[..., 0].astype(int) - picture[..., 1]).max() <= 1
    assert (picture[..., 2] == 0).all()


def test_values_that_are_not_finite_are_black():
    image = torch.rand(1, 4, 4)
    image[0, 0] = torch.nan
    image[0, 1, 0] = torch.inf
    picture = displayable(image)
    assert (picture[0] == 0).all()
    assert picture.max() == 255
    assert (displayable(torch.full((1, 2, 2), torch.nan)) == 0).all()


def test_index_png_holds_class_numbers_and_colours(tmp_path):
    mask = np.array([[0, 1, 2], [2, 255, 0]])
    write_index_png(tmp_path / "new" / "mask.png", mask, PALETTE)
    image = Image.open(tmp_path / "new" / "mask.png")
    assert image.mode == "P"
    assert (np.array(image) == mask).all()
    colours = np.array(image.convert("RGB"))
    assert tuple(colours[0, 2]) == PALETTE[2]
    assert tuple(colours[1, 1]) == (127, 127, 127)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["mask.png"]


def test_index_png_writes_any_ignore_index_as_255(tmp_path):
    write_index_png(tmp_path / "m.png", np.array([[1, 65535]]), PALETTE, ignore_index=65535)
    assert np.array(Image.open(tmp_path / "m.png")).tolist() == [[1, 255]]


@pytest.mark.parametrize("value", [3, -1, 254])
def test_class_without_colour_is_refused(tmp_path, value):
    mask = np.array([[0, value]])
    with pytest.raises(InputError, match=f"class {value}, but the palette has 3"):
        write_index_png(tmp_path / "m.png", mask, PALETTE)
    with pytest.raises(InputError, match=f"class {value}"):
        coloured(mask, PALETTE)


def test_more_classes_than_a_palette_holds_take_16_bits(tmp_path):
    mask = np.array([[0, 255, 299, 65535]])
    write_index_png(tmp_path / "m.png", mask, [(0, 0, 0)] * 300, ignore_index=65535)
    with Image.open(tmp_path / "m.png") as image:
        assert (np.array(image) == mask).all()
    with pytest.raises(InputError, match="holds 65535 classes, not 65536"):
        write_index_png(tmp_path / "m.png", mask, [(0, 0, 0)] * 65536)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match=r"mask\.png: cannot be written"):
        write_bytes(tmp_path / "file" / "mask.png", b"")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_bytes(tmp_path / "old", b"new")  # a folder is in the way
    assert [file.name for file in tmp_path.iterdir()] == ["old"]


def test_overlay_mixes_and_outlines():
    image = np.full((4, 4, 3), 100, np.uint8)
    mask = np.array([[0, 0, 1, 1]] * 4)
    mixed = overlay(image, mask, PALETTE, 0.5)
    assert mixed[0, 0].tolist() == [50, 50, 50]
    assert mixed[0, 3].tolist() == [165, 130, 50]
    assert mixed[0, 1].tolist() == [0, 0, 0]  # the last column of class 0 is its outline
    assert same_pixels(overlay(image, np.zeros((4, 4), int), PALETTE, 0.0), image)


def test_ignored_pixels_are_striped_even_where_a_class_is_grey():
    mask = np.full((16, 16), 255)
    found = {tuple(colour) for colour in coloured(mask, [(127, 127, 127)]).reshape(-1, 3).tolist()}
    assert found == {(127, 127, 127), (255, 255, 255)}


def test_wrong_pixels_stand_out_by_lightness():
    image = np.full((8, 8, 3), 255, np.uint8)
    truth, prediction = np.zeros((8, 8), int), np.zeros((8, 8), int)
    prediction[0, 0] = 1
    truth[7] = 255
    prediction[7] = 1
    picture = wrong_pixels(image, truth, prediction).astype(int)
    bright = picture.sum(2) > 400
    assert bright[0, 0]
    assert bright.sum() == 1


def test_panels_keep_their_pixels_under_their_labels():
    a, b = np.full((20, 30, 3), 7, np.uint8), np.full((10, 40, 3), 9, np.uint8)
    sheet = side_by_side({"first": a, "second": b})
    top = len(sheet) - 20
    assert same_pixels(sheet[top:, :30], a)
    assert same_pixels(sheet[top : top + 10, 38:], b)
    assert (sheet[:top, :30] < 100).any()  # some text


def test_legend_wraps_and_shows_each_colour():
    entries = {f"{i} class": (i, 100, 0) for i in range(20)}
    narrow, wide = legend(entries, 300), legend(entries, 3000)
    assert narrow.shape[1] == 300
    assert len(narrow) > 2 * len(wide)
    shown = set(map(tuple, wide.reshape(-1, 3).tolist()))
    assert set(entries.values()) <= shown


@pytest.mark.parametrize("size", [(1, 1), (9, 14), (700, 300)])
def test_triptych_of_any_size_shows_the_classes_present(size):
    image = np.full((*size, 3), 50, np.uint8)
    truth, prediction = np.full(size, 1), np.full(size, 2)
    sheet = triptych(image, truth, prediction, NAMES, PALETTE)
    shown = set(map(tuple, sheet.reshape(-1, 3).tolist()))
    assert {PALETTE[1], PALETTE[2], (50, 50, 50)} <= shown
    assert 480 <= sheet.shape[0] + sheet.shape[1] < 2100


def test_comparison_has_a_panel_per_prediction():
    image, mask = np.zeros((48, 48, 3), np.uint8), np.zeros((48, 48), int)
    two = comparison(image, mask, {"a": mask, "b": mask}, NAMES, PALETTE)
    one = comparison(image, mask, {"a": mask}, NAMES, PALETTE)
    assert two.shape[1] == one.shape[1] + 488


def rows(count, **columns):
    return [{"step": i, **{k: f(i) for k, f in columns.items()}} for i in range(count)]


def test_curves_have_a_panel_per_recorded_column():
    loss = rows(300, loss=lambda i: 1 / (1 + i))
    both = rows(30, loss=lambda i: str(1 / (1 + i)), miou=lambda i: "" if i % 10 else 0.5)
    one, two = opened(curves({"run": loss})), opened(curves({"run": both, "other": loss}))
    assert two.shape[1] > 1.5 * one.shape[1]
    empty = curves({"run": [{"step": 0, "loss": None}]})
    assert opened(empty).min() < 255


def test_curves_average_long_runs_and_keep_short_ones():
    from pixelwise.pictures.charts import _points

    points = _points(rows(1000, loss=float), "step", "loss", 1.0)
    assert len(points) == 200
    assert points[0] == (2.0, 2.0)
    assert _points(rows(3, loss=float), "step", "loss", 100.0) == [(0, 0), (1, 100), (2, 200)]


def test_confusion_matrix_normalises_rows_and_marks_absent_ones():
    scaled = opened(confusion_matrix(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 5]]), NAMES))
    same = opened(confusion_matrix(np.array([[300, 100, 0], [0, 0, 0], [0, 0, 5]]), NAMES))
    other = opened(confusion_matrix(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 5]]), NAMES))
    assert same_pixels(scaled, same)
    assert not same_pixels(scaled, other)


def test_confusion_matrix_takes_many_classes_and_odd_names():
    matrix = np.eye(40, dtype=int)
    assert opened(confusion_matrix(matrix, [f"$class_{i}^" for i in range(40)])).size


@pytest.mark.parametrize("at", [None, (3, 11)])
def test_map_overlay_marks_the_query(at):
    image = np.full((12, 16, 3), 200, np.uint8)
    weights = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    picture = opened(map_overlay(image, weights, at))
    plain = opened(map_overlay(image, weights))
    assert same_pixels(picture, plain) == (at is None)


def test_map_overlay_takes_a_flat_map():
    image = np.zeros((4, 4, 3), np.uint8)
    assert opened(map_overlay(image, np.ones((1, 1), np.float32), (0, 0))).size


def panel(values, title="layer"):
    return Panel(title, np.asarray(values, np.float32), "weight")


@pytest.mark.parametrize(
    ("size", "columns"), [((30, 40), 3), ((20, 60), 2), ((60, 30), 4)], ids=["4:3", "wide", "tall"]
)
def test_panels_wrap_so_that_none_is_tiny(size, columns):
    image = np.full((*size, 3), 128, np.uint8)
    one, two = (
        opened(attention_panels(image, (3, 4), "car", [panel(np.eye(4))] * count)).shape
        for count in (columns - 1, columns)  # the picture itself is one panel
    )
    assert one[1] == two[1] == 1500  # 10 inches
    assert 1.8 * one[0] < two[0] < 2 * one[0]


def test_panels_hold_parts_in_rows_of_their_own():
    image = np.full((30, 40, 3), 128, np.uint8)
    plain = opened(attention_panels(image, (3, 4), "car", [panel(np.eye(4))]))
    parts = [Parts("made of", (panel(np.eye(4)), panel(np.eye(3))))]
    more = opened(attention_panels(image, (3, 4), "car", [panel(np.eye(4))], parts))
    assert more.shape[0] > 1.4 * plain.shape[0]
    assert opened(attention_panels(image, (0, 0), None, [], [])).size


def tint(image, values, at=(0, 0)):
    """How far each pixel of the map's panel is from grey."""
    sheet = opened(attention_panels(image, at, None, [panel(values)])).astype(int)
    inside = sheet[75:312, 26:346]  # title and colour bar lie around it
    return inside.max(2) - inside.min(2)


def test_a_sparse_map_tints_only_what_it_holds():
    image = np.full((60, 80, 3), 128, np.uint8)
    cross = np.zeros((30, 40))
    cross[12], cross[:, 30] = 0.3, 0.3
    share = (tint(image, cross) > 40).mean()
    assert 0.02 < share < 0.15
    assert (tint(image, np.full((30, 40), 0.3) + cross) > 20).mean() > 0.8


def test_one_outlier_does_not_hide_the_rest():
    image = np.full((60, 80, 3), 128, np.uint8)
    ramp = np.linspace(0, 1, 1200, dtype=np.float32).reshape(30, 40)
    outlier = ramp.copy()
    outlier[0, -1] = 1000
    change = np.abs(tint(image, ramp, (55, 5)) - tint(image, outlier, (55, 5)))
    assert (change > 12).mean() < 0.05


def test_nearly_equal_values_share_few_colours():
    image = np.full((60, 80, 3), 128, np.uint8)
    noise = np.random.default_rng(0).random((30, 40))
    assert tint(image, 1 + 0.001 * noise).std() < 0.2 * tint(image, 0.5 + noise).std()


@pytest.mark.parametrize("values", [[[0.0]], [[-1.0, 2.0]], [[0.0, 0.0], [0.0, 0.0]]])
def test_panels_take_any_map(values):
    image = np.zeros((4, 4, 3), np.uint8)
    assert opened(attention_panels(image, (0, 0), "$a_$", [panel(values, "$b^{" * 40)])).size


def test_long_names_lose_their_beginning():
    assert shortened("backbone.layer4.conv", 20) == "backbone.layer4.conv"
    assert shortened("backbone.layer4.conv", 13) == "…layer4.conv"
    assert shortened("backbone.layer4.conv", 12) == "…layer4.conv"


def test_gates_of_any_number_of_channels_have_one_size():
    sizes = {opened(channel_gates(np.linspace(0, 1, c))).shape for c in (1, 64, 65, 2048)}
    assert len(sizes) == 1
    shuffled = np.random.default_rng(0).permutation(np.linspace(0, 1, 512))
    assert same_pixels(
        opened(channel_gates(shuffled)), opened(channel_gates(np.linspace(0, 1, 512)))
    )
    assert opened(channel_gates(np.zeros(3))).size


def test_deletion_curves_show_both_orders():
    shares, down, level = (0.0, 0.5, 1.0), (0.9, 0.1, 0.0), (0.9, 0.8, 0.7)
    a = opened(deletion_curves(shares, down, [level, down]))
    b = opened(deletion_curves(shares, level, [down, down], marked=0.5))
    assert a.shape == b.shape
    assert not same_pixels(a, b)
    assert opened(deletion_curves(shares, down, [])).size


def test_png_is_lossless():
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert same_pixels(opened(png(picture)), picture)


def test_matplotlib_is_not_imported_before_a_chart_is_drawn():
    code = "import pixelwise.pictures, sys; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
