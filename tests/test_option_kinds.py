"""Values of options are of the kinds that constructors are annotated with, or told."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from pixelwise.errors import InputError
from pixelwise.kinds import KindsChecked, described
from pixelwise.layers.registry import available as layers
from pixelwise.layers.upsampling.registry import create_upsampler
from pixelwise.networks.factory import create_model


class Thing(metaclass=KindsChecked):
    def __init__(
        self,
        channels: int,
        *,
        bias: bool = False,
        factor: float = 0.5,
        width: int | None = None,
        sides: Sequence[int] = (3, 5),
        window: int | tuple[int, int] = 7,
        either: int | float = 2,
        made: Callable[[], int] | None = None,
    ) -> None:
        self.values = {k: v for k, v in locals().items() if k != "self"}


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"channels": np.int64(4)}, 4),
        ({"bias": np.bool_(True)}, True),
        ({"factor": 2}, 2.0),
        ({"factor": np.float32(0.25)}, 0.25),
        ({"width": np.int32(8)}, 8),
        ({"width": None}, None),
        ({"sides": [1, 3]}, (1, 3)),
        ({"sides": np.array([1, 3])}, (1, 3)),
        ({"window": [2, 3]}, (2, 3)),
        ({"window": np.int64(3)}, 3),
        ({"either": 3}, 3),
        ({"made": int}, int),
    ],
)
def test_numbers_of_numpy_and_lists_become_what_is_meant(options, found):
    ((name, _),) = options.items()
    value = Thing(**{"channels": 1, **options}).values[name]
    assert (value, type(value)) == (found, type(found))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"channels": "64"}, "channels='64': must be a whole number; give one"),
        ({"channels": True}, "channels=True: must be a whole number; give one"),
        ({"bias": "no"}, "bias='no': must be true or false; give one, such as False"),
        ({"bias": None}, "bias=None: must be true or false; give one, such as False"),
        ({"factor": float("nan")}, "factor=nan: must be a number; give one, such as 0.5"),
        ({"width": 8.0}, "width=8.0: must be a whole number; give one, or leave it out"),
        ({"sides": 3}, "sides=3: must be a list of whole numbers; give one, such as (3, 5)"),
        ({"sides": "35"}, "sides='35': must be a list of whole numbers; give one, such as (3, 5)"),
        (
            {"window": (1, 2, 3)},
            "window=(1, 2, 3): must be a whole number or a list of 2 whole numbers; give one, such"
            " as 7",
        ),
        ({"either": "2"}, "either='2': must be a number; give one, such as 2"),
    ],
)
def test_a_value_of_another_kind_is_told_in_a_line(options, told):
    with pytest.raises(InputError) as error:
        Thing(**{"channels": 1, **options})
    assert str(error.value) == told


def test_positions_count_too_and_missing_or_foreign_names_are_pythons_to_tell():
    with pytest.raises(InputError, match=r"channels=1\.5: must be a whole number"):
        Thing(1.5)
    for given, options in (((), {}), ((1, 2), {}), ((1,), {"other": 2})):
        with pytest.raises(TypeError):
            Thing(*given, **options)


@pytest.mark.parametrize("key", layers())
def test_every_layer_has_it(key):
    with pytest.raises(InputError, match=r"channels=64\.0: must be a whole number"):
        layers()[key](64.0)


def test_upsamplers_and_networks_have_it():
    with pytest.raises(InputError, match="style=0: must be text; give one, such as 'lp'"):
        create_upsampler("dysample", 64, style=0)
    with pytest.raises(InputError, match="width='64': must be a whole number"):
        create_model("segformer", "test_resnet", num_classes=2, width="64")


def test_a_mixed_number_is_a_number_in_words():
    assert described(int | float | None) == "a number or null"
