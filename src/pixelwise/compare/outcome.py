"""What came of one run of a comparison, kept beside it: `outcome.json` and `outcome.npz`.

Scores of drawn pictures are kept, not only those of all pictures: every run draws the same
pictures, so the difference of two runs' scores, draw by draw, is a paired bootstrap.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy import ndarray

from pixelwise.errors import InputError, in_one_line
from pixelwise.metrics import Kind, Tallies
from pixelwise.pictures import write_bytes

NUMBERS, ARRAYS = "outcome.json", "outcome.npz"
VERSION = 1


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of some kinds, the main one first.

    Args:
        kinds: What they are.
        values: Over all pictures, NaN where there is none.
        drawn: Of pictures that were drawn with replacement, draw by draw; without rows where they
            are not known picture by picture.
        each: Of every picture; without rows likewise.
    """

    kinds: tuple[Kind, ...]
    values: Float64[ndarray, " k"]
    drawn: Float64[ndarray, "draws k"]
    each: Float64[ndarray, "pictures k"]

    @classmethod
    def of(cls, tallies: Tallies) -> "Scores":
        """From what each picture adds."""
        drawn = tallies.drawn()
        k = len(tallies.kinds)
        return cls(
            tallies.kinds,
            tallies.of(tallies.sums.sum(axis=0, keepdims=True))[0],
            np.empty((0, k)) if drawn is None else drawn,
            tallies.of(tallies.sums),
        )

    @classmethod
    def single(cls, kind: Kind, value: float) -> "Scores":
        """One number that is not known picture by picture."""
        return cls((kind,), np.array([float(value)]), np.empty((0, 1)), np.empty((0, 1)))


@dataclass(frozen=True, eq=False)
class Outcome:
    """A finished run.

    Args:
        arm: Its arm's name.
        seed: Its seed.
        scores: Of the last network; the main number first, then others, such as each class's IoU.
        sizes: How much is found of small, middle and large objects; None: the task has none.
        pictures: Names of the pictures that were scored.
        curve: (step, main number) of the evaluations meanwhile.
        steps: Optimiser steps.
        seconds: Of training and evaluation.
        lr: Peak learning rate.
    """

    arm: str
    seed: int
    scores: Scores
    sizes: Scores | None
    pictures: tuple[str, ...]
    curve: tuple[tuple[int, float], ...]
    steps: int
    seconds: float
    lr: float

    @property
    def main(self) -> float:
        """The main number."""
        return float(self.scores.values[0])

    @property
    def better(self) -> float:
        """The main number, turned round where smaller is better."""
        return -self.main if self.scores.kinds[0].larger is False else self.main

    def save(self, run: Path) -> None:
        """Write both files into a run's folder; the numbers last, as the sign of the end."""
        arrays: dict[str, ndarray] = {}
        for name, scores in (("scores", self.scores), ("sizes", self.sizes)):
            if scores is not None:
                for part in ("values", "drawn", "each"):
                    arrays[f"{name}_{part}"] = getattr(scores, part)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
        write_bytes(run / ARRAYS, buffer.getvalue())
        told = {
            "version": VERSION,
            "arm": self.arm,
            "seed": self.seed,
            "kinds": [asdict(kind) for kind in self.scores.kinds],
            "size_kinds": None if self.sizes is None else [asdict(k) for k in self.sizes.kinds],
            "pictures": list(self.pictures),
            "curve": [list(point) for point in self.curve],
            "steps": self.steps,
            "seconds": self.seconds,
            "lr": self.lr,
        }
        text = json.dumps(told, ensure_ascii=False, indent=1)
        write_bytes(run / NUMBERS, text.encode())

    @classmethod
    def load(cls, run: Path) -> "Outcome":
        """Read both files.

        Raises:
            InputError: They are damaged, or of another version.
        """
        try:
            told = json.loads((run / NUMBERS).read_text(encoding="utf-8"))
            if told["version"] != VERSION:
                raise InputError(
                    f"{run / NUMBERS}: is of version {told['version']}, not {VERSION}; remove the"
                    " folder, so that the run is made again"
                )
            with np.load(run / ARRAYS, allow_pickle=False) as arrays:
                scores = _scores(told["kinds"], "scores", arrays)
                sizes = told["size_kinds"]
                return cls(
                    arm=told["arm"],
                    seed=told["seed"],
                    scores=scores,
                    sizes=None if sizes is None else _scores(sizes, "sizes", arrays),
                    pictures=tuple(told["pictures"]),
                    curve=tuple((int(step), float(value)) for step, value in told["curve"]),
                    steps=told["steps"],
                    seconds=float(told["seconds"]),
                    lr=float(told["lr"]),
                )
        except InputError:
            raise
        except Exception as error:  # zip, JSON and NumPy have many
            raise InputError(
                f"{run / NUMBERS}: is damaged ({in_one_line(error, 120)}); remove the folder, so"
                " that the run is made again"
            ) from error


def _scores(kinds: list[Mapping[str, Any]], name: str, arrays: Any) -> Scores:
    parts = [np.asarray(arrays[f"{name}_{part}"], float) for part in ("values", "drawn", "each")]
    return Scores(tuple(Kind(**kind) for kind in kinds), *parts)
