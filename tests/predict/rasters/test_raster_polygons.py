import contextlib
import csv
import json
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
import rasterio
import torch
from rasterio.features import shapes
from rasterio.transform import Affine

import pixelwise.predict
from pixelwise import create_model
from pixelwise.cli.main import main
from pixelwise.errors import InputError
from pixelwise.predict.rasters.polygons import drawing
from pixelwise.predict.rasters.polygons.outlines import Outliner
from pixelwise.predict.rasters.polygons.regions import Regions
from pixelwise.predict.rasters.polygons.simplified import Simplifier

pyogrio = pytest.importorskip("pyogrio", reason="polygons need pyogrio")
shapely = pytest.importorskip("shapely", reason="polygons need shapely")
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
TURNED = Affine.translation(500000, 20000) @ Affine.rotation(30) @ Affine.scale(0.5, -0.5)
UTM = {"crs": "EPSG:32636", "transform": TURNED}
DEGREES = {"crs": "EPSG:4326", "transform": Affine(1e-3, 0, 30, 0, -1e-3, 50)}
NAMES = ["土地", "building", "tree"]


def regions(seed=0, height=60, width=50, classes=3):
    rng = np.random.default_rng(seed)
    numbers = np.kron(rng.integers(0, classes, (height // 5, width // 5)), np.ones((5, 5)))
    numbers[rng.random((height, width)) < 0.05] = 1
    numbers[:12, :9] = 255
    return numbers.astype("uint8")


def write(path, numbers, names=NAMES, **about):
    numbers = numbers if numbers.ndim == 3 else numbers[None]
    about = {"nodata": 255, "dtype": numbers.dtype, **about}
    count, height, width = numbers.shape
    with rasterio.open(
        path, "w", driver="GTiff", count=count, height=height, width=width, **about
    ) as file:
        file.write(numbers)
        if names and count == 1:
            file.update_tags(classes=json.dumps(names))
        for band, name in enumerate(names[:count], start=1):
            file.set_band_description(band, name)
    return path


def read(path):
    """The columns and polygons of a GeoPackage."""
    about, _, found, columns = pyogrio.raw.read(path)
    return about, dict(zip(about["fields"], columns, strict=True)), shapely.from_wkb(found)


def table(path):
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def in_strips(numbers, valid, heights, outliner):
    """(class, polygon) of a raster that is given in strips."""
    numbering, top, found = Regions(numbers.shape[1]), 0, []
    for height in (*heights, 1000):
        rows = slice(top, min(top + height, len(numbers)))
        if rows.start < len(numbers):
            strip = numbering.add(numbers[rows], valid[rows])
            polygons, classes = outliner.add(strip)
            found += zip(classes.tolist(), polygons, strict=True)
        top += height
    nothing = np.zeros((1, numbers.shape[1]), np.uint8)
    polygons, classes = outliner.add(numbering.add(nothing, nothing > 0))
    return [*found, *zip(classes.tolist(), polygons, strict=True)]


def expected(numbers, valid):
    found = shapes(numbers, mask=valid, connectivity=4)
    return [(int(value), shapely.geometry.shape(shape)) for shape, value in found]


def comparable(found):
    return sorted((value, shapely.normalize(polygon).wkb) for value, polygon in found)


@pytest.mark.parametrize("seed", range(12))
def test_strips_of_any_height_give_the_polygons_of_the_whole(seed):
    rng = np.random.default_rng(seed)
    numbers = rng.integers(0, rng.integers(2, 5), rng.integers(1, 20, 2)).astype("uint8")
    valid = rng.random(numbers.shape) < rng.choice([0.6, 0.95, 1])
    whole = expected(numbers, valid)
    heights = rng.integers(1, rng.integers(2, 9), 20).tolist()
    found = in_strips(numbers, valid, heights, Outliner())
    assert comparable(found) == comparable(whole)
    assert shapely.is_valid([polygon for _, polygon in found]).all()
    thin = in_strips(numbers, valid, heights, Simplifier(1e-9))
    for value in range(5):
        one, other = ([p for v, p in some if v == value] for some in (thin, whole))
        assert len(one) == len(other)
        assert shapely.union_all(one).equals(shapely.union_all(other))


def test_rings_in_rings_over_many_strips():
    numbers = np.zeros((21, 21), np.uint8)
    for k in range(10):
        numbers[k : 21 - k, k : 21 - k] = k % 2
    numbers[10, 0:10] = 1  # joins rings of every second class
    valid = np.ones(numbers.shape, np.bool_)
    found = in_strips(numbers, valid, [2] * 11, Outliner())
    assert comparable(found) == comparable(expected(numbers, valid))


@pytest.mark.parametrize("seed", range(4))
def test_simplified_neighbours_share_their_border(seed):
    numbers = regions(seed)
    valid = np.ones(numbers.shape, np.bool_)
    found = [p for _, p in in_strips(numbers, valid, [17] * 5, Simplifier(3.0))]
    whole = [p for _, p in expected(numbers, valid)]
    assert shapely.is_valid(found).all()
    assert len(found) == len(whole)
    assert sum(shapely.get_num_coordinates(found)) < sum(shapely.get_num_coordinates(whole))
    assert sum(shapely.area(found)) == pytest.approx(numbers.size)
    assert shapely.union_all(found).area == pytest.approx(numbers.size)


@pytest.mark.parametrize("about", [UTM, DEGREES, {}], ids=["turned", "degrees", "nowhere"])
@pytest.mark.parametrize("kind", ["gpkg", "geojson"])
def test_polygons_have_their_place_names_and_areas(tmp_path, about, kind):
    numbers = regions()
    source = write(tmp_path / "classes.tif", numbers, **about)
    out, areas = tmp_path / f"out.{kind}", tmp_path / "areas.csv"
    counts = pixelwise.predict.polygons(source, out, areas=areas)
    _, columns, polygons = read(out)
    assert dict(zip(*np.unique(columns["name"], return_counts=True), strict=True)) == counts
    assert np.array_equal(np.array(NAMES, object)[columns["class"]], columns["name"])
    rows = table(areas)
    assert [row["name"] for row in rows] == NAMES
    assert {row["unit"] for row in rows} == {"metre" if about else "pixel"}
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1, abs=1e-5)
    for row in rows:
        mine = columns["class"] == int(row["class"])
        pixels = int((numbers == int(row["class"])).sum())
        assert int(row["pixels"]) == pixels
        assert columns["area"][mine].sum() == pytest.approx(float(row["area"]), rel=1e-9)
        if about is not DEGREES:
            assert float(row["area"]) == pixels * (0.25 if about else 1)
    if kind == "gpkg":
        transform = about.get("transform", Affine.identity())
        whole = shapes(numbers, mask=numbers != 255, connectivity=4, transform=transform)
        whole = shapely.union_all([shapely.geometry.shape(shape) for shape, _ in whole])
        assert shapely.union_all(polygons).symmetric_difference(whole).area < 1e-6


def test_degrees_are_measured_on_the_ellipsoid(tmp_path):
    """Against a sum over thin slices between two parallels."""
    about = {"crs": "EPSG:4326", "transform": Affine(1, 0, 7, 0, -1, 51)}
    source = write(tmp_path / "one.tif", np.zeros((1, 1), np.uint8), **about)
    pixelwise.predict.polygons(source, tmp_path / "one.gpkg")
    _, columns, _ = read(tmp_path / "one.gpkg")
    degree, e2 = np.pi / 180, 0.00669437999014
    latitude = (50 + (np.arange(10_000) + 0.5) / 10_000) * degree
    bend = 1 - e2 * np.sin(latitude) ** 2
    north = 6378137 * (1 - e2) / bend**1.5 * degree / 10_000
    east = 6378137 / np.sqrt(bend) * np.cos(latitude) * degree
    assert columns["area"][0] == pytest.approx((north * east).sum(), rel=1e-8)
    sides = 2 * north.sum() + east[0] + east[-1]
    assert columns["length"][0] == pytest.approx(sides, rel=1e-6)


def test_geojson_is_in_degrees(tmp_path):
    source = write(tmp_path / "classes.tif", regions(), **UTM)
    pixelwise.predict.polygons(source, tmp_path / "a.geojson")
    pixelwise.predict.polygons(source, tmp_path / "a.gpkg")
    content = json.loads((tmp_path / "a.geojson").read_text("utf-8"))
    assert "crs" not in content
    found = shapely.union_all([shapely.geometry.shape(f["geometry"]) for f in content["features"]])
    west, south, east, north = shapely.union_all(read(tmp_path / "a.gpkg")[2]).bounds
    bounds = rasterio.warp.transform_bounds("EPSG:32636", "EPSG:4326", west, south, east, north)
    assert found.bounds == pytest.approx(bounds, abs=1e-6)
    assert all(shapely.geometry.shape(f["geometry"]).exterior.is_ccw for f in content["features"])


def test_a_map_that_stretches_areas_is_told(tmp_path):
    about = {"crs": "EPSG:3857", "transform": Affine(0.5, 0, 5e5, 0, -0.5, 7e6)}
    source, lines = write(tmp_path / "classes.tif", regions(), **about), []
    pixelwise.predict.polygons(source, areas=tmp_path / "a.csv", say=lines.append)
    assert "2.77 times as large" in lines[0]


def test_some_classes_and_large_polygons_only(tmp_path):
    source = write(tmp_path / "classes.tif", regions(), **UTM)
    out = tmp_path / "out.gpkg"
    counts = pixelwise.predict.polygons(source, out, of=["tree", "0"], minimum_area=8.0)
    _, columns, _ = read(out)
    assert set(counts) == {"土地", "tree"} == set(columns["name"])
    assert columns["area"].min() >= 8
    assert columns["area"].min() < 20


def test_labels_have_polygons_each(tmp_path):
    labels = np.stack([regions(seed) % 2 for seed in range(2)])
    labels[:, :12, :9] = 255
    source = write(tmp_path / "labels.tif", labels, ["road", "shadow"], **UTM)
    pixelwise.predict.polygons(source, tmp_path / "out.gpkg", areas=tmp_path / "out.csv")
    _, columns, _ = read(tmp_path / "out.gpkg")
    for band, name in enumerate(["road", "shadow"]):
        mine = columns["class"] == band
        assert set(columns["name"][mine]) == {name}
        assert columns["area"][mine].sum() == (labels[band] == 1).sum() * 0.25
    rows = table(tmp_path / "out.csv")
    share = (labels[0] == 1).sum() / (labels[0] != 255).sum()
    assert float(rows[0]["share"]) == pytest.approx(share, abs=1e-6)


@pytest.mark.parametrize("kind", ["gpkg", "geojson"])
def test_nothing_to_draw_is_an_empty_layer(tmp_path, kind):
    source = write(tmp_path / "classes.tif", np.full((9, 9), 255, np.uint8), **UTM)
    out = tmp_path / f"out.{kind}"
    pixelwise.predict.polygons(source, out, areas=tmp_path / "out.csv")
    assert pyogrio.read_info(out)["features"] == 0
    assert [row.split(",")[2] for row in (tmp_path / "out.csv").read_text().split()] == [
        "pixels", "0", "0", "0",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["gpkg", "geojson"])
def test_equal_rasters_give_equal_bytes(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(drawing, "BATCH", 50)
    monkeypatch.setattr(drawing, "STRIP", 50 * 20)
    source, found = write(tmp_path / "classes.tif", regions(), **UTM), []
    out = tmp_path / f"out.{kind}"
    for _ in range(2):
        pixelwise.predict.polygons(source, out)
        found.append(out.read_bytes())
    assert found[0] == found[1]
    assert len(read(out)[2]) > 100
    assert sorted(p.name for p in tmp_path.iterdir()) == ["classes.tif", out.name]


REFUSED = [
    ({"out": "out.shp"}, "must end in .gpkg or"),
    ({"out": "none/out.gpkg"}, "there is no folder"),
    ({"out": "theirs.gpkg"}, "pixelwise did not write it"),
    ({"out": "theirs.geojson"}, "pixelwise did not write it"),
    ({"areas": "theirs.csv"}, "pixelwise did not write it"),
    ({"areas": "areas.txt"}, "must end in .csv"),
    ({}, "nothing is wanted"),
    ({"out": "out.gpkg", "of": ["bulding"]}, "did you mean 'building'"),
    ({"out": "out.gpkg", "of": ["3"]}, "polygons_of='3'"),
    ({"out": "out.gpkg", "of": []}, "names no class"),
    ({"out": "out.gpkg", "simplify": -1.0}, "simplify=-1"),
    ({"out": "out.gpkg", "minimum_area": float("nan")}, "minimum_area=nan"),
    ({"raster": "floats.tif", "out": "out.gpkg"}, "not classes"),
    ({"raster": "words.tif", "out": "out.gpkg"}, "is no raster"),
    ({"raster": "picture.tif", "out": "out.gpkg"}, "band 1 holds"),
    ({"raster": "plan.tif", "out": "out.geojson"}, "GeoJSON is in degrees"),
    ({"out": "edited.gpkg"}, "pixelwise did not write it"),
    ({"out": "open.gpkg"}, "another program has open"),
    ({"out": "classes.tif"}, "must end in"),
    ({"raster": "seam.tif", "out": "out.geojson"}, "180th meridian"),
]


@pytest.mark.parametrize(("given", "told"), REFUSED, ids=[told for _, told in REFUSED])
def test_what_does_not_fit_is_told_and_nothing_is_lost(tmp_path, monkeypatch, given, told):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "classes.tif", regions(), **UTM)
    write(tmp_path / "floats.tif", regions().astype("float32"), **UTM)
    seam = {"crs": "EPSG:32660", "transform": Affine(1, 0, 833920, 0, -1, 100000)}
    write(tmp_path / "seam.tif", regions(), **seam)
    write(tmp_path / "picture.tif", np.stack([regions(), regions(1)]), [])
    plan = 'LOCAL_CS["plan",UNIT["metre",1]]'
    write(tmp_path / "plan.tif", regions(), crs=plan, transform=TURNED)
    (tmp_path / "open.gpkg-wal").touch()
    pixelwise.predict.polygons("classes.tif", "edited.gpkg")
    with contextlib.closing(sqlite3.connect("edited.gpkg")) as base, base:
        base.execute("UPDATE gpkg_contents SET last_change = '2026-01-01T00:00:00.000Z'")
    for name in ("words.tif", "theirs.gpkg", "theirs.geojson", "theirs.csv"):
        (tmp_path / name).write_text("words")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=told):
        pixelwise.predict.polygons(**{"raster": "classes.tif", **given})
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_model("fcn", "test_resnet", num_classes=3, names=NAMES).eval()


@pytest.fixture
def picture(tmp_path):
    numbers = np.random.default_rng(0).integers(0, 256, (3, 90, 130)).astype("uint8")
    return write(tmp_path / "in.tif", numbers, [], nodata=None, **UTM)


def test_a_prediction_is_drawn(network, picture, tmp_path):
    out, drawn = tmp_path / "out.tif", tmp_path / "one.gpkg"
    pixelwise.predict.raster(network, picture, out, polygons=drawn, areas=tmp_path / "one.csv")
    pixelwise.predict.polygons(out, tmp_path / "two.gpkg", areas=tmp_path / "two.csv")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    (_, one, shapes_one), (_, two, shapes_two) = read(drawn), read(tmp_path / "two.gpkg")
    assert shapely.equals(shapes_one, shapes_two).all()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_a_prediction_that_is_kept_in_memory_is_drawn_too(network, picture, tmp_path):
    kept = pixelwise.predict.raster(network, picture, areas=tmp_path / "areas.csv")
    rows = table(tmp_path / "areas.csv")
    assert [int(row["pixels"]) for row in rows] == [(kept == i).sum() for i in range(3)]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["areas.csv", "in.tif"]


def test_of_two_classes_the_second_is_drawn(picture, tmp_path):
    torch.manual_seed(0)
    two = create_model("fcn", "test_resnet", num_classes=1, task="binary").eval()
    pixelwise.predict.raster(two, picture, polygons=tmp_path / "out.gpkg")
    assert set(read(tmp_path / "out.gpkg")[1]["class"]) <= {1}


def test_values_are_not_drawn(picture, tmp_path):
    model = create_model("fcn", "test_resnet", num_classes=1, task="regression").eval()
    with pytest.raises(InputError, match="nothing to draw"):
        pixelwise.predict.raster(model, picture, polygons=tmp_path / "out.gpkg")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.tif"]


def test_a_run_that_fails_while_drawing_predicts_nothing_again(network, picture, tmp_path):
    def stop(what, done, total):
        if what == "drawing":
            raise KeyboardInterrupt

    def draw(**more):
        pixelwise.predict.raster(network, picture, out, polygons=drawn, window=48, **more)

    out, drawn, said = tmp_path / "out.tif", tmp_path / "out.gpkg", []
    with pytest.raises(KeyboardInterrupt):
        draw(progress=stop)
    assert not drawn.exists()
    draw(progress=lambda what, done, total: said.append(what))
    assert "predicting" not in said
    again = drawn.read_bytes()
    draw()
    assert drawn.read_bytes() == again
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "in.tif", "out.gpkg", "out.tif", "out.tif.aux.xml",
    ]  # fmt: skip


def test_the_command_draws(network, picture, tmp_path, capsys):
    network.save_pretrained(tmp_path / "net")
    words = ["predict", str(tmp_path / "net"), str(picture), "--out", str(tmp_path / "out.tif")]
    words += ["--polygons", str(tmp_path / "out.gpkg"), "--polygons-of", "tree,0", "--as-is"]
    words += ["--simplify", "0.4", "--minimum-area", "0.3", "--areas", str(tmp_path / "a.csv")]
    assert main(words) == 0
    assert f"polygons: {tmp_path / 'out.gpkg'}" in capsys.readouterr().out
    assert set(read(tmp_path / "out.gpkg")[1]["name"]) <= {"tree", "土地"}
    assert main([*words[:-8], "--polygons-of", "roof"]) == 2
    assert main(["predict", str(tmp_path / "net"), str(picture), "--simplify", "1"]) == 2
    assert "is for one raster" in capsys.readouterr().err


def test_a_system_without_a_place_on_earth(tmp_path):
    plan = {"crs": 'LOCAL_CS["plan",UNIT["metre",1]]', "transform": TURNED}
    source = write(tmp_path / "classes.tif", regions(), **plan)
    pixelwise.predict.polygons(source, tmp_path / "out.gpkg", areas=tmp_path / "out.csv")
    assert read(tmp_path / "out.gpkg")[1]["area"].sum() == (regions() != 255).sum() * 0.25
    assert table(tmp_path / "out.csv")[0]["unit"] == "unit"


@pytest.mark.slow
def test_a_killed_process_leaves_nothing_that_stays(tmp_path):
    source = write(tmp_path / "classes.tif", regions(height=2000, width=1500), **UTM)
    out, folder = tmp_path / "out.gpkg", tmp_path / ".out.gpkg.unfinished"
    code = f"import pixelwise.predict as p; p.polygons({str(source)!r}, {str(out)!r})"
    process = subprocess.Popen([sys.executable, "-c", code])
    while process.poll() is None and not (folder / "out.gpkg").exists():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert folder.is_dir()
    assert not out.exists()
    pixelwise.predict.polygons(source, out)
    again = out.read_bytes()
    pixelwise.predict.polygons(source, out)
    assert out.read_bytes() == again
    assert sorted(p.name for p in tmp_path.iterdir()) == ["classes.tif", "out.gpkg"]


@pytest.mark.slow
def test_a_full_disk_is_told(tmp_path):
    source = write(tmp_path / "classes.tif", regions(height=500, width=500), **UTM)
    for kind in ("gpkg", "geojson"):
        code = (
            "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
            "import pixelwise.predict\n"
            f"pixelwise.predict.polygons({str(source)!r}, {str(tmp_path / 'out.')!r} + {kind!r})"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert "InputError" in found.stderr.splitlines()[-1]
        assert "cannot be written" in found.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["classes.tif"]
