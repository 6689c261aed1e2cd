"""Adapters of scores of points."""

from typing import Any

import torch
from torch import Tensor

from adapters.keypoints import function
from adapters.subject import Adapter, Subject
from pixelwise.tasks.keypoints.average_precision import Labels, Predictions, average_precision
from pixelwise.tasks.keypoints.published_scores import (
    heatmap_accuracy,
    mpii_pckh,
    udp_auc,
    udp_epe,
    udp_pck,
)


def number(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)


def oks_ap(config: dict[str, Any]) -> Subject:
    def run(*inputs: Tensor) -> dict[str, Tensor]:
        given = [x.detach().double().numpy() for x in inputs]
        points, boxes, areas, crowd, image, predicted, scores, predicted_image = given
        found = average_precision(
            Labels(
                points[..., :2],
                points[..., 2] > 0,
                boxes,
                areas,
                crowd > 0,
                image.astype(int),
            ),
            Predictions(predicted[..., :2], scores, predicted_image.astype(int)),
            config["sigmas"],
        )
        stats = [-1.0 if value is None else value for value in found.stats.values()]
        return {
            "oks": torch.from_numpy(found.oks),
            "precision": torch.from_numpy(found.precision),
            "recall": torch.from_numpy(found.recall),
            "stats": torch.tensor(stats, dtype=torch.float64),
        }

    return function(run)


def pck(config: dict[str, Any]) -> Subject:
    def run(*inputs: Tensor) -> dict[str, Tensor]:
        predicted, truth, visible, lengths = (x.detach().numpy() for x in inputs)
        labelled = visible > 0
        found = udp_pck(predicted, truth, labelled, lengths, config.get("thr", 0.5))
        return {
            "acc": torch.from_numpy(found.each),
            "average": number(found.mean),
            "count": torch.tensor([found.points]),
            "auc": number(udp_auc(predicted, truth, labelled)),
            "epe": number(udp_epe(predicted, truth, labelled)),
        }

    return function(run)


def pck_heatmap(config: dict[str, Any]) -> Subject:
    def run(outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        found, cells = heatmap_accuracy(outputs.detach(), targets.detach(), config.get("thr", 0.5))
        return {
            "acc": torch.cat([number(found.mean), torch.from_numpy(found.each)]),
            "average": number(found.mean),
            "count": torch.tensor([found.points]),
            "pred": cells,
        }

    return function(run)


def pckh(config: dict[str, Any]) -> Subject:
    def run(*inputs: Tensor) -> Tensor:
        predicted, truth, missing, boxes = (x.detach().numpy() for x in inputs)
        values = mpii_pckh(
            predicted,
            truth.transpose(2, 0, 1),
            missing.T == 0,
            boxes.transpose(2, 0, 1),
            config["joints"],
        )
        return torch.tensor(list(values.values()), dtype=torch.float64)

    return function(run)


ADAPTERS: dict[str, Adapter] = {
    "oks_ap@pycocotools": oks_ap,
    "pck@udppose": pck,
    "pck_heatmap@hrnet": pck_heatmap,
    "pckh_mpii@simplebaseline": pckh,
}
