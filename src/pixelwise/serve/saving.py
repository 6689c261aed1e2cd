"""Edited masks as training data: the picture, its mask and a data.yaml that `train` opens.

A file appears whole or not at all, never in place of another, and a picture never without its
mask: the mask comes first, and its name is then the picture's, too.
"""

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jaxtyping import Shaped
from numpy import ndarray

from pixelwise import yaml_files
from pixelwise.data.classes import Colour
from pixelwise.data.config import DataConfig
from pixelwise.data.mask_names import MaskNames
from pixelwise.data.places import fixed_part, is_list
from pixelwise.data.reading import PICTURE_SUFFIXES
from pixelwise.data.values import ValueMap
from pixelwise.errors import InputError
from pixelwise.networks.model import Model
from pixelwise.pictures import write_index_png
from pixelwise.serve.answers import none_of
from pixelwise.serve.uploads import plain_stem
from pixelwise.tasks.class_masks import ClassMasks

FILE = "data.yaml"
TRIES = 10_000


class Collection:
    """A data set that grows by edited masks.

    Args:
        folder: Where it lies, or will lie after the first mask.
        names: Of the classes.
        palette: Their colours.
        none: Mask value of what does not count.
        bands: Which bands of the pictures the network takes; None: all.

    Raises:
        InputError: Something else lies there, or a data set of other classes.
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],
        palette: Sequence[Colour],
        none: int,
        bands: Sequence[int] | None = None,
    ) -> None:
        self.folder, self.none = folder, none
        self._names, self._palette = tuple(names), tuple(palette)
        self._bands = None if bands is None else tuple(bands)
        if folder.exists() and not folder.is_dir():
            raise InputError(f"save_to={str(folder)!r}: must be a folder; choose another --save-to")
        if (folder / FILE).exists():
            self._check()
        elif folder.is_dir() and any(not p.name.startswith(".") for p in folder.iterdir()):
            raise InputError(
                f"save_to={str(folder)!r}: holds other files and no {FILE}; choose a new folder"
            )

    def add(
        self, picture: Path, name: str, mask: Shaped[ndarray, "h w"], suffix: str | None = None
    ) -> dict[str, str]:
        """Add a picture, as it is, and its mask; returns the names of the files.

        Args:
            picture: The file to copy.
            name: What the new files are named after.
            mask: Class of every pixel, `none` where nothing is said.
            suffix: Of the picture, where the file's own is none.

        Raises:
            InputError: A mask with other values, or a folder that cannot be written.
        """
        try:
            images, masks = self._folders()
            part = masks / f".{secrets.token_hex(8)}.part"
            write_index_png(part, mask, self._palette, ignore_index=self.none)
            stem = self._claimed(part, plain_stem(name), images, masks)
            target = images / f"{stem}{suffix or picture.suffix.lower()}"
            copied = images / f".{secrets.token_hex(8)}.part"
            try:
                copied.write_bytes(picture.read_bytes())
                _appear(copied, target)
            finally:
                copied.unlink(missing_ok=True)
        except OSError as error:
            told = error.strerror or str(error)
            raise InputError(
                f"{self.folder}: cannot be written ({told}); choose another --save-to"
            ) from error
        return {
            "picture": target.relative_to(self.folder).as_posix(),
            "mask": f"{masks.relative_to(self.folder).as_posix()}/{stem}.png",
            "data": FILE,
        }

    def _claimed(self, part: Path, stem: str, images: Path, masks: Path) -> str:
        """Give the mask the first free name of its kind."""
        try:
            for number in range(1, TRIES):
                name = stem if number == 1 else f"{stem}_{number}"
                if any((images / f"{name}{end}").exists() for end in PICTURE_SUFFIXES):
                    continue
                with suppress(FileExistsError):
                    _appear(part, masks / f"{name}.png")
                    return name
        finally:
            part.unlink(missing_ok=True)
        raise InputError(f"{self.folder}: has {TRIES} files named {stem}; rename the picture")

    def _folders(self) -> tuple[Path, Path]:
        if (self.folder / FILE).exists():
            return self._check().folders("train")
        images, masks = self.folder / "images", self.folder / "masks"
        images.mkdir(parents=True, exist_ok=True)
        masks.mkdir(exist_ok=True)
        content: dict[str, Any] = {
            "path": ".",
            "train": "images",
            "split": {"val": 0.2},
            "names": dict(enumerate(self._names)),
            "palette": ["#{:02x}{:02x}{:02x}".format(*colour) for colour in self._palette],
            "ignore_index": self.none,
        }
        if self._bands is not None:
            content["bands"] = list(self._bands)
        part = self.folder / f".{secrets.token_hex(8)}.part"
        try:
            part.write_text(yaml_files.to_text(content), encoding="utf-8")
            with suppress(FileExistsError):  # another process was quicker
                _appear(part, self.folder / FILE)
        finally:
            part.unlink(missing_ok=True)
        return self._check().folders("train")

    def _check(self) -> DataConfig:
        """The data set that is there, where masks of these classes fit.

        Raises:
            InputError: They do not.
        """
        config = DataConfig.load(self.folder / FILE)
        classes, where = config.classes, f"{self.folder / FILE}"
        if config.quantities or config.overlapping or classes.names != self._names:
            there = ", ".join(classes.names[:8])
            raise InputError(
                f"{where}: has other classes ({there}) than the network; choose another --save-to"
            )
        plain = ValueMap.identity(classes, "").values
        if any(config.values.values.get(number) != plain[number] for number in plain):
            raise InputError(f"{where}: its `map:` changes class numbers; choose another --save-to")
        if classes.ignore_index != self.none:
            raise InputError(
                f"{where}: has ignore_index {classes.ignore_index}, masks from here have"
                f" {self.none}; choose another --save-to"
            )
        place = config.train
        one = isinstance(place, str) and fixed_part(place) == place and not is_list(place)
        if not one or config.mask_names != MaskNames():
            raise InputError(
                f"{where}: its training pictures are not one folder; choose another --save-to"
            )
        return config


def collection_for(model: Model, folder: Path) -> Collection:
    """The data set of edited masks for a network.

    Raises:
        InputError: It has no masks of classes, or something else lies there.
    """
    task = model.task
    if not isinstance(task, ClassMasks):
        raise InputError(
            f"save_to={str(folder)!r}: masks of task {model.config.task!r} are not edited here;"
            " leave --save-to out"
        )
    none = none_of(task.count)
    return Collection(folder, task.names, task.palette[: task.count], none, model.config.bands)


def _appear(part: Path, target: Path) -> None:
    """Give a finished file its name.

    Raises:
        FileExistsError: There is one of that name.
    """
    try:
        os.link(part, target)
        part.unlink()
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if target.exists():
            raise FileExistsError(target) from None
        part.replace(target)
