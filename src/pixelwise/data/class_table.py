"""classes.csv: the layout in which CamVid is handed on.

A table `id,name,r,g,b` beside the folders train, val and test, each with images and masks. Masks
hold the ids, or the colours of the table. Rows named void (or unlabelled, ignore) do not count.
"""

import csv
from pathlib import Path

from pixelwise.data.classes import Classes, Colour, parse_colour, several
from pixelwise.data.config import SPLITS, DataConfig
from pixelwise.data.values import ValueMap
from pixelwise.errors import InputError

SHAPE = "id,name,r,g,b"
COLUMNS = ("name", "r", "g", "b")
VOID = frozenset({"void", "ignore", "ignored", "unlabelled", "unlabeled"})


def load_class_table(path: str | Path) -> DataConfig:
    """The data set around a classes.csv. Classes are numbered in the order of their rows.

    Without the column `id`, masks hold row numbers counted from 0.

    Raises:
        InputError: The table is missing, lacks a column, repeats an id or has a malformed row;
            or there is no train, val or test folder beside it.
    """
    file = Path(path)
    try:
        with file.open(newline="", encoding="utf-8-sig") as text:
            table = csv.DictReader(text, skipinitialspace=True)
            columns = {name.strip().lower(): name for name in table.fieldnames or () if name}
            rows = list(table)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file}: cannot be read ({error}); give a table {SHAPE}") from None
    lacking = [name for name in COLUMNS if name not in columns]
    if lacking:
        raise InputError(f"{file}: has no column {lacking[0]!r}; give a table {SHAPE}")
    names: list[str] = []
    palette: list[Colour] = []
    values: dict[int, int] = {}
    colours: dict[Colour, int] = {}
    ignored: list[int] = []
    for number, row in enumerate(rows):
        at = f"{file}, line {number + 2}"
        cells = [row[column] for column in columns.values()]
        if None in cells:
            raise InputError(
                f"{at}: has {len(cells) - cells.count(None)} of {len(cells)} columns; write {SHAPE}"
            )
        try:
            raw = int(row[columns["id"]]) if "id" in columns else number
            colour = parse_colour([int(row[columns[c]]) for c in "rgb"])
            name = row[columns["name"]].strip()
        except InputError as error:
            raise InputError(f"{at}: {error}") from None
        except ValueError as error:
            raise InputError(f"{at}: {error}; write {SHAPE}") from None
        if raw in values or raw in ignored:
            raise InputError(f"{at}: id={raw}: occurs twice; give every class its own id")
        if name.lower() in VOID:
            ignored.append(raw)
            colours[colour] = -1
            continue
        values[raw] = colours[colour] = len(names)
        names.append(name)
        palette.append(colour)
    try:
        classes = Classes(several(tuple(names)), tuple(palette))
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    return _config(file, classes, values, colours, ignored)


def _config(
    file: Path,
    classes: Classes,
    values: dict[int, int],
    colours: dict[Colour, int],
    ignored: list[int],
) -> DataConfig:
    void = classes.ignore_index
    places = {s: f"{s}/images" if (file.parent / s / "images").is_dir() else None for s in SPLITS}
    if not any(places.values()):
        raise InputError(
            f"{file}: there is no folder train/images or val/images beside it; put it there"
        )
    values = {void: void, **dict.fromkeys(ignored, void), **values}
    colours = {colour: void if i < 0 else i for colour, i in colours.items()}
    return DataConfig(
        file=file,
        path=file.parent,
        train=places["train"],
        val=places["val"],
        test=places["test"],
        classes=classes,
        values=ValueMap(values, colours, str(file)),
    )
