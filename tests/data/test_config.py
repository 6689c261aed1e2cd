"""data.yaml: what it may say, and what it answers to what it may not."""

import pytest

from pixelwise.data.classes import Classes, default_palette, parse_colour
from pixelwise.data.config import DataConfig
from pixelwise.data.opening import open_data
from pixelwise.errors import InputError

YAML = "train: train/images\nval: val/images\nnames: {0: ground, 1: roof, 2: tree}\n"


@pytest.fixture
def load(tmp_path, write_data):
    def write_and_load(yaml):
        write_data(count=1)
        (tmp_path / "data.yaml").write_text(yaml)
        return DataConfig.load(tmp_path / "data.yaml")

    return write_and_load


def test_reads_everything(load, tmp_path):
    config = load(
        YAML + 'map: {0: 0, 7: 1, "#FF8000": 2, 9: ignore}\npalette: ["#000000", [1, 2, 3], '
        '"#ffffff"]\nbands: [2, 0]\nscale: 4095\nignore_index: 200\n',
    )
    assert config.classes == Classes(
        ("ground", "roof", "tree"), ((0, 0, 0), (1, 2, 3), (255, 255, 255)), 200
    )
    assert config.values.values == {0: 0, 7: 1, 9: 200}
    assert config.values.colours == {(255, 128, 0): 2}
    assert (config.bands, config.scale) == ((2, 0), 4095.0)
    assert config.splits == ("train", "val")
    assert config.folders("val") == (tmp_path / "val/images", tmp_path / "val/masks")


def test_names_may_be_a_list_and_colours_have_a_default(load):
    config = load("train: train/images\nnames: [a, b]\n")
    assert config.classes.names == ("a", "b")
    assert config.classes.palette == default_palette(2)
    assert config.classes.ignore_index == 255


def test_masks_lie_where_images_is_replaced(tmp_path):
    for folder in ("images/train", "labels/train"):
        (tmp_path / folder).mkdir(parents=True)
    file = tmp_path / "data.yaml"
    file.write_text("train: images/train\nmasks_dir: labels\nnames: [a, b]\n")
    masks = DataConfig.load(file).folders("train")[1]
    assert masks == tmp_path / "labels/train"


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        (YAML.replace("train:", "trian:"), "key='trian': unknown key; did you mean 'train'"),
        (YAML + "map: {0: 0, 255: 3}\n", "map: sends 255 to 3; write a class id from 0 to 2"),
        (YAML + "map: {0: 0, 255: true}\n", "map: sends 255 to True"),
        (YAML + 'map: {"#12": 0}\n', 'must be "#rrggbb" or three numbers'),
        (YAML + 'palette: ["#000000"]\n', "has 1 colours for 3 classes"),
        (
            YAML + "palette: [[0, 0, 256], [0, 0, 1], [0, 0, 2]]\n",
            'must be "#rrggbb" or three numbers',
        ),
        (YAML + "bands: [0, -1]\n", "bands=[0, -1]: must list"),
        (YAML + "scale: 0\n", "scale=0: must be a number above 0"),
        (YAML + "ignore_index: 2\n", "ignore_index=2: must not be a class id"),
        (YAML + "ignore_index: x\n", "ignore_index='x': must be a whole number"),
        (YAML + "masks_dir: labels\n", "train: its masks should be in"),
        (YAML.replace("val/images", "vol/images"), "val: its pictures should be in"),
        ("train: train/images\nnames: {0: a, 2: b}\n", "must number the classes from 0 to 1"),
        ("train: train/images\nnames: [a]\n", "names=['a']: must be at least two"),
        ("train: train/images\nnames: [a, a]\n", "'a' occurs twice"),
        ("train: train/images\n", "names=None: must list the classes"),
        ("train: [x, 3]\nnames: [a, b]\n", "must be a folder, or a list of some"),
        ("names: [a, b]\n", "no split"),
        ("- 1\n", "has no `key: value` lines"),
        ("map: {#ff0000: 1}\n", "colours and other signs need quotes"),
    ],
)
def test_says_what_is_wrong_and_where(load, tmp_path, yaml, message):
    with pytest.raises(InputError) as caught:
        load(yaml)
    assert message in str(caught.value)
    assert str(tmp_path / "data.yaml") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        DataConfig.load(tmp_path / "data.yaml")
    with pytest.raises(InputError, match=r"neither data\.yaml nor classes\.csv"):
        open_data(tmp_path)
    with pytest.raises(InputError, match="nothing there"):
        open_data(tmp_path / "nothing")


def test_default_palette_has_distinct_colours():
    assert len(set(default_palette(150))) == 150
    assert default_palette(3) == default_palette(150)[:3]


def test_parse_colour():
    assert parse_colour("#0a0B0c") == (10, 11, 12) == parse_colour([10, 11, 12])
