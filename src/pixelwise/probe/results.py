"""What a probe has found so far, kept in `probe.json` after every training."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pixelwise.errors import InputError, in_one_line
from pixelwise.pictures import write_bytes
from pixelwise.probe.asked import ProbeSettings
from pixelwise.probe.reach import Curve, curve
from pixelwise.probe.seen import Seen
from pixelwise.probe.training import Trained

FILE = "probe.json"
VERSION = 1


@dataclass
class Results:
    """Trainings of one recipe.

    Args:
        settings: How they were asked for.
        layers: As they were typed, by their keys.
        trained: What is done.
        fields: Receptive fields, by the layer's name.
    """

    settings: ProbeSettings
    layers: tuple[str, ...]
    trained: list[Trained] = field(default_factory=list)
    fields: dict[str, Seen] = field(default_factory=dict)

    def has(self, subject: str, variant: str, seed: int) -> bool:
        """Whether that training is done."""
        wanted = (subject, variant, seed)
        return any((one.subject, one.variant, one.seed) == wanted for one in self.trained)

    def curve(self, subject: str, variant: str) -> Curve | None:
        """Accuracy of a layer on a variant; None: not one seed is done."""
        same = [one for one in self.trained if (one.subject, one.variant) == (subject, variant)]
        return curve(same) if same else None

    @property
    def subjects(self) -> list[str]:
        """Of which something is done, in the order of the work."""
        return list(dict.fromkeys(one.subject for one in self.trained))

    def save(self, folder: Path) -> None:
        """Write the file, whole or not at all."""
        told = {
            "version": VERSION,
            "settings": asdict(self.settings),
            "layers": list(self.layers),
            "trained": [asdict(one) for one in self.trained],
            "fields": [asdict(one) for one in self.fields.values()],
        }
        text = json.dumps(told, ensure_ascii=False, allow_nan=False)
        write_bytes(folder / FILE, f"{text}\n".encode())

    @classmethod
    def load(cls, folder: Path) -> "Results":
        """Read the file.

        Raises:
            InputError: It is not there, damaged, or of another version.
        """
        path = folder / FILE
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if told["version"] != VERSION:
                raise InputError(
                    f"{path}: is of version {told['version']}, not {VERSION}; choose another --name"
                )
            return cls(
                ProbeSettings(**told["settings"]),
                tuple(told["layers"]),
                [_trained(one) for one in told["trained"]],
                {one["subject"]: _seen(one) for one in told["fields"]},
            )
        except InputError:
            raise
        except FileNotFoundError:
            raise InputError(
                f"{folder}: holds no {FILE}, so no probe to go on with; check the path"
            ) from None
        except Exception as error:  # JSON that is cut off, and fields of other types
            raise InputError(
                f"{path}: is damaged ({in_one_line(error, 120)}); remove it, or choose another"
                " --name"
            ) from error


def _trained(told: dict[str, Any]) -> Trained:
    lists = {name: tuple(told[name]) for name in ("distances", "accuracy", "maps")}
    return Trained(**{**told, **lists})


def _seen(told: dict[str, Any]) -> Seen:
    energy = tuple(tuple(map(float, row)) for row in told["energy"])
    return Seen(**{**told, "energy": energy, "at": (told["at"][0], told["at"][1])})


def accuracy_rows(results: Results, variants: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each layer, variant and distance."""
    return [
        {
            "layer": subject,
            "variant": variant,
            "distance": point.distance,
            "accuracy": None if point.accuracy is None else round(point.accuracy, 4),
            "low": round(point.low, 4),
            "high": round(point.high, 4),
            "seeds": sum((t.subject, t.variant) == (subject, variant) for t in results.trained),
            **results.settings.recipe,
        }
        for subject in results.subjects
        for variant in variants
        if (found := results.curve(subject, variant)) is not None
        for point in found.points
    ]


def csv_bytes(rows: Sequence[dict[str, Any]]) -> bytes:
    """Rows as CSV."""
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue().encode()
