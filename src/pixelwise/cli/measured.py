"""The cards of layers, upsamplers and networks, from their classes; costs from a counter."""

import dataclasses
import inspect

import torch

from pixelwise.cli.card import options_of
from pixelwise.cli.cards import (
    CHANNELS,
    CLASSES,
    PICTURE,
    SIDE,
    Card,
    Cards,
    Cost,
    NetworkCard,
    NetworkCost,
)
from pixelwise.cost import flops, parameters, predict
from pixelwise.layers import registry as layers
from pixelwise.layers.base import FusionLayer, Layer
from pixelwise.layers.upsampling import registry as upsamplers
from pixelwise.layers.upsampling.base import Upsampler
from pixelwise.naming import Known
from pixelwise.networks import registry as networks
from pixelwise.networks.factory import create_model
from pixelwise.networks.zoo import ZOO


def from_classes() -> Cards:
    """All cards, without costs."""
    own, other = layers.all_names().known, upsamplers.all_names().known
    return Cards(
        {key: _card(kind, own[key]) for key, kind in layers.available().items()},
        {key: _card(kind, other[key]) for key, kind in upsamplers.available().items()},
        {key: _network(key, known) for key, known in networks.all_names().known.items()},
    )


def measured(cards: Cards) -> Cards:
    """With costs: some minutes."""
    return Cards(
        {k: dataclasses.replace(one, cost=layer_cost(k)) for k, one in cards.layers.items()},
        {
            k: dataclasses.replace(one, cost=upsampler_cost(k))
            for k, one in cards.upsamplers.items()
        },
        {
            k: dataclasses.replace(one, cost=network_cost(k, one.backbone))
            for k, one in cards.networks.items()
        },
    )


def layer_cost(key: str) -> Cost:
    """What a layer takes."""
    with torch.device("meta"):
        layer = layers.create(key, CHANNELS).eval()
        x = torch.empty(1, CHANNELS, SIDE, SIDE)
        inputs = (x, x) if isinstance(layer, FusionLayer) else (x,)
        count = flops(layer, *inputs)
    images = max(1, layer.limits.images)
    shapes = [(images, *x.shape[1:])] * len(inputs)
    alone, training = (
        predict(layer, *shapes, training=mode, device="cpu") for mode in (False, True)
    )
    return Cost(parameters(layer), count, layer.cost_exponent, images, (alone, training))


def upsampler_cost(key: str) -> Cost:
    """What an upsampler takes, to twice as many pixels a side."""
    with torch.device("meta"):
        upsampler = upsamplers.create_upsampler(key, CHANNELS).eval()
        x, fine = (torch.empty(1, CHANNELS, side, side) for side in (SIDE, 2 * SIDE))
        return Cost(parameters(upsampler), flops(upsampler, x, fine))


def network_cost(key: str, backbone: str) -> NetworkCost:
    """What a network takes on a backbone."""
    model = create_model(key, backbone, num_classes=CLASSES).eval().to("meta")
    count = flops(model, torch.empty(1, 3, PICTURE, PICTURE, device="meta"))
    return NetworkCost(parameters(model), count, model.backbone.multiple)


def _network(key: str, known: Known) -> NetworkCard:
    published = ZOO.get(key)
    decoder = networks.decoder_named(published.arch if published else key)
    shown = published or decoder
    return NetworkCard(
        shown.title,
        shown.year,
        shown.summary,
        tuple(known.names),
        inspect.getdoc(inspect.getmodule(decoder)) or "",
        tuple(options_of(decoder)),
        shown.backbone,
    )


def _card(kind: type[Layer] | type[Upsampler], known: Known) -> Card:
    options = options_of(kind)
    inputs = 2 if issubclass(kind, FusionLayer) else 1
    if issubclass(kind, Upsampler):
        options = [line for line in options if not line.startswith("guide_channels=")]
    return Card(
        kind.title,
        kind.year,
        (inspect.getdoc(kind) or "").splitlines()[0],
        tuple(known.names),
        kind.__name__,
        inspect.getdoc(inspect.getmodule(kind)) or "",
        tuple(options),
        inputs,
    )
