"""What is served: one network or two of the same classes, a list of pictures, the open ones."""

import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from pixelwise.data.reading import PICTURE_SUFFIXES
from pixelwise.errors import InputError
from pixelwise.networks.model import Model
from pixelwise.pictures import png
from pixelwise.predict.images import read_picture
from pixelwise.serve.answers import answer, class_map, pixel
from pixelwise.serve.decoding import MEGAPIXELS, check_claims
from pixelwise.serve.described import check_alike, described
from pixelwise.serve.kept import Kept, Open
from pixelwise.serve.saving import Collection
from pixelwise.serve.seeing import Seen, see
from pixelwise.serve.uploads import MOST_BYTES
from pixelwise.shortage import told_as_input

SMALLER = "take a smaller picture"


@dataclass(frozen=True)
class Limits:
    """What is taken.

    Args:
        megapixels: Of a picture, in millions.
        bytes: Of a file that a browser sends.
        as_is: Whether values unlike those of the training pictures are taken.
    """

    megapixels: float = MEGAPIXELS
    bytes: int = MOST_BYTES
    as_is: bool = False


class Served:
    """Answers every question of the page. Any thread may ask; a network runs for one at a time.

    Args:
        models: Networks by the names that the page shows; in eval mode.
        pictures: Of the list.
        saving: Where edited masks go; None: they cannot be saved.
        limits: Of pictures.
        kept: Where open pictures are kept.

    Raises:
        InputError: Networks that are not alike, or of a task that the page does not show.
    """

    def __init__(
        self,
        models: Sequence[tuple[str, Model]],
        pictures: Sequence[Path] = (),
        *,
        saving: Collection | None = None,
        limits: Limits | None = None,
        kept: Kept | None = None,
    ) -> None:
        check_alike(models)
        self.limits = limits or Limits()
        self._models = [model for _, model in models]
        self._names = [name for name, _ in models]
        self._pictures = list(pictures)
        self._saving = saving
        self._kept = kept or Kept()
        self._turns = [threading.Lock() for _ in models]
        self._folder = Path(tempfile.mkdtemp(prefix="pixelwise-serve-"))

    def close(self) -> None:
        """Drop all pictures, and the copies of those that were sent."""
        self._kept.clear()
        shutil.rmtree(self._folder, ignore_errors=True)

    def describe(self) -> dict[str, Any]:
        """What the page has to know before any picture."""
        return {
            **described(list(zip(self._names, self._models, strict=True))),
            "accepts": ",".join(sorted(PICTURE_SUFFIXES)),
            "maxBytes": self.limits.bytes,
            "maxPixels": int(self.limits.megapixels * 1e6),
            "canSave": self._saving is not None,
            "saveTo": None if self._saving is None else self._saving.folder.name,
        }

    def pictures(self) -> list[dict[str, Any]]:
        """The list: numbers and names; paths stay here."""
        return [{"index": i, "name": file.name} for i, file in enumerate(self._pictures)]

    def open_listed(self, index: int) -> dict[str, Any]:
        """Open a picture of the list.

        Raises:
            InputError: No such number, or it cannot be read.
        """
        if not 0 <= index < len(self._pictures):
            raise InputError(
                f"index={index}: the list has {len(self._pictures)} pictures; choose one of them"
            )
        name = self._kept.of_index(index)
        if name is None:
            file = self._pictures[index]
            name = self._kept.add(self._read(file, file.name, index))
        return self._told(name)

    def open_sent(self, content: bytes, name: str) -> dict[str, Any]:
        """Open a picture that a browser sent.

        Raises:
            InputError: It cannot be read.
        """
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix="sent-", delete=False) as file:
            file.write(content)
        path = Path(file.name)
        try:
            opened = self._read(path, name, None)
        except InputError as error:
            path.unlink(missing_ok=True)
            raise InputError(str(error).replace(str(path), name)) from None
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return self._told(self._kept.add(opened))

    def _read(self, file: Path, name: str, index: int | None) -> Open:
        limits, sent = self.limits, index is None
        if not sent and not file.is_file():
            raise InputError(f"{name}: is not there any more; choose another picture")
        check_claims(file, name, limits.megapixels, sent=sent)
        found: list[Seen] = []
        notes: list[str] = []
        for model, turn in zip(self._models, self._turns, strict=True):
            image, missing = read_picture(file, model, as_is=limits.as_is)
            with told_as_input(f"{name}: {SMALLER}"), turn:
                found.append(see(model, image, missing))
            if missing is not None:
                notes.append(
                    f"{int(missing.sum())} of {missing.numel()} pixels have no data; the network"
                    " sees the mean there"
                )
            notes += found[-1].notes

        def drop() -> None:
            if sent:
                file.unlink(missing_ok=True)

        if len({one.size for one in found}) > 1:
            raise InputError("beside: the networks see pictures of other sizes; show one of them")
        return Open(name, file, tuple(found), tuple(dict.fromkeys(notes)), index, drop)

    def _told(self, name: str) -> dict[str, Any]:
        opened = self._kept.get(name)
        first = opened.seen[0]
        return {
            "id": name,
            "name": opened.name,
            "height": first.size[0],
            "width": first.size[1],
            "image": np.frombuffer(png(first.picture), np.uint8),
            "notes": list(opened.notes),
            "answers": [answer(one) for one in opened.seen],
        }

    def pixel(self, name: str, at: tuple[int, int], run: int) -> dict[str, Any]:
        """What is said of a pixel of an open picture.

        Raises:
            InputError: No such picture, run or pixel.
        """
        seen = self._seen(name, run)
        if seen.image is not None:  # the network runs again
            with self._turns[run]:
                return pixel(seen, at)
        return pixel(seen, at)

    def class_map(self, name: str, number: int, run: int) -> dict[str, Any]:
        """How probable a class is at every pixel of an open picture.

        Raises:
            InputError: No such picture, run or class.
        """
        return {"map": class_map(self._seen(name, run), number)}

    def _seen(self, name: str, run: int) -> Seen:
        seen = self._kept.get(name).seen
        if not 0 <= run < len(seen):
            raise InputError(f"run={run}: there are {len(seen)}, counted from 0; take one of them")
        return seen[run]

    def save(self, name: str, content: bytes) -> dict[str, str]:
        """Save a picture with an edited mask, as the page sends it: row by row.

        Raises:
            InputError: Nothing is saved here, or it is no mask of that picture.
        """
        if self._saving is None:
            raise InputError("save: nothing is saved here; start with --save-to FOLDER")
        opened = self._kept.get(name)
        seen = opened.seen[0]
        suffix = _suffix(opened.file) if opened.index is None else opened.file.suffix.lower()
        wide = self._saving.none > 255
        mask = np.frombuffer(content, "<u2" if wide else "u1") if _even(content, wide) else None
        if mask is None or mask.size != seen.size[0] * seen.size[1]:
            raise InputError(
                f"mask: has {len(content)} bytes, not one number for each of {seen.size[0]} x"
                f" {seen.size[1]} pixels; open the picture again"
            )
        plain: ndarray = mask.reshape(seen.size).astype(np.uint16 if wide else np.uint8)
        return self._saving.add(opened.file, opened.name, plain, suffix)


def _even(content: bytes, wide: bool) -> bool:
    return not wide or len(content) % 2 == 0


SIGNS = (
    (b"\x89PNG", ".png"),
    (b"\xff\xd8", ".jpg"),
    (b"BM", ".bmp"),
    (b"RIFF", ".webp"),
    (b"II", ".tif"),
    (b"MM", ".tif"),
)


def _suffix(file: Path) -> str:
    """The suffix of a picture by its content, whatever its name was."""
    with file.open("rb") as start:
        head = start.read(8)
    for sign, suffix in SIGNS:
        if head.startswith(sign):
            return suffix
    raise InputError("save: the picture is no kind that data sets have; convert it to PNG")
