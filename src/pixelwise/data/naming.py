"""Which mask belongs to a picture: by the same name, or by the patterns of `masks:`.

masks: "*_mask.png"                                     # a.jpg          a_mask.png
masks: {"*_leftImg8bit.png": "*_gtFine_labelIds.png"}   # also says which pictures are meant

The star stands for the same text in both.
"""

from dataclasses import dataclass
from pathlib import Path

from pixelwise.errors import InputError


@dataclass(frozen=True)
class MaskNames:
    """Patterns of file names, each with one star; without a suffix, any suffix fits.

    Args:
        pictures: Of the pictures; others in their folder are passed over.
        masks: Of the masks.
    """

    pictures: str = "*"
    masks: str = "*"

    @classmethod
    def parse(cls, value: object) -> "MaskNames":
        """From `masks:` of a data.yaml.

        Raises:
            InputError: Anything but a pattern, or one pattern of pictures and one of masks.
        """
        if value is None:
            return cls()
        pairs = [*value.items()] if isinstance(value, dict) else [("*", value)]
        patterns = [pattern for pair in pairs for pattern in pair]
        good = all(isinstance(p, str) and p.count("*") == 1 and "/" not in p for p in patterns)
        if len(pairs) != 1 or not good:
            raise InputError(
                f"masks={value!r}: must be a file name with one star for the picture's name, or "
                '{pattern of pictures: pattern of masks}; e.g. "*_mask.png"'
            )
        return cls(*map(str, patterns))

    def of_picture(self, file: Path) -> str | None:
        """What the star is in a picture's name; None: not one of the pictures."""
        return _star(self.pictures, file)

    def of_mask(self, file: Path) -> str | None:
        """What the star is in a mask's name; None: not one of the masks."""
        return _star(self.masks, file)

    def is_mask(self, file: Path) -> bool:
        """Whether a file in the pictures' own folder is a mask."""
        return self.masks != "*" and self.of_mask(file) is not None

    def mask_of(self, name: str) -> str:
        """The name of the mask of a picture."""
        wanted = self.masks.replace("*", name)
        return wanted if Path(self.masks).suffix else f"{wanted}.png"


def _star(pattern: str, file: Path) -> str | None:
    before, after = pattern.split("*")
    name = file.name if Path(after).suffix or after.startswith(".") else file.stem
    if len(name) <= len(before) + len(after):
        return None
    if not (name.startswith(before) and name.endswith(after)):
        return None
    return name[len(before) : len(name) - len(after)]
