"""A smaller edition of a folder data set: pictures and masks at a fraction of their size.

python studies/reduced.py CAMVID OUT --by 3

Pictures are averaged over blocks, of masks the pixel nearest to a block's middle is taken.
"""

import argparse
import shutil
from pathlib import Path

from PIL import Image


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--by", type=int, default=3)
    options = parser.parse_args()
    for file in sorted(options.data.rglob("*")):
        target = options.out / file.relative_to(options.data)
        if file.suffix not in (".png", ".jpg"):
            if file.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, target)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        picture = Image.open(file)
        size = tuple(side // options.by for side in picture.size)
        mask = "mask" in str(file.parent) or "label" in str(file.parent)
        way = Image.Resampling.NEAREST if mask else Image.Resampling.BOX
        picture.resize(size, way).save(target, **({"quality": 95} if file.suffix == ".jpg" else {}))


if __name__ == "__main__":
    main()
