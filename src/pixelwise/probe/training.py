"""Train a layer on one variant, and count how often pixels are right, by their distance.

One recipe for all: AdamW, the rate up and down again in one cycle, gradients clipped, maps drawn
anew for every step, every tested distance weighted alike. A map counts once for each distance: its
pixels share the markers, so they are no independent draws.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Generator, Tensor, nn

from pixelwise.probe.asked import ProbeSettings
from pixelwise.probe.network import ProbeNetwork, parameters
from pixelwise.probe.subjects import Subject
from pixelwise.probe.variants import Drawn, Variant

WARM_UP = 0.2
"""Part of the steps in which the rate rises."""
CLIP = 1.0
TESTED = 16
"""Maps that are tested at a time."""


@dataclass(frozen=True)
class Trained:
    """What one training showed.

    Args:
        subject: Name of the layer.
        variant: Key.
        seed: Of weights and maps.
        distances: Tested.
        accuracy: At each, 0 to 1; None where no map had a pixel at that distance.
        maps: How many maps had, at each.
        loss: The last one, averaged; None where it was not finite.
        parameters: Of the layer.
        seconds: Of training and test.
    """

    subject: str
    variant: str
    seed: int
    distances: tuple[int, ...]
    accuracy: tuple[float | None, ...]
    maps: tuple[int, ...]
    loss: float | None
    parameters: int
    seconds: float


def train(
    subject: Subject,
    variant: Variant,
    settings: ProbeSettings,
    seed: int,
    device: str,
    on_step: Callable[[int], None],
) -> Trained:
    """Train and test.

    Args:
        subject: What stands in the network.
        variant: What pixels must know.
        settings: The recipe.
        seed: Of the first weights and of all maps.
        device: Where to compute.
        on_step: Told the number of steps done.

    Raises:
        InputError: The layer cannot take such maps.
    """
    start = time.monotonic()
    distances = variant.distances(settings.size)
    drawing = Generator().manual_seed(2 * seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = ProbeNetwork(subject, settings.channels, variant.classes, settings.size)
        network.to(device).train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=settings.lr)
        rates = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, settings.lr, total_steps=settings.steps + 1, pct_start=WARM_UP
        )
        smooth: float | None = None
        for step in range(settings.steps):
            drawn = on(variant.draw(settings.batch_size, settings.size, drawing), device)
            value = loss(network(drawn.maps), drawn, distances)
            optimizer.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimizer.step()
            rates.step()
            last = value.item()
            smooth = last if smooth is None else 0.9 * smooth + 0.1 * last
            on_step(step + 1)
    testing = Generator().manual_seed(2 * seed + 1)
    accuracy, maps = test(network, variant, settings, testing, device)
    return Trained(
        subject.name,
        variant.key,
        seed,
        distances,
        accuracy,
        maps,
        smooth if smooth is not None and math.isfinite(smooth) else None,
        parameters(network),
        round(time.monotonic() - start, 2),
    )


def on(drawn: Drawn, device: str) -> Drawn:
    """The maps on a device."""
    return Drawn(*(part.to(device) for part in drawn))


def loss(
    logits: Float[Tensor, "b classes h w"], drawn: Drawn, distances: tuple[int, ...]
) -> Float[Tensor, ""]:
    """Cross entropy of the asked pixels, every distance with the same weight."""
    places = torch.full((logits.shape[-1] + 1,), -1, device=logits.device)
    places[list(distances)] = torch.arange(len(distances), device=logits.device)
    place = places[drawn.distances]
    asked = place >= 0
    place = place[asked]
    counts = torch.bincount(place, minlength=len(distances))
    weights = 1 / (counts[place] * (counts > 0).sum())
    each = F.cross_entropy(logits.permute(0, 2, 3, 1)[asked], drawn.labels[asked], reduction="none")
    return (weights * each).sum()


@torch.no_grad()
def test(
    network: nn.Module,
    variant: Variant,
    settings: ProbeSettings,
    random: Generator,
    device: str,
) -> tuple[tuple[float | None, ...], tuple[int, ...]]:
    """Accuracy by distance, and the number of maps that it comes from."""
    network.eval()
    distances = variant.distances(settings.size)
    sums, maps = [0.0] * len(distances), [0] * len(distances)
    for begin in range(0, settings.maps, TESTED):
        count = min(TESTED, settings.maps - begin)
        drawn = on(variant.draw(count, settings.size, random), device)
        right = network(drawn.maps).argmax(dim=1) == drawn.labels
        for place, distance in enumerate(distances):
            asked = drawn.distances == distance
            pixels = asked.sum(dim=(1, 2))
            found = (right & asked).sum(dim=(1, 2))[pixels > 0] / pixels[pixels > 0]
            sums[place] += float(found.sum())
            maps[place] += len(found)
    accuracy = (total / count if count else None for total, count in zip(sums, maps, strict=True))
    return tuple(accuracy), tuple(maps)
