"""The network inside a backbone: timm's of that name, or one that is made here."""

import functools
import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import timm

from pixelwise.errors import InputError, unknown
from pixelwise.networks.backbones import mit, mscan
from pixelwise.networks.backbones.bisenetv2 import BiSeNetV2Body
from pixelwise.networks.backbones.hrnet import meet
from pixelwise.networks.backbones.unet_encoder import UNetEncoder

OWN: Mapping[str, Callable[..., Any]] = {
    "bisenetv2": BiSeNetV2Body,
    "unet_encoder": UNetEncoder,
    **{name: functools.partial(mit.MixTransformer, **o) for name, o in mit.variants().items()},
    **{name: functools.partial(mscan.MSCAN, **o) for name, o in mscan.variants().items()},
}
"""Backbones that are made here, by name. Keyword-only arguments are options."""


def is_backbone(name: str) -> bool:
    """Whether there is one of this name, here or in timm."""
    return name in OWN or timm.is_model(name.partition(".")[0])


def create_body(
    name: str,
    in_channels: int,
    pretrained: bool,
    output_stride: int | None,
    preferred_stride: int,
    build: Mapping[str, Any],
) -> Any:
    """The network that gives feature maps: at `output_stride`, or at the preferred one if it can.

    Raises:
        InputError: An unknown name or option, or a stride that the network cannot have.
    """
    if not is_backbone(name) and "/" not in name:
        raise unknown("backbone", name, [*OWN, *timm.list_models()])
    if output_stride not in (None, 8, 16, 32):
        raise InputError(f"output_stride={output_stride}: must be 8, 16 or 32; use one of them")
    if name in OWN:
        return _own(name, in_channels, pretrained, output_stride, build)
    wanted = output_stride or preferred_stride
    if name.startswith("hrnet"):  # its branches, without the widening made for classification
        build = {"feature_location": "", **build}
    body = None
    if wanted < 32:
        body = _try_timm(name, in_channels, pretrained, {"output_stride": wanted, **build})
        if body is not None and body.feature_info.reduction()[-1] != wanted:
            body = None
        if body is None and output_stride is not None:
            own = _any_timm(name, in_channels, False, build).feature_info.reduction()[-1]
            raise InputError(
                f"backbone {name!r} cannot work at output_stride={output_stride}; its own is {own}."
                f" Take output_stride=None, or a backbone such as 'resnet50' or 'convnext_tiny'"
            )
    if body is None:
        body = _any_timm(name, in_channels, pretrained, build)
    if isinstance(body, timm.models.hrnet.HighResolutionNetFeatures):
        meet(body)
    own = body.feature_info.reduction()[-1]
    if output_stride is not None and own != output_stride:
        raise InputError(
            f"backbone {name!r} cannot work at output_stride={output_stride}; its own is {own}"
        )
    return body


def _own(
    name: str,
    in_channels: int,
    pretrained: bool,
    output_stride: int | None,
    build: Mapping[str, Any],
) -> Any:
    if pretrained:
        raise InputError(
            f"backbone {name!r} has no pretrained weights here; train from scratch with"
            f" pretrained=False"
        )
    parameters = inspect.signature(OWN[name]).parameters.values()
    known = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    foreign = [option for option in build if option not in known]
    if foreign:
        raise InputError(
            f"backbone={name!r}: has no options such as {', '.join(foreign)}; leave them out"
        )
    body = OWN[name](in_channels, **build)
    own = body.feature_info.reduction()[-1]
    if output_stride not in (None, own):
        raise InputError(
            f"backbone {name!r} cannot work at output_stride={output_stride}; its own is {own}"
        )
    return body


def _any_timm(name: str, in_channels: int, pretrained: bool, build: Mapping[str, Any]) -> Any:
    """The backbone with a free input size, where its family needs to be asked for it."""
    for options in ({"strict_img_size": False}, {"dynamic_img_size": True}, {}):
        body = _try_timm(name, in_channels, pretrained, {**options, **build}, last=not options)
        if body is not None:
            return body
    raise AssertionError("the last attempt raises or returns")


def _try_timm(
    name: str, in_channels: int, pretrained: bool, options: dict[str, Any], last: bool = False
) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecated timm names, SyncBN and the like
            return timm.create_model(
                name, features_only=True, in_chans=in_channels, pretrained=pretrained, **options
            )
    except (TypeError, AssertionError, NotImplementedError, ValueError) as error:
        # How timm's families say that they do not know an option or a stride.
        if last:
            raise InputError(
                f"backbone={name!r}: gives no feature maps ({error}); choose another"
            ) from error
        return None
    except (OSError, RuntimeError) as error:
        if not pretrained:
            raise InputError(
                f"backbone={name!r}: cannot be built ({error}); choose another"
            ) from error
        raise InputError(
            f"backbone={name!r}: its pretrained weights could not be loaded"
            f" ({type(error).__name__}: {str(error).splitlines()[0]}); without a network"
            " connection, fill the cache first or train from scratch with pretrained=False"
        ) from error
