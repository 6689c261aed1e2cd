"""Named points: a heat map per point at a quarter of the size, decoded to sub-pixel places."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from pixelwise import pictures
from pixelwise.checks import in_range, one_of
from pixelwise.data.evaluation import Preparation
from pixelwise.data.fitting import Expected
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.data.points.source import LabelledFigures, PointSource
from pixelwise.data.regions import Box, Regions
from pixelwise.data.source import Source, Split
from pixelwise.data.stream import Augmentation
from pixelwise.errors import InputError, unknown
from pixelwise.pictures.colours import LINES
from pixelwise.tasks.base import Items, Loss, LossChoice, Predictor, Task
from pixelwise.tasks.keypoints.crops import PointTarget, cut, whole
from pixelwise.tasks.keypoints.decoding import DECODERS, decode_points
from pixelwise.tasks.keypoints.demonstration import PUPPETS
from pixelwise.tasks.keypoints.files import names_of_files, write_tables
from pixelwise.tasks.keypoints.flipping import flip_back
from pixelwise.tasks.keypoints.geometry import Matrix, crop_matrix, inverse, transformed
from pixelwise.tasks.keypoints.losses import heatmap_loss
from pixelwise.tasks.keypoints.scorer import PointScorer
from pixelwise.tasks.keypoints.stream import PointEvaluationSet, PointStream
from pixelwise.tasks.keypoints.targets import TARGETS, draw_targets

STRIDE = 4
MAPS = ("heat", "softmax")
LARGEST = 384
"""Longest side of whole pictures as networks see them, where no crop is given."""
BOXES = (256, 192)
"""Height and width of crops of boxes, the usual ones of published networks."""
DEFAULTS: Mapping[str, Any] = {
    "target": "gaussian",
    "decoder": "dark",
    "sigma": 2.0,
    "margin": 1.25,
    "pck": None,
    "flip": False,
    "maps": "heat",
}


class Keypoints(Task):
    """One figure per picture, or per box.

    Options, in `task_options`:
        target: A key of `targets.TARGETS`; how heat maps are drawn.
        decoder: A name of `decoding.DECODERS`.
        sigma: Spread of the bumps in cells of the map.
        margin: How much larger than a box the crop is.
        maps: "heat": a map is 1 where its point is, and 0 far from it, as published. "softmax":
            the softmax of a map is where its point may be; learnt in far fewer steps, and what new
            networks have.
        flip: Average with the maps of the mirrored picture: more exact, at twice the cost.
        pck: [first, second, alpha]: distances are told in units of that between two points too.
        size, pairs, skeleton, sigmas: Set from the data.
    """

    key = "keypoints"
    summary = "named points, by heat maps"
    data = "points"
    stride = STRIDE
    tiled = False
    zoom = (0.75, 1.33)
    boxed = True
    own_scale = "the bumps of heat maps have one width in cells"
    demonstration = PUPPETS
    result_files = ("points.csv", "errors.csv", "errors.png", "histogram.png", "worst.png")
    losses: ClassVar[Mapping[str, str]] = {
        "location": "cross-entropy over the places of a map, for maps 'softmax'",
        "mse": "squared error of labelled points",
        "ohkm": "of the eight worst points of each picture",
        "joints_mse": "as published with SimpleBaseline and HRNet",
        "combined": "for target udp_offset",
    }

    def check(self) -> None:
        """Raise for options that contradict each other."""
        one_of(tuple(TARGETS), target=self.option("target"))
        one_of(DECODERS, decoder=self.option("decoder"))
        in_range(0.3, 20, sigma=self.option("sigma"))
        in_range(0.5, 5, margin=self.option("margin"))
        one_of(MAPS, maps=self.option("maps"))
        offsets = self.option("target") == "udp_offset"
        if offsets and self.option("maps") != "heat":
            raise InputError("maps='softmax': does not fit target 'udp_offset'; take maps 'heat'")
        if offsets != (self.option("decoder") == "udp_offset"):
            raise InputError(
                f"decoder={self.option('decoder')!r}: does not fit target"
                f" {self.option('target')!r}; udp_offset goes with itself alone"
            )
        known = {*DEFAULTS, "size", "pairs", "skeleton", "sigmas"}
        for name in self.described.task_options:
            if name not in known:
                raise unknown("option", name, sorted(known), "of keypoints")

    def option(self, name: str) -> Any:
        """An option, or its default."""
        return self.described.task_options.get(name, DEFAULTS.get(name))

    @classmethod
    def options(cls, source: Source, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What the user states, and the skeleton."""
        assert isinstance(source, PointSource)
        skeleton = source.skeleton
        for name in settings:
            if name not in DEFAULTS:
                raise unknown("option", name, sorted(DEFAULTS), "of keypoints")
        if (pck := settings.get("pck")) is not None:
            if not isinstance(pck, list | tuple) or len(pck) != 3:
                raise InputError(f"pck={pck!r}: must be [first, second, alpha]; name two points")
            for name in pck[:2]:
                if name not in skeleton.names:
                    raise unknown("point", str(name), skeleton.names)
        offsets = settings.get("target") == "udp_offset"
        return {
            "maps": "heat" if offsets else "softmax",
            **settings,
            "pairs": skeleton.pairs,
            "skeleton": skeleton.edges,
            "sigmas": skeleton.sigmas,
        }

    @classmethod
    def usual_network(cls, backbone: str | None) -> tuple[str, str]:
        """A small HRNet, which learns most in little time; SimpleBaseline on other backbones."""
        if backbone is None or backbone.startswith("hrnet"):
            return "hrnet_pose", backbone or "hrnet_w18_small"
        return "simple_baseline", backbone

    @property
    def outputs(self) -> int:
        """Maps: one per point, three for udp_offset."""
        return self.described.num_classes * TARGETS[self.option("target")].maps

    @property
    def softmax(self) -> bool:
        """Whether the softmax of a map is what counts."""
        return bool(self.option("maps") == "softmax")

    @property
    def _peak(self) -> float:
        """Makes the peak of a Gaussian whose cells sum up to 1 into 1."""
        return 2 * math.pi * float(self.option("sigma")) ** 2

    @property
    def skeleton(self) -> Skeleton:
        """Names, pairs and lines."""
        count, options = self.described.num_classes, self.described.task_options
        names = self.described.names
        return Skeleton(
            names if len(names) == count else tuple(f"point {i}" for i in range(count)),
            tuple(tuple(pair) for pair in options.get("pairs") or ()),
            tuple(tuple(edge) for edge in options.get("skeleton") or ()),
            options.get("sigmas") and tuple(options["sigmas"]),
        )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the crops that the network was trained on."""
        height, width = self.option("size") or BOXES
        return int(height), int(width)

    @classmethod
    def crop(cls, split: Split) -> tuple[int, int]:
        """256x192 for boxes; of whole pictures the shape of most, at most 384 long."""
        assert isinstance(split, LabelledFigures)
        if split.boxed:
            return BOXES
        count = min(64, len(split))
        sizes = np.array([split.size(i * len(split) // count) for i in range(count)])
        height, width = np.median(sizes, axis=0)
        zoom = min(1.0, LARGEST / max(height, width))
        rows, columns = (max(32, 32 * round(side * zoom / 32)) for side in (height, width))
        return rows, columns

    def trained_at(self, crop: tuple[int, int]) -> dict[str, Any]:
        """The options, with the size of the crops."""
        return {**self.described.task_options, "size": crop}

    def answer(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k 3"]:
        """(x, y, score) per point, in pixels of the crop; NaN where there is no peak."""
        sigma = float(self.option("sigma"))
        maps = logits
        if self.softmax:
            maps = self._peak * logits.float().flatten(2).softmax(dim=2).view_as(logits)
        points, scores = decode_points(
            maps,
            STRIDE,
            self.option("decoder"),
            target=self.option("target"),
            sigma=sigma,
        )
        return torch.cat([points, scores[..., None]], dim=-1)

    def loss(self, choice: LossChoice) -> Loss:
        """Squared error to maps drawn at the points, at the logits' resolution."""
        offsets = self.option("target") == "udp_offset"
        usual = "combined" if offsets else "location" if self.softmax else "mse"
        name = usual if choice.name == "auto" else self.chosen(choice)
        if (name == "location") != self.softmax:
            raise InputError(
                f"loss={name!r}: does not fit maps {self.option('maps')!r}; location is for"
                " softmax, the others are for heat (task_options)"
            )
        error = heatmap_loss(name)
        target = self.option("target")
        spread = None if offsets else float(self.option("sigma"))

        def of(logits: Tensor, points: Tensor) -> Tensor:
            size = (logits.shape[2], logits.shape[3])
            with torch.no_grad():
                maps, weights = draw_targets(
                    points[..., :2].to(logits.device),
                    points[..., 2],
                    size,
                    STRIDE,
                    target=target,
                    spread=spread,
                )
            scale = 1.0 if self.softmax else SCALE
            return scale * error(logits, maps, weights)

        return of

    def stream(
        self,
        pictures: Split,
        *,
        crop: tuple[int, int],
        seed: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        scale: float,
        augmentation: Augmentation,
    ) -> PointStream:
        """Crops of figures with their points."""
        assert isinstance(pictures, LabelledFigures)
        return PointStream(
            pictures,
            crop,
            seed,
            mean=mean,
            std=std,
            scale=scale,
            augmentation=augmentation,
            margin=float(self.option("margin")),
        )

    def evaluation_set(
        self,
        pictures: Split,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        scale: float,
        expected: Expected | None = None,
    ) -> PointEvaluationSet:
        """Crops of figures with where they lie."""
        assert isinstance(pictures, LabelledFigures)
        seen = Preparation(mean, std, scale, expected)
        return PointEvaluationSet(pictures, self.size, seen, margin=float(self.option("margin")))

    def predictor(self, model: Predictor) -> Predictor:
        """The network, or its mean with what it says of the mirrored picture."""
        if not self.option("flip"):
            return model

        def both(crop: Tensor) -> Tensor:
            return (model(crop) + self.unmirrored(model(crop.flip(-1)))) / 2

        return both

    def unmirrored(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The maps of mirrored pictures, brought back: left and right change places."""
        offsets = self.option("target") == "udp_offset"
        return flip_back(logits, self.skeleton.mirrored(), offsets=offsets)

    def view(self, image: Tensor, fill: Tensor, box: Box | None = None) -> Tensor:
        """The picture, or a box with a margin, as a crop; around it `fill` per band."""
        around = fill[:, None, None]
        matrix = self._to_crop((image.shape[-2], image.shape[-1]), box)
        return cut(image.float() - around, matrix, self.size) + around

    def seen_at(self, at: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """The pixel of the crop."""
        ((x, y),) = transformed(np.array([[at[1] + 0.5, at[0] + 0.5]]), self._to_crop(size))
        return int(y), int(x)

    def seen_from(self, at: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
        """The pixel of the picture, or the nearest one for a place around it."""
        back = inverse(self._to_crop(size))
        ((x, y),) = transformed(np.array([[at[1] + 0.5, at[0] + 0.5]]), back)
        return min(max(0, int(y)), size[0] - 1), min(max(0, int(x)), size[1] - 1)

    def placed(self, answer: Tensor, size: tuple[int, int], box: Box | None = None) -> Tensor:
        """An answer on `view` in pixels of the picture, whose rows and columns are `size`."""
        back = inverse(self._to_crop(size, box))
        points = transformed(answer[:, :2].double().numpy(), back)
        return torch.cat([torch.from_numpy(points), answer[:, 2:].double()], dim=1)

    def _to_crop(self, size: tuple[int, int], box: Box | None = None) -> Matrix:
        """From a picture of `size` to its `view`, as `crops.view` has it for evaluation."""
        left, top, width, height = whole(size) if box is None else box
        seen = (float(left), float(top), float(width), float(height))
        margin = 1.0 if seen == whole(size) else float(self.option("margin"))
        return crop_matrix(seen, self.size, margin=margin)

    def evidence(self, logits: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """Of softmax maps the logarithm of their heights, of offsets the discs."""
        if self.softmax:
            return logits.flatten(2).log_softmax(dim=2).view_as(logits) + math.log(self._peak)
        return logits[:, :: TARGETS[self.option("target")].maps]

    def confidence(self, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """The heights of the maps."""
        return (logits.exp() if self.softmax else logits).clamp(0, 1)

    def queries(
        self, answer: Tensor, name: str | None = None
    ) -> list[tuple[tuple[int, int], int | None]]:
        """The pixels of the points that were found, or of one of them."""
        names = self.skeleton.names
        if name is not None and name not in names:
            raise unknown("point", name, names)
        height, width = self.size
        found: list[tuple[tuple[int, int], int | None]] = []
        for number, (x, y, _) in enumerate(answer.tolist()):
            if math.isfinite(x) and math.isfinite(y) and name in (None, names[number]):
                at = (min(max(0, int(y)), height - 1), min(max(0, int(x)), width - 1))
                found.append((at, number))
        return found

    def compared(self, image: ndarray, target: Tensor, answers: Mapping[str, Tensor]) -> ndarray:
        """The truth beside the predictions, all on the picture, and the names of the points."""
        truth, skeleton = PointTarget.read(target), self.skeleton
        found = {label: truth.in_picture(answer) for label, answer in answers.items()}
        sheet = pictures.side_by_side(
            {
                label: pictures.with_points(image, points, skeleton.edges)
                for label, points in {"truth": truth.points.numpy(), **found}.items()
            }
        )
        entries = {f"{i} {n}": LINES[i % len(LINES)] for i, n in enumerate(skeleton.names)}
        return np.concatenate([sheet, pictures.legend(entries, sheet.shape[1])])

    def place(self, names: Sequence[str], answer: Tensor) -> tuple[int, int] | None:
        """The pixel of the first of these points that was found."""
        known = [name for name in names if name in self.skeleton.names]
        return next((at for name in known for at, _ in self.queries(answer, name)), None)

    def scorer(self) -> PointScorer:
        """Distances in pixels of the pictures."""
        return PointScorer(self.skeleton, self.option("pck"))

    def scorer_for(self, items: Items) -> PointScorer:
        """With the sigmas of the data where it has some."""
        skeleton = self.skeleton
        sigmas = items.figures.skeleton.sigmas if isinstance(items, PointEvaluationSet) else None
        known = skeleton if sigmas is None else replace(skeleton, sigmas=sigmas)
        return PointScorer(known, self.option("pck"))

    def picture(self, image: ndarray, target: Tensor, answer: Tensor) -> ndarray:
        """Truth, prediction, and how far they are from each other, on the picture."""
        target_ = PointTarget.read(target)
        truth = np.where(target_.labelled[:, None], target_.points.numpy(), np.nan)
        return pictures.points_beside(
            image, truth, target_.in_picture(answer), self.skeleton.edges, self.skeleton.names
        )

    def file_names(self, name: str) -> tuple[str, ...]:
        """The picture with its points."""
        return (f"{name}_points.png",)

    def write(
        self,
        folder: Path,
        name: str,
        image: ndarray,
        answer: Tensor,
        missing: Tensor | None,
        source: Path,
    ) -> None:
        """The picture with its points and lines, those of every box."""
        skeleton = self.skeleton
        figures = answer[..., :2].reshape(-1, len(skeleton), 2).numpy()
        shown = pictures.with_points(image, figures, skeleton.edges, skeleton.names)
        pictures.write_bytes(folder / self.file_names(name)[0], pictures.png(shown))

    def shown(self, image: ndarray, answer: Tensor, missing: Tensor | None) -> ndarray:
        """The picture with its points and lines, at its size."""
        figures = answer[..., :2].reshape(-1, len(self.skeleton), 2).numpy()
        found: ndarray = pictures.with_points(image, figures, self.skeleton.edges, zoom=1)
        return found

    columns = ("name", "x", "y", "score")

    def rows(self, answer: Tensor) -> list[tuple[object, ...]]:
        """A row per point; as in other tables, whole numbers lie at the centres of pixels."""
        found: list[tuple[object, ...]] = []
        for name, (x, y, score) in zip(self.skeleton.names, answer.tolist(), strict=True):
            there = math.isfinite(x) and math.isfinite(y)
            place = (round(x - 0.5, 4), round(y - 0.5, 4)) if there else ("", "")
            found.append((name, *place, round(score, 6)))
        return found

    common_files = names_of_files(Regions())

    def common(self, regions: Regions) -> tuple[str, ...]:
        """Without the table that has room for one figure alone, where there are boxes."""
        return names_of_files(regions)

    def write_common(self, folder: Path, answers: Mapping[Path, Tensor], regions: Regions) -> None:
        """All points of all pictures, as tables and for COCO."""
        write_tables(folder, answers, self.skeleton, regions)


SCALE = 100.0
"""Maps are 0 nearly everywhere, so that their mean error is small; this makes gradients usual."""
