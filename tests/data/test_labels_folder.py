"""Masks of labels that overlap: files, bands and colours, what they mean, and what is refused."""

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pixelwise.data.opening import open_data
from pixelwise.errors import InputError

HEAD = "train: images\nval: images\nnames: [road, 标线]\n"
SIZE = (12, 16)
ROAD = np.zeros(SIZE, np.uint8)
ROAD[:, 2:10] = 1
MARK = np.zeros(SIZE, np.uint8)
MARK[3:6, 4:12] = 1
TRUTH = torch.from_numpy(np.stack([ROAD, MARK]).astype(np.int64))
COLOURS = (
    'overlapping: colours\ncolours: {"#ff0000": road, "#0000ff": [标线], "#ffff00": [标线, road]}\n'
)


def data(base, text, **masks):
    """A data set of one picture; masks are path below masks/ -> array or writer of the path."""
    (base / "images").mkdir(exist_ok=True)
    (base / "masks").mkdir(exist_ok=True)
    values = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    Image.fromarray(values).save(base / "images" / "p0.png")
    for place, content in masks.items():
        file = base / "masks" / place
        file.parent.mkdir(parents=True, exist_ok=True)
        save(file, content)
    (base / "data.yaml").write_text(HEAD + text, encoding="utf-8")
    return base


def save(file, content):
    if callable(content):
        content(file)
    elif file.suffix == ".npy":
        np.save(file, content)
    elif file.suffix == ".tif":
        tifffile.imwrite(file, content, photometric="minisblack")
    else:
        Image.fromarray(content).save(file)


def masks_of(base):
    return open_data(base).split("train")[0].mask


def files(road=ROAD, mark=MARK, suffix="png"):
    return {f"road/p0.{suffix}": road, f"标线/p0.{suffix}": mark}


def one_bit(file):
    Image.fromarray(ROAD == 1).convert("1").save(file)


def with_alpha(file):
    grey = np.repeat(ROAD[..., None] * 255, 3, 2)
    Image.fromarray(np.dstack([grey, np.full(SIZE, 200, np.uint8)])).save(file)


@pytest.mark.parametrize(
    "road",
    [
        ROAD,
        ROAD * 255,
        one_bit,
        with_alpha,
        np.repeat(ROAD[..., None] * 255, 3, 2),
        ROAD.astype(np.uint16),
    ],
)
def test_a_file_per_label_in_every_usual_form(tmp_path, road):
    mark = MARK * (1 if isinstance(road, np.ndarray) and road.max() == 1 else 255)
    mark = MARK if road is one_bit else mark
    source = open_data(data(tmp_path, "overlapping: files\n", **files(road, mark)))
    assert (source.kind, source.classes.names) == ("labels", ("road", "标线"))
    mask = source.split("train")[0].mask
    assert mask.dtype == torch.int64
    assert torch.equal(mask, TRUTH)


def test_names_of_files_follow_a_pattern_and_may_be_beside_the_pictures(tmp_path):
    text = 'overlapping: files\nmasks_dir: images\nmasks: "*_{name}"\n'
    base = data(tmp_path, text)
    save(base / "images" / "p0_road.png", ROAD)
    np.save(base / "images" / "p0_标线.npy", MARK == 1)
    assert len(open_data(base).split("train")) == 1
    assert torch.equal(masks_of(base), TRUTH)


def test_a_folder_per_picture_and_subfolders(tmp_path):
    base = data(tmp_path, 'overlapping: files\nmasks: "*/{name}.png"\n')
    (base / "images" / "city").mkdir()
    (base / "images" / "p0.png").rename(base / "images" / "city" / "a.png")
    for name, mask in (("road", ROAD), ("标线", MARK)):
        file = base / "masks" / "city" / "a" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        save(file, mask)
    assert torch.equal(masks_of(base), TRUTH)


def test_folders_of_labels_may_be_links_and_names_any_text(tmp_path):
    base = data(tmp_path, "overlapping: files\n", **files())
    (base / "masks" / "road").rename(base / "real")
    (base / "masks" / "*").symlink_to(base / "real")
    (base / "data.yaml").write_text("train: images\nnames: ['*', 标线]\noverlapping: files\n")
    assert torch.equal(masks_of(base), TRUTH)


@pytest.mark.parametrize(("missing", "value"), [("empty", 0), ("ignore", 255)])
def test_absent_files_mean_what_is_written(tmp_path, missing, value):
    text = f"overlapping: files\nmissing_masks: {missing}\n"
    base = data(tmp_path, text, **{"road/p0.png": ROAD})
    mask = masks_of(base)
    assert torch.equal(mask[0], TRUTH[0])
    assert (mask[1] == value).all()
    split = open_data(base).split("train")
    if missing == "empty":
        assert any(
            "1 of 2 files of labels are absent" in x for x in split.check().lines(("a", "b"))
        )
    else:
        with pytest.raises(InputError, match="标线 is known at no pixel"):
            split.check()


@pytest.mark.parametrize("suffix", ["tif", "npy"])
def test_a_band_per_label(tmp_path, suffix):
    pair = np.stack([ROAD, MARK]) if suffix == "tif" else np.dstack([ROAD, MARK])
    base = data(tmp_path, "overlapping: bands\n", **{f"p0.{suffix}": pair})
    assert torch.equal(masks_of(base), TRUTH)


def test_the_bits_of_a_colour_picture_are_bands(tmp_path):
    rgb = 255 * np.dstack([ROAD, MARK, ROAD & MARK])
    base = data(tmp_path, "overlapping: bands\n", **{"p0.png": rgb})
    (base / "data.yaml").write_text(HEAD.replace("标线]", "标线, 都]") + "overlapping: bands\n")
    assert torch.equal(masks_of(base)[:2], TRUTH)
    assert torch.equal(masks_of(base)[2], TRUTH[0] & TRUTH[1])


def colour_mask():
    rgb = np.zeros((*SIZE, 3), np.uint8)
    rgb[ROAD == 1] = (255, 0, 0)
    rgb[MARK == 1] = (0, 0, 255)
    rgb[(ROAD & MARK) == 1] = (255, 255, 0)
    return rgb


def palette_mask(file):
    Image.fromarray(colour_mask()).quantize(8).save(file)


@pytest.mark.parametrize("mask", [colour_mask(), palette_mask])
def test_a_colour_per_combination(tmp_path, mask):
    assert torch.equal(masks_of(data(tmp_path, COLOURS, **{"p0.png": mask})), TRUTH)


def test_a_colour_may_be_ignored(tmp_path):
    rgb = colour_mask()
    rgb[0, 0] = 128
    text = COLOURS.replace("colours: {", 'colours: {"#808080": ignore, ')
    mask = masks_of(data(tmp_path, text, **{"p0.png": rgb}))
    assert (mask == 255).nonzero().tolist() == [[0, 0, 0], [1, 0, 0]]


def test_nodata_and_ignored_values_count_for_their_label_alone(tmp_path):
    road, mark = ROAD.astype(np.float32), MARK.copy()
    road[0, 0], mark[1, 1] = np.nan, 7

    def tagged(file):
        tifffile.imwrite(file, mark, extratags=[(42113, 2, 0, "7", True)])

    masks = {"road/p0.tif": road, "标线/p0.tif": tagged}
    mask = masks_of(data(tmp_path, "overlapping: files\n", **masks))
    assert (mask == 255).nonzero().tolist() == [[0, 0, 0], [1, 1, 1]]


def test_255_is_ignored_where_that_is_written(tmp_path):
    road = ROAD.copy()
    road[0] = 255
    for text in ("ignore_index: 255\n", "map: {0: 0, 1: 1, 255: ignore}\n"):
        mask = masks_of(data(tmp_path, "overlapping: files\n" + text, **files(road)))
        assert (mask[0, 0] == 255).all()
        assert torch.equal(mask[:, 1:], TRUTH[:, 1:])


def test_nothing_is_known_where_the_picture_has_no_data(tmp_path):
    base = data(tmp_path, "overlapping: files\n", **files())
    values = np.full((*SIZE, 4), 255, np.uint8)
    values[2, 3, 3] = 0
    Image.fromarray(values).save(base / "images" / "p0.png")
    assert (masks_of(base) == 255).nonzero().tolist() == [[0, 2, 3], [1, 2, 3]]


def test_checking_tells_shares_and_what_may_not_be_meant(tmp_path):
    base = data(tmp_path, "overlapping: files\n", **files())
    lines = open_data(base).split("train").check().lines(("road", "标线"))
    assert lines[0] == "masks   road 50 % (in 1 pictures), 标线 12.5 % (in 1 pictures)"
    assert "9.38 % of all pixels have several labels" in lines[1]
    for mark, told in (
        (ROAD, "the same masks in all pictures"),
        (ROAD * 0, "labels without a pixel: 1 of 2 (标线)"),
        (ROAD * 0 + 1, "标线 is at every pixel of all masks"),
        (1 - ROAD, "no pixel has two labels"),
    ):
        base = data(tmp_path, "overlapping: files\n", **files(mark=mark))
        lines = open_data(base).split("train").check().lines(("road", "标线"))
        assert any(told in line for line in lines), lines


def jpeg(file):
    Image.fromarray(ROAD * 255).save(file, "JPEG")


def half(file):
    Image.fromarray(np.random.default_rng(0).integers(0, 2, SIZE, np.uint8)).save(file)
    file.write_bytes(file.read_bytes()[:70])


def half_npy(file):
    np.save(file, ROAD)
    file.write_bytes(file.read_bytes()[:150])


@pytest.mark.parametrize(
    ("text", "masks", "told"),
    [
        ("files", {"road/p0.png": ROAD}, "标线/p0.png"),
        ("files", {}, "has no mask"),
        ("files\nmissing_masks: empty", {}, "no picture of 'train' has any mask"),
        ("files", files(mark=MARK[:, :-1]), "12 x 15 pixels"),
        ("files", files(mark=MARK * 7), "other than 0 and 1, or 0 and 255: 7 (24 pixels)"),
        (
            "files\nmap: {0: 0, 1: 1}",
            files(mark=MARK * 7),
            "map: {7: ignore}",
        ),
        ("files", files(mark=MARK * 0.5, suffix="tif"), "0.5 (24 pixels); save 0 and 1"),
        ("files", files(mark=MARK.astype(np.uint16) * 65535), "65535"),
        ("files", files(mark=MARK * 255), "both 1 and 255"),
        ("files", files(mark=jpeg), "JPEG"),
        ("files", {"road/p0.png": ROAD, "标线/p0.jpg": jpeg}, "is a JPEG"),
        ("files", files(mark=half), "cannot be read"),
        ("files", files(mark=half_npy, suffix="npy"), "cannot be read"),
        ("files", files(mark=colour_mask()), "is coloured"),
        ("files", files(mark=np.dstack([MARK] * 2), suffix="npy"), "has 2 bands"),
        ("files", {**files(), "road/p0.tif": ROAD}, "keep one of p0.png and p0.tif"),
        ("bands", {"p0.tif": ROAD}, "has 1 bands, but names has 2"),
        ("bands", {"p0.npy": np.stack([ROAD, MARK])}, "rows, columns, labels"),
        ("bands", {"p0.npy": np.dstack([ROAD, MARK * 1j])}, "complex128"),
        ("bands", {}, "has no mask"),
        (COLOURS, {"p0.png": colour_mask() // 2}, '"#00007f" (6 pixels), "#7f0000"'),
        (COLOURS, {"p0.png": ROAD.astype(np.uint16) * 300}, "16 bits"),
        (COLOURS, {"p0.png": jpeg}, "JPEG"),
        (COLOURS, {"p0.tif": 0 * ROAD[:-1]}, "11 x 16 pixels"),
    ],
)
def test_masks_that_cannot_be_meant_are_told_in_a_line(tmp_path, text, masks, told):
    text = text if text.startswith("overlapping") else f"overlapping: {text}\n"
    base = data(tmp_path, text, **masks)
    with pytest.raises(InputError) as error:
        open_data(base).split("train").check()
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("overlapping: yes", "must be files"),
        ("overlapping: file", "must be files"),
        ("overlapping: files\nvalues: [depth]", "values: is for numbers"),
        ("overlapping: files\nlabels: a.csv", "labels: is for points"),
        ("overlapping: files\nlayout: cityscapes", "layout"),
        ("overlapping: bands\nmissing_masks: empty", "missing_masks: is for"),
        ("overlapping: bands\ncolours: {}", "colours: is for"),
        ("overlapping: files\nmissing_masks: zero", "must be error, empty, ignore"),
        ("overlapping: files\nmasks: '*_mask.png'", "one {name}"),
        ("overlapping: files\nmap: {0: 0, 255: 2}", "sends 255 to 2"),
        ("overlapping: files\nmap: {'#ff0000': 1}", "no whole number"),
        ("overlapping: files\nignore_index: 1", "ignore_index=1"),
        ("overlapping: colours", "colours=None"),
        ("overlapping: colours\ncolours: {'#ff0000': rod, '#00ff00': 标线}", "did you mean 'road'"),
        ("overlapping: colours\ncolours: {'#ff0000': road}", "none means '标线'"),
        ("overlapping: colours\ncolours: {'#ff0000': [road, road]}", "twice"),
        ("overlapping: colours\ncolours: {'#ff0000': road, '#FF0000': 标线}", "twice"),
        ("overlapping: colours\ncolours: {red: road}", "#rrggbb"),
        ("overlapping: colours\ncolours: {[255, 0, 0]: road}", "quotes"),
        ("colours: {'#ff0000': road}", "add `overlapping:`"),
        ("missing_masks: empty", "add `overlapping:`"),
    ],
)
def test_a_wrong_data_yaml_is_told_in_a_line(tmp_path, text, told):
    base = data(tmp_path, text + "\n", **files())
    with pytest.raises(InputError) as error:
        open_data(base)
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("names", ["[road, road]", "{0: a, 2: b}", "[]", "[yes, no]", "road"])
def test_names_that_cannot_be_are_refused(tmp_path, names):
    base = data(tmp_path, "overlapping: files\n", **files())
    (base / "data.yaml").write_text(f"train: images\nnames: {names}\noverlapping: files\n")
    with pytest.raises(InputError, match="name"):
        open_data(base)


def test_one_label_is_enough(tmp_path):
    base = data(tmp_path, "overlapping: files\n", **files())
    (base / "data.yaml").write_text("train: images\nnames: [road]\noverlapping: files\n")
    assert torch.equal(masks_of(base), TRUTH[:1])
