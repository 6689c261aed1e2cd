"""Receptive fields of modules that are known by hand, and of every layer."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from pixelwise.errors import InputError
from pixelwise.layers.registry import available, create
from pixelwise.networks.factory import create_model
from pixelwise.probe.field_pictures import fields_picture
from pixelwise.probe.field_shapes import named
from pixelwise.probe.fields import effective, theoretical, unordered
from pixelwise.receptive import Energy

ROOT = Path(__file__).parents[2]
SIZE = (16, 16)
ROWS, COLUMNS = np.indices((9, 9))


class Pooled(nn.Module):
    def __init__(self, pool):
        super().__init__()
        self.pool = pool

    def forward(self, x):
        return x + self.pool(x)


class Median(nn.Module):
    """Which pixel it takes is a hard choice, and the gradient of most is zero."""

    def forward(self, x):
        middle = x.flatten(2).median(2).values
        return x + middle[:, :, None, None]


class Detached(nn.Module):
    """A pixel of the next row, without a gradient."""

    def forward(self, x):
        return x + x.roll(-1, 2).detach()


def column_numbers(x):
    return 1 + torch.arange(x.shape[3], dtype=x.dtype).expand_as(x)


class ByColumn(nn.Module):
    """A global mean in which columns have weights."""

    def forward(self, x):
        return x + (x * column_numbers(x)).mean((2, 3), keepdim=True)


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (nn.Identity(), "the pixel itself"),
        (nn.Conv2d(4, 4, 1), "the pixel itself"),
        (nn.Conv2d(4, 4, 3, padding=1), "3 x 3; depends on where it comes from"),
        (nn.Conv2d(4, 4, (5, 3), padding=(2, 1)), "5 x 3; depends on where it comes from"),
        (
            nn.Conv2d(4, 4, 3, padding=4, dilation=4),
            "3 x 3, every 4th pixel; depends on where it comes from",
        ),
        (Pooled(nn.AdaptiveAvgPool2d(1)), "whole map; an unordered summary"),
        (Pooled(nn.AdaptiveAvgPool2d((None, 1))), "row; an unordered summary"),
        (Pooled(Median()), "whole map; an unordered summary"),
        (
            nn.Sequential(
                Pooled(nn.AdaptiveMaxPool2d(1)), nn.Conv2d(4, 4, 3, padding=1, bias=False)
            ),
            "whole map; an unordered summary beyond 1 px",
        ),
        (ByColumn(), "whole map; depends on where it comes from"),
        (Detached(), "2 x 1; depends on where it comes from"),
    ],
)
def test_modules_known_by_hand(module, told):
    assert theoretical(module, 4, SIZE).told == told


def test_a_field_at_a_corner_is_cut():
    found = theoretical(nn.Conv2d(4, 4, 5, padding=2), 4, SIZE, at=(0, 15))
    assert (found.reach, found.members.sum()) == (2, 9)
    assert found.distance == pytest.approx(2 * 2**0.5)


def test_a_smaller_output_has_its_pixel_below():
    found = theoretical(nn.Conv2d(4, 4, 2, stride=2), 4, SIZE)
    assert (found.at, found.shape) == ((9, 9), "2 x 2")


def test_nothing_of_the_module_changes():
    layer = create("gc", 16, reduction=2)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    theoretical(layer, 16, SIZE, draws=1)
    effective(layer, 16, SIZE, draws=1)
    assert layer.training
    for name, value in layer.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])


def test_a_batch_norm_in_training_mode_couples_nothing():
    assert theoretical(nn.BatchNorm2d(4).train(), 4, SIZE).shape == "the pixel itself"


ORDERED = "; depends on where it comes from"
UNORDERED = "whole map; an unordered summary"
TOLD = {
    "acmix": "7 x 7" + ORDERED,
    "acmix_window": "window of 7 x 7" + ORDERED,
    "agent": "whole map" + ORDERED,
    "axial": "row and column; a summary of each row and column",
    "biformer": "741 pixels within 32 x 32" + ORDERED,
    "bam": UNORDERED + " beyond 8 px",
    "caa": "17 x 17" + ORDERED,
    "cam": UNORDERED,
    "cbam": UNORDERED + " beyond 3 px",
    "cga": "window of 7 x 7" + ORDERED,
    "channel_from_spatial": "whole map" + ORDERED,
    "conv": "3 x 3" + ORDERED,
    "coord": "row and column; a summary of each row and column",
    "cot": "whole map" + ORDERED,
    "cpca": "whole map" + ORDERED,
    "crisscross": "whole map" + ORDERED,
    "dat": "whole map" + ORDERED,
    "deform": "pixels that move with the content" + ORDERED,
    "dnl": UNORDERED,
    "double": UNORDERED,
    "eca": UNORDERED,
    "ela": "whole map" + ORDERED,
    "emsa": "whole map" + ORDERED,
    "encoding": UNORDERED,
    "external": UNORDERED,
    "focal": "whole map" + ORDERED,
    "fpa": "whole map" + ORDERED,
    "gam": "13 x 13" + ORDERED,
    "gate": "4 x 4" + ORDERED,
    "gau": UNORDERED + " beyond 1 px",
    "gc": UNORDERED,
    "hamburger": UNORDERED,
    "isa": "whole map" + ORDERED,
    "lka": "23 x 23" + ORDERED,
    "lsk": "29 x 29" + ORDERED,
    "lska": "23 x 23" + ORDERED,
    "mlca": "whole map" + ORDERED,
    "msca": "25 x 25" + ORDERED,
    "msda": "33 pixels within 9 x 9" + ORDERED,
    "nam": "the pixel itself",
    "natten": "7 x 7; an unordered summary",
    "nonlocal": UNORDERED,
    "ocr": UNORDERED,
    "pam": UNORDERED,
    "psa_p": UNORDERED,
    "psa_s": UNORDERED,
    "psanet": "whole map without 2 rows and 2 columns" + ORDERED,
    "scoord": "row and column; a summary of each row and column",
    "scsa": "whole map" + ORDERED,
    "scse": UNORDERED,
    "se": UNORDERED,
    "self_attention": UNORDERED,
    "sge": UNORDERED,
    "shuffle": UNORDERED,
    "simam": UNORDERED,
    "sk": "whole map" + ORDERED,
    "spatial_from_channel": UNORDERED,
    "spd": "6 x 6" + ORDERED,
    "ss2d": "whole map" + ORDERED,
    "strip": "3 rows and 3 columns; a summary of each row and column beyond 1 px",
    "strip_pooling": "3 rows and 3 columns; a summary of each row and column beyond 1 px",
    "triplet": "7 rows and 7 columns; a summary of each row and column beyond 3 px",
}
LARGE = {"acmix_window", "bam", "cga", "lka", "lsk", "lska", "msca", "psanet"}
"""What looks further than 20 pixels, or in windows."""
ROUTED = {"biformer"}
"""Whose draws decide which pixels are looked at, and how many."""
SLOW = {"ema": UNORDERED}
"""Its steps have no gradient, so each pixel is tried."""


def test_every_layer_has_a_row_in_the_study():
    with (ROOT / "studies/receptive_fields.csv").open(newline="") as file:
        rows = {row["layer"]: row for row in csv.DictReader(file)}
    assert available().keys() <= rows.keys()
    for name, told in (TOLD | SLOW).items():
        assert told.split(";")[0] == rows[name]["shape"]


def test_the_table_in_the_documentation_is_that_of_the_study():
    with (ROOT / "studies/receptive_fields.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    page = (ROOT / "docs/receptive-fields.md").read_text(encoding="utf-8")
    for row in rows:
        (line,) = (t for t in page.splitlines() if t.startswith(f"| `{row['layer']}` |"))
        assert row["shape"] in line
        assert f"| {row['energy_elsewhere']} |" in line


def test_every_layer_is_expected_somewhere():
    assert TOLD.keys() | SLOW.keys() == available().keys()


@pytest.mark.parametrize("key", TOLD)
def test_layers(key):
    torch.manual_seed(0)
    size = (32, 32) if key in LARGE else (20, 20)
    draws = 6 if key == "deform" else 3
    found = theoretical(create(key, 64), 64, size, draws=draws)
    pixels = re.compile(r"\d+ pixels within \d+ x \d+" if key in ROUTED else "$^")
    assert pixels.sub("", found.told) == pixels.sub("", TOLD[key])
    energy = effective(create(key, 64), 64, size, draws=2)
    if found.told == "the pixel itself":
        assert energy.elsewhere == 0
        return
    assert energy.elsewhere > 0
    assert energy.radius(0.5) <= energy.radius(0.9) <= found.distance
    if not found.moves and key not in ROUTED:
        assert not energy.values[~found.members].any()


@pytest.mark.slow
@pytest.mark.parametrize("key", SLOW)
def test_slow_layers(key):
    torch.manual_seed(0)
    assert theoretical(create(key, 16), 16, SIZE, draws=1).told == SLOW[key]
    assert effective(create(key, 16), 16, SIZE, draws=1).is_local


def test_one_round_of_criss_cross_attention_is_a_row_and_a_column():
    found = theoretical(create("crisscross", 16, recurrence=1), 16, SIZE, draws=2)
    assert found.told == "row and column; an unordered summary"


def test_a_long_range_step_alone_is_a_grid():
    members = (ROWS % 4 == 0) & (COLUMNS % 4 == 0)
    assert named(members, (4, 4)) == "every 4th pixel of the map"


def test_unordered():
    assert unordered(create("pam", 16), 16, SIZE)
    assert not unordered(create("coord", 16, reduction=4), 16, SIZE)
    assert not unordered(nn.Identity(), 4, SIZE)


@pytest.mark.parametrize(
    ("members", "shape"),
    [
        (ROWS < 0, "nothing"),
        (ROWS >= 0, "whole map"),
        ((ROWS == 4) & (COLUMNS == 4), "the pixel itself"),
        ((ROWS == 4) & (COLUMNS == 5), "window of 1 x 1"),
        (ROWS == 4, "row"),
        (COLUMNS == 4, "column"),
        (abs(ROWS - 4) <= 1, "3 rows"),
        ((ROWS == 4) | (COLUMNS == 4), "row and column"),
        ((abs(ROWS - 4) <= 1) | (COLUMNS == 4), "3 rows and column"),
        ((abs(ROWS - 4) <= 1) & (abs(COLUMNS - 4) <= 2), "3 x 5"),
        ((ROWS >= 4) & (COLUMNS >= 4), "window of 5 x 5"),
        ((ROWS % 2 == 0) & (COLUMNS % 2 == 0), "every 2nd pixel of the map"),
        (abs(ROWS - 4) + abs(COLUMNS - 4) <= 2, "13 pixels within 5 x 5"),
        ((ROWS != 1) & (COLUMNS != 7), "whole map without 1 rows and 1 columns"),
    ],
)
def test_shapes(members, shape):
    assert named(members, (4, 4)) == shape


def test_effective_field_of_a_trained_module_is_that_of_its_weights():
    convolution = nn.Conv2d(1, 1, 3, padding=1)
    found = effective(convolution, 1, (5, 5), disturb=False, draws=1)
    assert found.values[1:4, 1:4] == pytest.approx(convolution.weight[0, 0].detach().numpy() ** 2)


def test_shrunk_point_wise_attention_reads_a_quarter_of_odd_maps():
    layer = create("psanet", 16)
    assert theoretical(layer, 16, (9, 9), draws=1).shape == "every 2nd pixel of the map"
    layer = create("psanet", 16, shrink=1)
    assert theoretical(layer, 16, (9, 9), draws=1).shape == "whole map"


def test_with_gradients_in_its_steps_ema_has_an_effective_field():
    energy = effective(create("ema", 16, gradient=True), 16, SIZE, draws=2)
    assert energy.values.all()


def test_networks_have_fields_in_the_picture():
    network = create_model("fcn", "test_resnet", num_classes=3)
    energy = effective(network, 3, (64, 48), at=(10, 20), draws=2)
    assert (energy.at, energy.values.shape) == ((10, 20), (64, 48))
    assert 0 < energy.radius(0.5) < energy.radius(0.9) < 60
    assert network.training


def test_refuses_sizes_and_pixels_that_do_not_exist():
    with pytest.raises(InputError, match=r"rows=0: must be at least 1"):
        theoretical(nn.Identity(), 4, (0, 8))
    with pytest.raises(InputError, match=r"draws=0: must be at least 1"):
        effective(nn.Identity(), 4, SIZE, draws=0)
    with pytest.raises(InputError, match=r"at=\(16, 0\): outside of an output of 16 rows"):
        theoretical(nn.Identity(), 4, SIZE, at=(16, 0))
    with pytest.raises(InputError, match=r"was made for 8 channels"):
        theoretical(create("gc", 8, reduction=2), 4, SIZE)


def picture(fields):
    return np.asarray(Image.open(io.BytesIO(fields_picture(fields))).convert("RGB"), int)


def test_a_picture_shows_where_energy_is():
    near, nothing = np.zeros((9, 9)), np.zeros((9, 9))
    near[4, 4], near[4, 5], near[0, 0] = 100, 1, 1e-3
    shown = picture({"near": Energy((4, 4), near), "nothing": Energy((4, 4), nothing)})
    yellow = (shown[..., 0] > 200) & (shown[..., 1] > 200) & (shown[..., 2] < 80)
    assert yellow[:, : shown.shape[1] // 2].any()
    assert not yellow[:, shown.shape[1] // 2 : -250].any()
    with pytest.raises(InputError, match=r"fields={}: must hold at least one field; name a layer"):
        fields_picture({})


def test_a_picture_takes_any_number_of_fields_and_any_name():
    field = Energy((2, 1), np.ones((5, 3)))
    assert (
        picture({f"$_{n} 注意力": field for n in range(7)}).shape[0]
        > picture({"a": field}).shape[0]
    )
