"""Workers and what is given to them, in this process and without Ray."""

import itertools
import pickle

import numpy as np
import pytest
import torch
from fake_ray import FakeRay
from PIL import Image

from pixelwise import create_model
from pixelwise.cli.main import main
from pixelwise.cluster import connection, rasters
from pixelwise.cluster.alike import versions
from pixelwise.cluster.blocks import blocks, rows_per_task
from pixelwise.cluster.pool import Kind, Pool, Share
from pixelwise.cluster.worker import Files, Setup, Worker
from pixelwise.cluster.workers import Cluster, network_files, shares
from pixelwise.errors import InputError
from pixelwise.predict.images import How, Wanted
from pixelwise.predict.rasters.grid import Grid


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return create_model("fcn", "test_resnet", num_classes=3).eval()


def said(capsys, *words):
    code = main(["predict", *map(str, words)])
    lines = capsys.readouterr().err.splitlines()
    assert code == 2, lines
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.6])
@pytest.mark.parametrize("workers", [1, 3, 100])
def test_every_row_is_in_one_task(overlap, workers):
    grid = Grid(3000, 200, (128, 128), overlap)
    rows = [row for row in range(grid.rows) if row not in (4, 5, 9)]
    found = blocks(grid, rows, workers, 1)
    assert sorted(itertools.chain(*found)) == rows
    assert all(len(block) <= 16 for block in found)


def test_tasks_are_large_for_few_workers_and_small_for_many():
    sizes = [rows_per_task(52, workers, 1, 16) for workers in (1, 2, 10, 52, 1000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 10
    assert sizes[-1] == 1
    assert rows_per_task(7, 3, 0, 16) == 1


def test_results_that_would_take_much_memory_make_small_tasks():
    grid = Grid(100_000, 100_000, (1024, 1024), 0.25)
    assert {len(block) for block in blocks(grid, range(grid.rows), 2, 40)} == {1}


@pytest.mark.parametrize(
    ("cores", "workers", "threads", "expected"),
    [
        ([8], None, 1, (8, 1.0)),
        ([8], None, 8, (1, 8.0)),
        ([4, 3], None, 2, (3, 2.0)),
        ([2], 2, 2, (2, 1.0)),
        ([1, 1], None, 16, (2, 1.0)),
        ([2], 4, 2, (4, 0.5)),
        ([8, 2], 3, 4, (3, 2.0)),
    ],
)
def test_workers_take_cores_that_there_are(cores, workers, threads, expected):
    count, share = shares(cores, workers, threads)
    assert (count, share.cpus) == expected


def test_pictures_are_those_of_this_machine(network, tmp_path):
    from pixelwise.predict.images import predict_pictures

    picture = tmp_path / "图 1.png"
    Image.fromarray(np.arange(3 * 50 * 40, dtype=np.uint8).reshape(50, 40, 3)).save(picture)
    list(predict_pictures(network, [picture], tmp_path / "here"))
    worker = Worker()
    told = worker.load(
        Setup(
            network_files(network),
            "cpu",
            torch.get_num_threads(),
            {picture: picture.stat().st_size},
            How(),
        )
    )
    assert told.items() >= versions().items()
    found = pickle.loads(pickle.dumps(worker.picture(Wanted(picture, "图 1"))))
    assert found.pixels == 50 * 40
    (tmp_path / "there").mkdir()
    found.write(tmp_path / "there")
    for name in ("图 1.png", "图 1_overlay.png"):
        here, there = (tmp_path / side / name for side in ("here", "there"))
        assert here.read_bytes() == there.read_bytes()


def test_a_picture_that_is_broken_is_a_problem_and_no_error(network, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no")
    worker = Worker()
    worker.load(Setup(network_files(network), "cpu", torch.get_num_threads(), {}))
    found = pickle.loads(pickle.dumps(worker.picture(Wanted(broken, "broken"))))
    assert str(broken) in found.problem


def test_a_machine_that_does_not_see_the_input_is_told(network, tmp_path):
    file = tmp_path / "a.png"
    for there in (False, True):  # not there, and another file under this name
        if there:
            file.write_bytes(b"12")
        with pytest.raises(InputError, match=r"a\.png: is not the same file on the machine .*; "):
            Worker().load(Setup({}, "cpu", 1, {file: 3}))


def test_files_appear_whole(tmp_path, monkeypatch):
    files = Files({"a": b"1", "b": b"2"})
    files(tmp_path)
    files(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.fixture
def pool():
    """A pool of workers that answer ten times their job."""

    class Worker:
        def load(self, setup):
            if setup.device == "bad":
                raise InputError("x: y; z")
            return {
                **versions(),
                "host": "here",
                **({"torch": "0"} if setup.device == "old" else {}),
            }

        def tenfold(self, job):
            if job == 13:
                raise InputError("13: brings no luck; take 12")
            return 10 * job

    warned = []

    def made(ray, count=2, device="cpu", at_once=2):
        made.warned = warned
        kind = Kind(Worker, "load the network", "lower x", "cluster", at_once)
        return Pool(ray, kind, Setup({}, device, 1, {}), count, Share(1.0), warned.append)

    return made


def test_each_job_is_done_once(pool):
    ray = FakeRay()
    with pool(ray) as workers:
        found = list(workers.run("tenfold", range(12), str))
    assert sorted(found) == [(job, 10 * job) for job in range(12)]
    assert ray.most <= 4  # two jobs per worker
    assert ray.killed == 2


def test_a_worker_may_have_one_job_and_none_that_waits(pool):
    ray, looks = FakeRay(), []
    with pool(ray, at_once=1) as workers:
        for _ in range(2):  # the same workers go on
            found = list(workers.run("tenfold", range(5), str, lambda: looks.append(1)))
            assert sorted(found) == [(job, 10 * job) for job in range(5)]
    assert ray.most <= 2
    assert ray.killed == 2
    assert looks


def test_workers_that_end_lose_and_double_nothing(pool):
    chance = np.random.default_rng(0)
    ray = FakeRay(lambda ask, *_: chance.random() < 0.1)
    with pool(ray, 4) as workers:
        found = dict(workers.run("tenfold", range(12), str))
    assert found == {job: 10 * job for job in range(12)}


def test_a_job_that_ends_every_worker_is_named_and_the_others_are_done(pool):
    ray = FakeRay(lambda ask, job: ask == "tenfold" and job == 5)
    with pool(ray) as workers:
        pairs = list(workers.run("tenfold", range(12), lambda job: f"p{job}.png"))
    found = dict(pairs)
    assert len(pairs) == len(found) == 12
    assert str(found.pop(5)).startswith("p5.png: 3 workers ended while they worked on it")
    assert found == {job: 10 * job for job in range(12) if job != 5}
    assert all("\n" not in line for line in pool.warned)


def test_what_a_worker_refuses_is_the_jobs_answer(pool):
    with pool(FakeRay()) as workers:
        found = dict(workers.run("tenfold", [12, 13, 14], str))
    assert str(found[13]) == "13: brings no luck; take 12"
    assert found[12] == 120


@pytest.mark.parametrize(
    ("device", "dies", "told"),
    [
        ("bad", None, "a worker cannot start; x: y; z"),
        ("old", None, "torch is 0 on here and .* here; install the same"),
        ("cpu", "load", "workers end while they load the network"),
    ],
)
def test_workers_that_cannot_start_are_told(pool, device, dies, told):
    ray = FakeRay(lambda ask, *_: ask == dies)
    with pytest.raises(InputError, match=told), pool(ray, device=device) as workers:
        list(workers.run("tenfold", range(3), str))


@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.55])
def test_rasters_are_those_of_this_machine(network, tmp_path, monkeypatch, overlap):
    rasterio = pytest.importorskip("rasterio")
    import pixelwise.predict

    numbers = np.random.default_rng(0).integers(0, 256, (3, 150, 70)).astype("uint8")
    numbers[:, :60, :50] = 0
    source = tmp_path / "in.tif"
    about = {"crs": "EPSG:32636", "transform": rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 2e4)}
    with rasterio.open(source, "w", "GTiff", 70, 150, 3, dtype="uint8", nodata=0, **about) as file:
        file.write(numbers)

    monkeypatch.setattr("pixelwise.cluster.pool.LOOKED", 0.0)
    monkeypatch.setattr("pixelwise.cluster.blocks.MOST_ROWS", 2)
    chance = np.random.default_rng(0)
    ray = FakeRay(lambda ask, *_: chance.random() < 0.15)
    cluster = Cluster(ray, 3, Share(1.0), "cpu", lambda line: None)
    how = {"window": 32, "overlap": overlap, "batch": 2}
    names = ("here", "there")
    for name in names:
        engine = {} if name == "here" else {"engine": rasters.over(cluster, network)}
        pixelwise.predict.raster(
            network,
            source,
            tmp_path / f"{name}.tif",
            probability=tmp_path / f"{name}_p.tif",
            **how,
            **engine,
        )
    for end in (".tif", "_p.tif"):
        here, there = (tmp_path / f"{name}{end}" for name in names)
        assert here.read_bytes() == there.read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_a_raster_in_memory_is_refused(network, tmp_path):
    import pixelwise.predict

    engine = rasters.over(Cluster(FakeRay(), 1, Share(1.0), "cpu"), network)
    values = np.zeros((3, 40, 40), "uint8")
    with pytest.raises(InputError, match="must be a file for a cluster; "):
        pixelwise.predict.raster(network, values, tmp_path / "out.tif", engine=engine)


@pytest.mark.parametrize(
    "text", ["ray", "ray://", "ray://a", "10.0.0.1:80", "ray://a:0", "ray://a:b"]
)
def test_what_is_no_cluster_is_told(text, capsys):
    assert "must be local, auto or ray://host:port" in said(capsys, "x", "y", f"--cluster={text}")


def test_options_without_a_cluster_are_told(capsys):
    assert "workers=2: is for a cluster; " in said(capsys, "x", "y", "--workers", 2)
    assert "workers=0: must be" in said(capsys, "x", "y", "--workers", 0, "--cluster", "local")


def test_without_ray_the_extra_is_named(capsys, monkeypatch):
    monkeypatch.setattr(connection.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'pixelwise[cluster]'" in said(capsys, "x", "y", "--cluster", "local")


def test_clips_are_not_for_a_cluster(network, tmp_path, capsys):
    pytest.importorskip("ray")
    network.save_pretrained(tmp_path / "net")
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"no")
    told = said(capsys, tmp_path / "net", clip, "--cluster", "local")
    assert "cluster='local': is not for clips; leave it out" in told


def test_a_broken_picture_file_is_not_read_in_parts(network, tmp_path):
    import pixelwise.predict

    source = tmp_path / "in.png"
    Image.fromarray(np.zeros((60, 50, 3), np.uint8)).save(source)
    engine = rasters.over(Cluster(FakeRay(), 1, Share(1.0), "cpu"), network)
    with pytest.raises(InputError, match="a broken PNG file cannot be read in parts; "):
        pixelwise.predict.raster(
            network, source, tmp_path / "out.tif", broken="nodata", engine=engine
        )
