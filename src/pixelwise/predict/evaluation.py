"""A network's scores on labelled pictures, at their full size."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pixelwise.data.workers import begun, ending_workers, in_shared_memory, quiet_worker
from pixelwise.networks.model import Model
from pixelwise.predict.fixed import predictor_of
from pixelwise.predict.views import WHOLE, Views
from pixelwise.predict.windows import predict_logits
from pixelwise.tasks.base import Items, Result, Scorer


@torch.no_grad()
def evaluate(
    model: Model,
    pictures: Items,
    *,
    window: int,
    overlap: float = 0.25,
    views: Views = WHOLE,
    device: torch.device | str = "cpu",
    workers: int = 0,
    scorer: Scorer | None = None,
    on_picture: Callable[[int, Tensor, Tensor], None] = lambda index, answer, target: None,
    on_missing: Callable[[str, int], None] = lambda name, pixels: None,
    on_logits: Callable[[str, Tensor], None] = lambda name, logits: None,
) -> Result:
    """One result over all pictures, whatever their sizes.

    Args:
        model: A `Segmenter` or an exported file; its training mode is left as it was.
        pictures: Items are (image (c, h, w), target, name, pixels without data).
        window: Pictures larger than this in either direction go through in blended tiles, where
            the task can.
        overlap: The least fraction of a tile that its neighbour covers too, in [0, 1).
        views: What is averaged of each picture, or of each tile.
        device: Where the network is.
        workers: Processes that load pictures.
        scorer: Counts; by default the task's.
        on_picture: Called after each picture with its index, answer and target; what it raises
            ends the evaluation.
        on_missing: Called before that with the name of a picture and how many of its pixels have
            no data, where some have none; they do not count.
        on_logits: Called before a picture is scored, with its name and logits (k, h, w).
    """
    training = model.training
    task = model.task
    scorer = scorer or task.scorer_for(pictures)
    run = views.averaged(predictor_of(model), task)
    tile = (window, window) if task.tiled else None
    data: Any = pictures
    loader: torch.utils.data.DataLoader[Any] = torch.utils.data.DataLoader(
        data,
        batch_size=None,
        num_workers=workers,
        worker_init_fn=quiet_worker,
        collate_fn=in_shared_memory,
        generator=torch.Generator(),  # keeps the process's own random state untouched
    )
    try:
        model.eval()
        with ending_workers():
            for index, (image, target, name, missing) in enumerate(begun(loader)):
                if missing:
                    on_missing(name, missing)
                seen = image[None].to(device)
                logits = predict_logits(run, seen, window=tile, overlap=overlap)
                on_logits(name, logits[0])
                answer = task.answer(logits)[0].cpu()
                scorer.look(name, logits[0], target)
                scorer.update(answer, target)
                on_picture(index, answer, target)
    finally:
        model.train(training)
    return scorer.result()
