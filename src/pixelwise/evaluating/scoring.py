"""One network's scores on the pictures of a split, and the pictures that it predicts worst."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.utils.data import Subset

from pixelwise.compiling.telling import Compiling
from pixelwise.data.source import Split
from pixelwise.errors import InputError
from pixelwise.evaluating.request import Request, Voice
from pixelwise.language import translate
from pixelwise.metrics import Tallies
from pixelwise.metrics.tallies import unique
from pixelwise.networks.model import Model
from pixelwise.predict.evaluation import evaluate
from pixelwise.predict.images import expected
from pixelwise.predict.memory import enough_memory
from pixelwise.predict.prepared import chosen, prepared
from pixelwise.predict.worst import Worst
from pixelwise.tasks.base import Items, Result, Scorer


@dataclass
class Scored:
    """A network and what was found of it.

    Args:
        run: As the user names it.
        model: The network.
        inputs: The pictures as it takes them.
        result: Its scores.
        worst: The pictures that it predicts worst.
        names: Of the items, in their order.
        holed: Name and pixels of pictures with pixels without data.
    """

    run: str
    model: Model
    inputs: Items
    result: Result
    worst: Worst
    names: list[str] = field(default_factory=list)
    holed: list[tuple[str, int]] = field(default_factory=list)

    @cached_property
    def tallies(self) -> Tallies | None:
        """Scores by picture."""
        return self.result.tallies()

    def item(self, row: int) -> int:
        """Number of the item that a row of the tallies is of; of figures in a picture the first."""
        assert self.tallies is not None
        names = list(unique(self.names))
        name = self.tallies.pictures[row]
        return names.index(name)


def inputs_of(model: Model, pictures: Split, request: Request) -> Items:
    """The pictures as a network takes them."""
    config = model.config
    return model.task.evaluation_set(
        pictures,
        mean=config.mean,
        std=config.std,
        scale=config.scale,
        expected=None if request.as_is else expected(model),
    )


def scorer_of(model: Model, inputs: Items, boundary: int | None) -> Scorer:
    """The one that tells most."""
    task = model.task
    examiner = task.examiner(boundary=boundary)
    if model.decides:  # probabilities are not known
        return task.scorer_for(inputs)
    return examiner or task.scorer_for(inputs)


def score(
    run: str,
    model: Model,
    inputs: Items,
    request: Request,
    voice: Voice,
    scorer: Scorer | None = None,
) -> Scored:
    """Run a network over all pictures.

    Raises:
        InputError: Nothing was counted, an output is not finite, or memory does not suffice.
    """
    scorer = scorer or scorer_of(model, inputs, request.boundary)
    worst, names, holed = Worst(scorer), [], []

    def seen(index: int, answer: Tensor, target: Tensor) -> None:
        voice.busy("evaluating", index + 1, len(inputs))
        worst.see(index, answer, target)

    def check(name: str, logits: Tensor) -> None:
        names.append(name)
        if not torch.isfinite(logits).all():
            raise InputError(
                f"{run}: says NaN or infinite of {name}, so there is nothing to score; train again"
                " with a lower --lr, or look at that picture"
            )

    model = model.to(request.device)
    bits = chosen(request.precision, model, request.device).precision
    compiling = Compiling(request.compile, voice.say)
    with enough_memory(model, round(request.window * max(request.views.scales))):
        result = evaluate(
            prepared(model, bits, len(inputs), compiling),
            inputs,
            window=request.window,
            overlap=request.overlap,
            views=request.views,
            device=request.device,
            workers=request.workers,
            scorer=scorer,
            on_picture=seen,
            on_missing=lambda name, pixels: holed.append((name, pixels)),
            on_logits=check,
        )
    compiling.tell()
    return Scored(run, model, inputs, result, worst, names, holed)


def answers_of(
    scored: Scored, items: list[int], request: Request
) -> dict[int, tuple[Tensor, Tensor]]:
    """Answer and target of some pictures, by their numbers."""
    found: dict[int, tuple[Tensor, Tensor]] = {}

    def keep(index: int, answer: Tensor, target: Tensor) -> None:
        found[items[index]] = answer, target

    if not items:
        return found
    model = scored.model.to(request.device)
    evaluate(
        prepared(model, chosen(request.precision, model, request.device).precision, len(items)),
        Subset(scored.inputs, items),  # type: ignore[arg-type]
        window=request.window,
        overlap=request.overlap,
        views=request.views,
        device=request.device,
        scorer=_Scored(scored.result),
        on_picture=keep,
    )
    return found


class _Scored(Scorer):
    """Counts nothing: the pictures were scored before."""

    def __init__(self, before: Result) -> None:
        self.before = before

    def update(self, answer: Tensor, target: Tensor) -> None:
        """Nothing."""

    def joined(self, parts: Sequence[Scorer]) -> Scorer:
        """Itself."""
        return self

    def result(self) -> Result:
        """What was found before."""
        return self.before


def tell_holes(scored: Scored, voice: Voice) -> None:
    """Say where pixels have no data."""
    if scored.holed:
        voice.warn(
            translate(
                "{amount} pixels in {holed} pictures, as {scored}, have no data and do not count"
            ).format(
                amount=sum(pixels for _, pixels in scored.holed),
                holed=len(scored.holed),
                scored=scored.holed[0][0],
            )
        )
