"""Data sets of one thing: lesions of ISIC, and cracks."""

from collections.abc import Callable
from pathlib import Path

from pixelwise.data.listing import is_hidden
from pixelwise.data.published.layout import Content, Layout, first_of, splits, two_values
from pixelwise.data.reading import MASK_SUFFIXES
from pixelwise.errors import InputError

ISIC = {
    "isic-2016": {
        "train": (
            "ISBI2016_ISIC_Part1_Training_Data|ISIC-2016_Training_Data",
            "ISBI2016_ISIC_Part1_Training_GroundTruth|ISIC-2016_Training_Part1_GroundTruth",
        ),
        "test": (
            "ISBI2016_ISIC_Part1_Test_Data|ISIC-2016_Test_Data",
            "ISBI2016_ISIC_Part1_Test_GroundTruth|ISIC-2016_Test_Part1_GroundTruth",
        ),
    },
    "isic-2017": {
        split: (f"ISIC-2017_{theirs}_Data", f"ISIC-2017_{theirs}_Part1_GroundTruth")
        for split, theirs in (("train", "Training"), ("val", "Validation"), ("test", "Test_v2"))
    },
    "isic-2018": {
        split: (f"ISIC2018_Task1-2_{theirs}_Input", f"ISIC2018_Task1_{theirs}_GroundTruth")
        for split, theirs in (("train", "Training"), ("val", "Validation"), ("test", "Test"))
    },
}
PICTURES = "image|images|img|imgs|Images"
MASKS = "groundTruth|groundtruth|gt|GT|mask|masks|label|labels|seg|annotations"
PAIRED = "train_img|train_images|train/images|train/image|train/img|train/Images"
PAIRED_MASKS = "train_lab|train_labels|train_masks|train/masks|train/mask|train/labels|train/gt"


def _isic(key: str) -> Callable[[Path], Content]:
    def describe(root: Path) -> Content:
        """Lesions are white; without pictures for val, a tenth of those of train are."""
        places = {
            split: (_there(root, pictures), _there(root, masks))
            for split, (pictures, masks) in ISIC[key].items()
        }
        content = splits(root, places)
        if "val" not in content:
            content["split"] = {"val": 0.1, "seed": 0}
        masks = root / places["train"][1]
        ending = "_segmentation.png"
        if not any(masks.glob(f"*{ending}")) and any(masks.glob("*_Segmentation.png")):
            ending = "_Segmentation.png"
        return {**content, "masks": {"*.jpg": f"*{ending}"}, **two_values("lesion")}

    return describe


def cracks(root: Path) -> Content:
    """Cracks are white; without folders of splits, a fifth of the pictures is val."""
    pictures, masks = (
        first_of(root, f"{PICTURES}|{PAIRED}"),
        first_of(root, f"{MASKS}|{PAIRED_MASKS}"),
    )
    inside = [file for file in (root / masks).rglob("*") if not is_hidden(file.relative_to(root))]
    suffixes = {file.suffix.lower() for file in inside if file.is_file()}
    if ".mat" in suffixes and not suffixes & MASK_SUFFIXES:
        raise InputError(
            f"{root / masks}: holds MATLAB files, which are not read; save what they call"
            " Segmentation as PNG, with 0 where it is 1 and 255 where it is 2 (crack)"
        )
    places = {
        split: (pictures.replace("train", split), masks.replace("train", split))
        for split in ("train", "val", "test")
    }
    alone = pictures.replace("train", "test") == pictures
    content = splits(root, {"train": (pictures, masks)} if alone else places)
    if "val" not in content:
        content["split"] = {"val": 0.2, "seed": 0}
    return {**content, **two_values("crack")}


def _there(root: Path, alternatives: str) -> str:
    found = [place for place in alternatives.split("|") if (root / place).is_dir()]
    return (found or alternatives.split("|"))[0]


LAYOUTS_HERE = {
    **{
        key: Layout(f"lesions of {key.replace('-', ' ').upper()}", places["train"], _isic(key))
        for key, places in ISIC.items()
    },
    "crackforest": Layout(
        "cracks, as CrackForest and DeepCrack lie on disk",
        (f"{PICTURES}|{PAIRED}", f"{MASKS}|{PAIRED_MASKS}"),
        cracks,
        loose=True,
    ),
}
