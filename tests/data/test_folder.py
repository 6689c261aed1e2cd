"""Data sets on disk: pairs, values, and faults found with the file's name."""

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from pixelwise.data.normalise import measure_statistics
from pixelwise.data.opening import open_data
from pixelwise.errors import InputError


def save_mask(folder, values, name="p0.png", split="train"):
    Image.fromarray(np.asarray(values)).save(folder / split / "masks" / name)


def test_opens_folder_and_file_alike(write_data, tmp_path):
    write_data()
    for spec in (tmp_path, tmp_path / "data.yaml", str(tmp_path)):
        source = open_data(spec)
        assert (source.bands, source.scale, source.band_numbers) == (3, 255.0, None)
        assert source.splits == ("train", "val")
        assert len(source.split("train")) == 3
    with pytest.raises(InputError, match="has no 'test' split; add"):
        source.split("test")
    with pytest.raises(InputError, match="did you mean 'train'"):
        source.split("trian")


def test_item_is_picture_and_ids(write_data, tmp_path):
    write_data()
    sample = open_data(tmp_path).split("val")[1]
    picture = np.array(Image.open(tmp_path / "val/images/p1.png"))
    mask = np.array(Image.open(tmp_path / "val/masks/p1.png"))
    assert sample.image.dtype == torch.uint8
    assert sample.mask.dtype == torch.int64
    assert (sample.image.numpy() == np.moveaxis(picture, 2, 0)).all()
    assert (sample.mask.numpy() == mask).all()
    assert sample.name == str(tmp_path / "val/images/p1.png")


def test_map_of_numbers_and_ignore(write_data, tmp_path):
    write_data(more="map: {10: 0, 20: 2, 255: 1, 30: ignore}\n", values=(10, 20, 255, 30))
    raw = np.array(Image.open(tmp_path / "train/masks/p0.png"))
    mask = open_data(tmp_path).split("train")[0].mask.numpy()
    for value, target in ((10, 0), (20, 2), (255, 1), (30, 255)):
        assert (mask[raw == value] == target).all()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L"])
def test_map_of_colours(write_data, tmp_path, mode):
    write_data(more='map: {"#000000": 1, "#808080": 0, "#ffffff": ignore}\n', size=(2, 3))
    grey = Image.fromarray(np.array([[0, 128, 255], [255, 0, 0]], np.uint8))
    image = grey.quantize(3) if mode == "P" else grey.convert(mode)
    image.save(tmp_path / "train/masks/p0.png")
    mask = open_data(tmp_path).split("train")[0].mask
    assert mask.tolist() == [[1, 0, 255], [255, 1, 1]]


def test_palette_png_gives_indices(write_data, tmp_path):
    write_data(size=(2, 2))
    image = Image.fromarray(np.array([[0, 1], [2, 255]], np.uint8))
    image.putpalette(list(np.random.default_rng(0).integers(0, 256, 768, np.uint8)))
    image.save(tmp_path / "train/masks/p0.png")
    assert open_data(tmp_path).split("train")[0].mask.tolist() == [[0, 1], [2, 255]]


def test_grey_values_in_a_colour_mask(write_data, tmp_path):
    write_data(size=(2, 2))
    save_mask(tmp_path, np.repeat(np.array([[[0], [1]], [[2], [1]]], np.uint8), 3, axis=2))
    pictures = open_data(tmp_path).split("train")
    assert pictures[0].mask.tolist() == [[0, 1], [2, 1]]
    save_mask(tmp_path, np.full((2, 2, 3), (1, 2, 3), np.uint8))
    with pytest.raises(InputError, match=r"p0.png: is coloured.*`map:`"):
        pictures[0]


def test_palette_of_the_yaml_reads_coloured_masks(write_data, tmp_path):
    write_data(more='palette: ["#000000", "#ff0000", "#00ff00"]\n', size=(1, 2))
    save_mask(tmp_path, np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8))
    assert open_data(tmp_path).split("train")[0].mask.tolist() == [[1, 2]]


def test_sixteen_bit_masks(write_data, tmp_path):
    write_data(more="map: {1000: 1, 0: 0, 65535: ignore}\n", size=(1, 3))
    save_mask(tmp_path, np.array([[1000, 0, 65535]], np.uint16))
    assert open_data(tmp_path).split("train")[0].mask.tolist() == [[1, 0, 255]]


def test_values_that_mean_nothing(write_data, tmp_path):
    write_data()
    values = np.zeros((12, 16), np.uint8)
    values[0, :5], values[1, 0] = 192, 3
    save_mask(tmp_path, values)
    with pytest.raises(InputError) as caught:
        open_data(tmp_path).split("train").check()
    for part in ("p0.png", "3 (1 pixels), 192 (5 pixels)", "data.yaml", "3: ignore"):
        assert part in str(caught.value)


def test_colours_that_mean_nothing(write_data, tmp_path):
    write_data(more='map: {"#000000": 1}\n', size=(1, 2))
    save_mask(tmp_path, np.array([[[0, 0, 0], [0, 16, 255]]], np.uint8))
    with pytest.raises(InputError, match=r'"#0010ff" \(1 pixels\)'):
        open_data(tmp_path).split("train")[0]


def test_mask_of_another_size(write_data, tmp_path):
    write_data()
    save_mask(tmp_path, np.zeros((12, 15), np.uint8))
    with pytest.raises(InputError, match=r"p0.png: 12 x 15 .*p0.png has 12 x 16"):
        open_data(tmp_path).split("train").check()


@pytest.mark.parametrize("kind", ["images", "masks"])
def test_truncated_file(write_data, tmp_path, kind):
    write_data(size=(64, 64))
    file = tmp_path / "train" / kind / "p1.png"
    file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(InputError, match=f"{file}.*cannot be read"):
        open_data(tmp_path).split("train").check()


def test_missing_double_and_no_masks(write_data, tmp_path):
    write_data()
    (tmp_path / "train/masks/p1.png").rename(tmp_path / "train/masks/q1.png")
    with pytest.raises(InputError, match=r"data.yaml: .*p1.png has no mask; it should be .*p1.png"):
        open_data(tmp_path)
    (tmp_path / "train/masks/q1.png").rename(tmp_path / "train/masks/p1.png")
    save_mask(tmp_path, np.zeros((12, 16), np.uint8), "p1.bmp")
    with pytest.raises(InputError, match=r"several masks; keep one of p1.bmp and p1.png"):
        open_data(tmp_path)
    (tmp_path / "train/masks/p1.bmp").unlink()
    Image.new("RGB", (16, 12)).save(tmp_path / "train/images/p1.jpg")
    with pytest.raises(InputError, match="have the same mask"):
        open_data(tmp_path)


def test_empty_split(write_data, tmp_path):
    write_data(count=0)
    with pytest.raises(InputError, match=r"data.yaml: 'train' has no picture in"):
        open_data(tmp_path)


def test_check_counts_pixels_and_reports_progress(write_data, tmp_path):
    write_data()
    calls = []
    found = (
        open_data(tmp_path).split("train").check(lambda done, total: calls.append((done, total)))
    )
    masks = [np.array(Image.open(f)) for f in (tmp_path / "train/masks").iterdir()]
    assert found.counts == tuple(int((np.stack(masks) == c).sum()) for c in range(3))
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_check_finds_a_class_taken_for_ignored(write_data, tmp_path):
    write_data(values=(0, 255))
    with pytest.raises(InputError, match=r"class 'ground' or ignored.*map: \{0: 0, 255: 1\}"):
        open_data(tmp_path).split("train").check()


def test_values_that_are_not_finite_are_ignored_counted_and_told(write_data, tmp_path):
    write_data(size=(3, 4))
    for split in ("train", "val"):
        for i in range(3):
            (tmp_path / split / f"images/p{i}.png").unlink()
            values = np.arange(12, dtype=np.float32).reshape(3, 4)
            values[1, 2] = np.inf if i else np.nan
            tifffile.imwrite(tmp_path / split / f"images/p{i}.tif", values)
    pictures = open_data(tmp_path).split("train")
    assert pictures[0].mask[1, 2] == 255
    found = pictures.check()
    assert (found.missing, found.pictures_missing) == (3, 3)
    assert "3 of 36 pixels without data in 3 pictures" in " ".join(found.lines(("a", "b", "c")))
    assert found.values.most == 11
    assert measure_statistics(pictures)[0][0] == pytest.approx(60 / 11)


def test_bands_and_scale_come_from_the_pictures_or_the_yaml(write_data, tmp_path):
    write_data(size=(4, 5), more="bands: [4, 1]\nscale: 4095\n")
    values = np.random.default_rng(0).integers(0, 4096, (5, 4, 5), np.uint16)
    for split in ("train", "val"):
        for i in range(3):
            (tmp_path / split / f"images/p{i}.png").unlink()
            tifffile.imwrite(tmp_path / split / f"images/p{i}.tif", values)
    source = open_data(tmp_path)
    assert (source.bands, source.scale, source.band_numbers) == (2, 4095.0, (4, 1))
    image = source.split("train")[0].image
    assert image.dtype == torch.uint16
    assert (image.numpy() == values[[4, 1]]).all()
    yaml = tmp_path / "data.yaml"
    yaml.write_text(yaml.read_text().split("bands")[0])
    source = open_data(tmp_path)
    assert (source.bands, source.scale) == (5, 65535.0)


def test_pictures_of_mixed_types(write_data, tmp_path):
    write_data()
    Image.fromarray(np.zeros((12, 16), np.uint8)).save(tmp_path / "train/images/p0.png")
    pictures = open_data(tmp_path).split("train")
    assert pictures[0].image.shape == (3, 12, 16)
    Image.fromarray(np.zeros((12, 16), np.uint16)).save(tmp_path / "train/images/p2.png")
    with pytest.raises(InputError, match=r"p2.png: holds uint16"):
        pictures[2]


def test_class_table(write_data, tmp_path):
    write_data(size=(2, 2))
    (tmp_path / "data.yaml").unlink()
    (tmp_path / "classes.csv").write_text(
        "id,name,r,g,b\n0,ground,1,1,1\n1,Void,0,0,0\n2,roof,9,8,7\n"
    )
    save_mask(tmp_path, np.array([[0, 1], [2, 255]], np.uint8))
    save_mask(tmp_path, np.array([[[1, 1, 1], [0, 0, 0]], [[9, 8, 7]] * 2], np.uint8), "p1.png")
    source = open_data(tmp_path)
    assert source.classes.names == ("ground", "roof")
    assert source.classes.palette == ((1, 1, 1), (9, 8, 7))
    assert source.splits == ("train", "val")
    pictures = source.split("train")
    assert pictures[0].mask.tolist() == [[0, 255], [1, 255]]
    assert pictures[1].mask.tolist() == [[0, 255], [1, 1]]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("id,title,r,g,b\n0,a,0,0,0\n", "has no column 'name'"),
        ("id,name,r,g,b\n0,a,0,0,0\n0,b,1,1,1\n", "line 3: id=0: occurs twice"),
        ("id,name,r,g,b\n0,a,0,0,300\n", "line 2: colour=\\[0, 0, 300\\]: must be"),
        ("id,name,r,g,b\nx,a,0,0,3\n", "line 2: invalid literal"),
        ("id,name,r,g,b\n0,a,0,0,0\n", "names=\\['a'\\]: must be at least two"),
    ],
)
def test_class_table_faults(tmp_path, table, message):
    file = tmp_path / "classes.csv"
    file.write_text(table)
    with pytest.raises(InputError, match=message) as caught:
        open_data(file)
    assert str(file) in str(caught.value)


def test_camvid(real_data):
    source = open_data(real_data("camvid"))
    assert len(source.classes) == 11
    assert "void" not in source.classes.names
    pictures = source.split("train")
    assert (len(pictures), len(source.split("val"))) == (367, 101)
    mask = np.array(Image.open(real_data("camvid/train/masks/0001TP_006690.png")))
    sample = pictures[0]
    assert sample.image.shape == (3, 360, 480)
    assert (sample.mask.numpy() == np.where(mask == 11, 255, mask)).all()


def test_kampala_share_of_buildings(real_data):
    pictures = open_data(real_data("kampala_buildings")).split("val")
    ground, building = pictures.check().counts
    assert building / (ground + building) == pytest.approx(0.25, abs=0.01)
