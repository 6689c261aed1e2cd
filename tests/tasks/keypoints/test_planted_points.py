"""A heat map drawn at a known place is decoded to that place, border included."""

import csv
import importlib
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from pixelwise.data.points.skeleton import Skeleton
from pixelwise.errors import InputError
from pixelwise.networks.answering import Answering
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.factory import create_model
from pixelwise.tasks.keypoints.decoding import DECODERS, decode, decode_points, soft_argmax
from pixelwise.tasks.keypoints.flipping import flip_average, flip_back
from pixelwise.tasks.keypoints.geometry import crop_matrix, inverse, mirrored_points, transformed
from pixelwise.tasks.keypoints.placing import PLACEMENTS, cells_of, points_of
from pixelwise.tasks.keypoints.targets import TARGETS, draw_targets
from pixelwise.tasks.registry import task_of

MOST = 0.05
"""Pixels of the picture."""
EXACT = ("dark", "udp", "soft_argmax")
HEIGHT, WIDTH = 28, 24
SKELETON = Skeleton(("nose", "left", "right"), pairs=((1, 2),))


def places(stride, count=400, kind=torch.float64):
    """Points anywhere in the picture, a third of them within two cells of a border or corner."""
    generator = torch.Generator().manual_seed(stride)
    size = torch.tensor([WIDTH * stride, HEIGHT * stride], dtype=kind)
    points = torch.rand(count, 3, 2, generator=generator, dtype=kind) * size
    third = count // 3
    points[:third] = points[:third] / size * 2 * stride
    points[: third // 2] = size - points[: third // 2] - 1e-6
    points[: third // 2 : 2, :, 0] *= torch.rand(len(points[: third // 2 : 2]), 1, dtype=kind)
    points[0, 0] = 0.0
    points[0, 1] = size - 1e-6
    return points


def drawn(points, stride, target="gaussian", **options):
    visible = torch.ones(points.shape[:2])
    return draw_targets(points, visible, (HEIGHT, WIDTH), stride, target=target, **options)


def error(found, wanted):
    return (found - wanted).norm(dim=-1).max().item()


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("kind", [torch.float64, torch.float32, torch.float16])
def test_any_place(stride, method, kind):
    points = places(stride)
    maps, weights = drawn(points, stride)
    assert weights.all()
    found, scores = decode_points(maps.to(kind), stride, method)
    assert error(found, points) < MOST
    assert scores.min() > 0.75  # the corner of a cell is its farthest place


@pytest.mark.parametrize("sigma", [1.0, 1.5, 3.0])
@pytest.mark.parametrize("method", EXACT)
def test_bumps_of_any_width(sigma, method):
    points = places(8)
    maps = drawn(points, 8, spread=sigma)[0]
    assert error(decode_points(maps, 8, method, sigma=sigma)[0], points) < MOST


@pytest.mark.parametrize("target", ["dark", "msra_unbiased", "udp"])
@pytest.mark.parametrize("method", EXACT)
def test_published_targets_in_their_own_placement(target, method):
    points = places(4)
    maps = drawn(points, 4, target)[0]
    assert error(decode_points(maps, 4, method, target=target)[0], points) < MOST


@pytest.mark.parametrize("stride", [4, 8])
def test_offsets_in_discs(stride):
    points = places(stride)
    maps = drawn(points, stride, "udp_offset", spread=0.1)[0]
    found = decode_points(maps, stride, "udp_offset", target="udp_offset", radius=0.1)[0]
    assert error(found, points) < MOST


def test_quarter_of_a_cell_is_right_to_a_quarter():
    points = places(8)
    cells = cells_of(points, 8, (HEIGHT, WIDTH))
    limit = torch.tensor([WIDTH, HEIGHT]) - 4
    inside = ((cells > 3) & (cells < limit)).all(dim=-1)
    found = decode(drawn(points, 8)[0], "argmax")[0]
    assert (found - cells)[inside].abs().max() <= 0.25 + 1e-9
    assert (found - cells).abs().max() > 0.25


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("stride", [4, 8])
def test_with_a_mirrored_picture(method, stride):
    points = places(stride)
    partners = SKELETON.mirrored()
    mirrored = torch.from_numpy(mirrored_points(points.numpy(), WIDTH * stride, partners))
    mirrored.clamp_(min=0)
    maps, flipped = (drawn(p, stride)[0] for p in (points, mirrored))
    found = decode_points(flip_average(maps, flipped, partners), stride, method)[0]
    assert error(found, points) < MOST


def test_mirrored_maps_are_the_maps_exactly():
    points = places(4) // 1 + 0.5
    partners = SKELETON.mirrored()
    mirrored = torch.from_numpy(mirrored_points(points.numpy(), WIDTH * 4, partners))
    for target in ("gaussian", "udp", "udp_offset"):
        maps, flipped = (drawn(p, 4, target)[0] for p in (points, mirrored))
        back = flip_back(flipped, partners, offsets=target == "udp_offset")
        torch.testing.assert_close(back, maps, rtol=0, atol=1e-12)


def test_flipped_maps_of_another_skeleton():
    with pytest.raises(InputError, match="must have 1 map"):
        flip_back(torch.zeros(1, 4, 5, 5), SKELETON.mirrored())


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("mirror", [False, True])
def test_after_crop_and_rotation_and_back(method, stride, mirror):
    inside = places(stride)
    matrix = crop_matrix(
        (31.5, 20.25, 150.0, 260.0),
        (HEIGHT * stride, WIDTH * stride),
        rotation=33.0,
        mirror=mirror,
    )
    picture = transformed(inside.numpy(), inverse(matrix))
    points = torch.from_numpy(transformed(picture, matrix)).clamp(min=0)
    found = decode_points(drawn(points, stride)[0], stride, method)[0].numpy()
    zoom = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    back = transformed(found, inverse(matrix))
    assert np.linalg.norm(back - picture, axis=-1).max() * zoom < MOST


@pytest.mark.parametrize("method", DECODERS)
def test_maps_without_a_place(method):
    maps = torch.zeros(4, 3, 9, 7)
    maps[1] = -1.0
    maps[2] = math.nan
    maps[3] = math.inf
    points, scores = decode(maps, method)
    assert points.isnan().all()
    assert (scores == 0).all()


@pytest.mark.parametrize("method", EXACT)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (3, 1), (4, 5)])
def test_small_maps(method, size):
    maps = torch.zeros(1, 1, *size)
    maps[..., -1, -1] = 0.5
    points, scores = decode(maps, method)
    assert (points[0, 0] - torch.tensor([size[1] - 1.0, size[0] - 1.0])).abs().max() <= 1
    assert scores.item() == 0.5
    if size == (1, 1):
        assert points.tolist() == [[[0.0, 0.0]]]


@pytest.mark.parametrize("method", DECODERS)
def test_no_picture(method):
    points, scores = decode(torch.zeros(0, 3, 8, 8), method)
    assert points.shape == (0, 1 if method == "udp_offset" else 3, 2)
    assert scores.shape == points.shape[:2]


@pytest.mark.parametrize("method", EXACT)
def test_noise_moves_a_place_by_a_fraction_of_a_cell(method):
    torch.manual_seed(0)
    points = places(4)
    maps = drawn(points, 4)[0]
    found = decode(maps + 0.02 * torch.randn_like(maps), method)[0]
    away = (found - cells_of(points, 4, (HEIGHT, WIDTH))).norm(dim=-1)
    assert away.mean() < 0.1


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_cells_and_points_are_inverse(placement):
    points = places(8)
    cells = cells_of(points, 8, (HEIGHT, WIDTH), placement)
    torch.testing.assert_close(points_of(cells, 8, (HEIGHT, WIDTH), placement), points)


def test_centres_of_first_and_last_cells():
    centres = torch.tensor([[0.0, 0.0], [WIDTH - 1.0, HEIGHT - 1.0]])
    wanted = {
        "halves": [[2.0, 2.0], [WIDTH * 4 - 2.0, HEIGHT * 4 - 2.0]],
        "integers": [[0.5, 0.5], [WIDTH * 4 - 3.5, HEIGHT * 4 - 3.5]],
        "corners": [[0.5, 0.5], [WIDTH * 4 - 0.5, HEIGHT * 4 - 0.5]],
    }
    for placement, points in wanted.items():
        found = points_of(centres, 4, (HEIGHT, WIDTH), placement)
        torch.testing.assert_close(found, torch.tensor(points))


def test_soft_argmax_in_space():
    logits = torch.full((1, 1, 3, 4, 5), -100.0)
    logits[0, 0, 2, 1, 3] = 0.0
    assert soft_argmax(logits).tolist() == [[[3.0, 1.0, 2.0]]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "drak"}, "did you mean 'dark'"),
        ({"sigma": 0.0}, "sigma=0.0: must be above 0"),
        ({"method": "udp_offset"}, "needs three maps per point, not 4"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        decode(torch.zeros(1, 4, 5, 5), **options)


def test_maps_without_cells():
    with pytest.raises(InputError, match="at least one cell"):
        decode(torch.zeros(1, 4, 0, 5))


@pytest.mark.parametrize("target", TARGETS)
def test_missing_points_and_points_outside(target):
    points = torch.tensor([[[math.nan, 3.0], [50.0, 50.0], [-400.0, 5.0], [50.0, 50.0]]])
    visible = torch.tensor([[2, 0, 2, 1]])
    maps, weights = draw_targets(points, visible, (HEIGHT, WIDTH), 4, target=target)
    outside = 1.0 if target == "udp_offset" else 0.0  # as published
    assert weights.tolist() == [[0.0, 0.0, outside, 1.0]]
    each = maps.unflatten(1, (4, -1)).flatten(2)
    assert maps.isfinite().all()
    assert (each[:, :3] == 0).all()
    assert each[0, 3].max() > 0.8


@pytest.mark.parametrize("target", TARGETS)
def test_no_picture_to_draw(target):
    maps, weights = draw_targets(
        torch.zeros(0, 3, 2), torch.zeros(0, 3), (HEIGHT, WIDTH), 4, target=target
    )
    assert maps.shape == (0, 3 * TARGETS[target].maps, HEIGHT, WIDTH)
    assert weights.shape == (0, 3)


def test_bad_targets():
    with pytest.raises(InputError, match="did you mean 'gaussian'"):
        drawn(places(4), 4, "gausian")
    with pytest.raises(InputError, match=r"spread=0.0: must be above 0"):
        drawn(places(4), 4, spread=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("method", DECODERS)
def test_part_of_an_exported_network(method):
    class Network(torch.nn.Module):
        def forward(self, maps):
            return decode_points(maps, 4, method)

    maps = drawn(places(4, kind=torch.float32)[:6], 4)[0]
    free = {0: torch.export.Dim("batch", min=2, max=64)}
    program = torch.export.export(Network(), (maps,), dynamic_shapes=(free,))
    for count in (2, 5):
        found, wanted = (f(maps[:count]) for f in (program.module(), Network()))
        torch.testing.assert_close(found, wanted, equal_nan=True)


STUDIES = Path(__file__).parents[3] / "studies"


def test_the_study_of_planted_points(monkeypatch):
    """Its CSV is what its script gives, and what the guide tells."""
    monkeypatch.syspath_prepend(str(STUDIES))
    study = importlib.import_module("planted_points")
    with (STUDIES / "planted_points.csv").open(newline="") as file:
        recorded = list(csv.DictReader(file))
    assert len(recorded) == len(DECODERS) * 2 * 2 * 3
    guide = (STUDIES.parent / "docs" / "keypoints.md").read_text()
    for row in recorded:
        largest, stride = float(row["largest_px"]), int(row["stride"])
        assert row["decoder"] not in EXACT or largest < MOST
        if row["way"] == "plain":
            assert f" {row['largest_px']} | {row['mean_px']} |" in guide
        if row["decoder"] in ("dark", "argmax"):
            found = study.errors(row["decoder"], stride, row["place"], row["way"], 20)
            assert found.max() < largest + 1e-3
            assert found.mean() == pytest.approx(float(row["mean_px"]), abs=0.3 * largest + 1e-4)


class Blurred(torch.nn.Module):
    """Stands for a network: its maps are the means of its input's channels over 4 x 4 pixels."""

    def __init__(self, **options):
        super().__init__()
        self.config = ModelConfig(
            "fcn", "test_resnet", 3, task="keypoints", task_options={"pairs": ((1, 2),), **options}
        )
        self.task = task_of("keypoints", self.config)

    def forward(self, image):
        return torch.nn.functional.avg_pool2d(image, 4)


def bumps(count, height, width):
    """Images (count, 3, height, width) of which each channel shows one bump."""
    rng = np.random.default_rng([count, height, width])
    y, x = np.mgrid[:height, :width] + 0.5
    places = rng.uniform((1, 1), (width - 1, height - 1), (count, 3, 2))[..., None, None]
    squares = (x - places[:, :, 0]) ** 2 + (y - places[:, :, 1]) ** 2
    found = torch.from_numpy(np.exp(-squares / (2 * 8.0**2))).float()
    return found, torch.from_numpy(places[..., 0, 0]).float()


ENDS = [(m, flip) for m in ("argmax", "dark", "udp", "soft_argmax") for flip in (False, True)]


@pytest.mark.parametrize("method", ["argmax", "dark", "udp", "soft_argmax"])
def test_a_network_that_ends_with_its_decoder(method):
    network = Answering(Blurred(decoder=method, maps="heat"))
    image, places = bumps(3, 64, 96)
    found = network(image)
    assert found.shape == (3, 3, 3)
    assert error(found[..., :2], places) < (4 if method == "argmax" else 0.5)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "flip"), ENDS)
@pytest.mark.filterwarnings("ignore")
def test_exported_with_its_decoder(method, flip, tmp_path):
    """As a program and as an ONNX file, batch and size free: the eager answer within 1e-4 px."""
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    network = Answering(Blurred(decoder=method, flip=flip, maps="heat")).eval()
    free = (dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC),)
    sample = bumps(2, 64, 96)[0]
    program = torch.export.export(network, (sample,), dynamic_shapes=free)
    file = tmp_path / "network.onnx"
    torch.onnx.export(program, dynamo=True, verbose=False).save(file)
    session = runtime.InferenceSession(str(file))
    for size in ((1, 48, 80), (3, 64, 96), (5, 100, 72)):
        image = bumps(*size)[0]
        wanted = network(image)
        torch.testing.assert_close(program.module()(image), wanted, rtol=0, atol=1e-4)
        (found,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_whole_network_as_an_onnx_file_of_any_size(tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    options = {"decoder": "argmax", "maps": "softmax", "flip": True, "pairs": ((0, 1),)}
    model = create_model(
        "fcn",
        "test_resnet",
        num_classes=3,
        task="keypoints",
        task_options=options,
        output_stride=16,
    ).eval()
    free = (dict.fromkeys((0, 2, 3), torch.export.Dim.DYNAMIC),)
    program = torch.onnx.export(
        model.answering(), (torch.randn(2, 3, 64, 96),), dynamo=True, dynamic_shapes=free
    )
    program.save(tmp_path / "network.onnx")
    session = runtime.InferenceSession(str(tmp_path / "network.onnx"))
    for size in ((1, 64, 96), (3, 70, 90), (2, 33, 47)):
        image = torch.randn(size[0], 3, *size[1:])
        (found,) = session.run(None, {session.get_inputs()[0].name: image.numpy()})
        wanted = model.answering()(image)
        torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=0, atol=1e-4)
