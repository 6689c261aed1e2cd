"""What comes out of points: boxes in, COCO and its scores, pictures, explanations."""

import contextlib
import csv
import io
import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from pixelwise.cli.main import main
from pixelwise.data.points.skeleton import Skeleton
from pixelwise.data.regions import read_regions
from pixelwise.errors import InputError
from pixelwise.networks.factory import create_model
from pixelwise.networks.segmenter import load
from pixelwise.predict.images import predict_answer, predict_pictures
from pixelwise.tasks.keypoints.crops import PointTarget
from pixelwise.tasks.keypoints.scorer import PointScorer

NAMES = ("nose", "left ear", "right ear")
SIGMAS = [0.3, 0.5, 0.4]
IDS = (30, 10, 20)


def labelled(folder):
    """Three pictures with one to three figures, as COCO has them; image ids in another order."""
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for picture, number in enumerate(IDS):
        values = rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)
        (folder / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(values).save(folder / "images" / f"p{picture}.png")
        images.append({"id": number, "file_name": f"p{picture}.png", "width": 90, "height": 70})
        for _ in range(picture + 1):
            left, top = rng.uniform(0, 40, 2).round(1)
            places = rng.uniform((left, top), (left + 40, top + 28), (3, 2)).round(1)
            visible = rng.choice([1, 2], 3)
            visible[rng.integers(3)] = rng.choice([0, 2])
            points = np.column_stack([np.where(visible[:, None] > 0, places, 0), visible])
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 7,
                    "keypoints": points.ravel().tolist(),
                    "num_keypoints": int((visible > 0).sum()),
                    "bbox": [left, top, 40.0, 28.0],
                    "area": 900.0,
                    "iscrowd": 0,
                }
            )
    kind = {"id": 7, "name": "mouse", "keypoints": list(NAMES), "skeleton": [[1, 2], [1, 3]]}
    content = {"info": {}, "images": images, "annotations": annotations, "categories": [kind]}
    (folder / "all.json").write_text(json.dumps(content))
    text = "labels: {train: all.json, val: all.json}\npairs: [[left ear, right ear]]\n"
    (folder / "data.yaml").write_text(text)
    (folder / "sigmas.yaml").write_text(f"{text}sigmas: {SIGMAS}\n")
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return labelled(tmp_path_factory.mktemp("coco"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("run") / "run"
    create_model(
        "fcn",
        "test_resnet",
        num_classes=3,
        names=NAMES,
        task="keypoints",
        attention="psa_s@4",
        task_options={"maps": "softmax", "size": (65, 50), "pairs": ((1, 2),)},
    ).save_pretrained(folder)
    return folder


def coco_stats(labels, results, sigmas):
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO(str(labels))
        theirs = evaluation.COCOeval(truth, truth.loadRes(str(results)), "keypoints")
        theirs.params.kpt_oks_sigmas = np.array(sigmas)
        theirs.evaluate()
        theirs.accumulate()
        theirs.summarize()
    return theirs.stats


def test_average_precision_is_that_of_pycocotools(run, data, tmp_path, capsys):
    """Boxes of several figures per picture go in, and the numbers of both are the same."""
    words = ["evaluate", str(run), "--data", str(data / "sigmas.yaml"), "--quiet"]
    assert main([*words, "--out", str(tmp_path / "e")]) == 0
    assert "AP50" in capsys.readouterr().out
    numbers = json.loads((tmp_path / "e" / "metrics.json").read_text())
    words = ["predict", str(run), str(data / "images"), "--boxes", str(data / "all.json")]
    assert main([*words, "--out", str(tmp_path / "p"), "--quiet"]) == 0
    stats = coco_stats(data / "all.json", tmp_path / "p" / "keypoints_coco.json", SIGMAS)
    keys = ["ap", "ap_50", "ap_75", "ap_medium", "ap_large", "ar", "ar_50", "ar_75"]
    assert 0 < stats[1] < 1
    for key, value in zip(keys, stats, strict=False):
        assert numbers[key] == (None if value == -1 else pytest.approx(value, abs=1e-9))
    results = json.loads((tmp_path / "p" / "keypoints_coco.json").read_text())
    assert {entry["category_id"] for entry in results} == {7}
    assert sorted(entry["image_id"] for entry in results) == [10, 10, 20, 20, 20, 30]
    assert not (tmp_path / "p" / "points_deeplabcut.csv").exists()


def test_points_in_boxes_are_those_of_the_evaluation(run, data, tmp_path):
    words = ["evaluate", str(run), "--data", str(data / "data.yaml"), "--quiet"]
    assert main([*words, "--out", str(tmp_path / "e")]) == 0
    words = ["predict", str(run), str(data / "images"), "--boxes", str(data / "all.json")]
    assert main([*words, "--out", str(tmp_path / "p"), "--quiet"]) == 0

    with (tmp_path / "e" / "errors.csv").open(newline="") as text:
        errors = list(csv.DictReader(text))
    with (tmp_path / "p" / "points.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert len(errors) > 12
    for error in errors:
        name, wanted = error["file"].rpartition("/")[2], place(error, "predicted_x", "predicted_y")
        same = [r for r in rows if r["file"].endswith(name) and r["name"] == error["point"]]
        assert min(np.linalg.norm(place(row, "x", "y") - wanted) for row in same) < 0.01


def place(row, x, y):
    return np.array([float(row[x]), float(row[y])])


def test_without_sigmas_the_reason_is_told(run, data, tmp_path, capsys):
    words = ["evaluate", str(run), "--data", str(data / "data.yaml"), "--quiet"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "OKS and AP  not told: no `sigmas` are known; give them in data.yaml\n" in told
    assert json.loads((tmp_path / "metrics.json").read_text())["ap"] is None
    for name in ("errors.png", "histogram.png", "worst.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 300


def test_whole_pictures_are_numbered_and_named(run, data, tmp_path):
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    words = ["predict", str(run), str(data / "images"), "--out", str(tmp_path), "--quiet"]
    assert main(words) == 0
    with contextlib.redirect_stdout(io.StringIO()):
        images = coco.COCO(str(tmp_path / "keypoints_coco_images.json"))
        results = images.loadRes(str(tmp_path / "keypoints_coco.json"))
    names = {i["id"]: i["file_name"].rpartition("/")[2] for i in images.loadImgs([1, 2, 3])}
    assert names == {1: "p0.png", 2: "p1.png", 3: "p2.png"}
    with (tmp_path / "points.csv").open(newline="") as text:
        rows = [row for row in csv.DictReader(text) if row["file"].endswith("p1.png")]
    (found,) = results.loadAnns(results.getAnnIds(imgIds=[2]))
    wanted = [float(row[axis]) for row in rows for axis in "xy"]
    assert [v for i, v in enumerate(found["keypoints"]) if i % 3 < 2] == wanted
    assert found["score"] == pytest.approx(np.mean([float(r["score"]) for r in rows]), abs=1e-6)


def test_numbers_and_order_of_points_of_a_coco_file(run, data, tmp_path):
    content = json.loads((data / "all.json").read_text())
    content["categories"][0]["keypoints"] = ["right ear", "nose", "left ear"]
    (tmp_path / "ids.json").write_text(json.dumps({**content, "annotations": []}))
    words = ["predict", str(run), str(data / "images"), "--out", str(tmp_path / "p"), "--quiet"]
    assert main([*words, "--image-ids", str(tmp_path / "ids.json")]) == 0
    results = json.loads((tmp_path / "p" / "keypoints_coco.json").read_text())
    assert [(r["image_id"], r["category_id"]) for r in results] == [(i, 7) for i in IDS]
    with (tmp_path / "p" / "points.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))[:3]
    wanted = [float(rows[i][axis]) for i in (2, 0, 1) for axis in "xy"]
    assert [v for i, v in enumerate(results[0]["keypoints"]) if i % 3 < 2] == wanted


def test_a_table_of_boxes_and_the_same_in_python(run, data, tmp_path):
    file = tmp_path / "boxes.csv"
    file.write_text("file,left,top,width,height,figure\np1.png,5,4,30,40,2\np1.png,20,9,40,28,1\n")
    words = ["predict", str(run), str(data / "images"), "--boxes", str(file), "--quiet"]
    assert main([*words, "--out", str(tmp_path / "p")]) == 0
    with (tmp_path / "p" / "points.csv").open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [row["figure"] for row in rows] == ["2"] * 3 + ["1"] * 3
    image = torch.from_numpy(np.asarray(Image.open(data / "images" / "p1.png")).copy())
    model = load(run)
    boxes = [(5, 4, 30, 40), (20, 9, 40, 28)]
    found = predict_answer(model, image.permute(2, 0, 1), boxes=boxes)
    assert found.shape == (2, 3, 3)
    wanted = [[float(row["x"]) + 0.5, float(row["y"]) + 0.5] for row in rows]
    np.testing.assert_allclose(found[..., :2].reshape(-1, 2), wanted, atol=1e-3)
    pictures = [data / "images" / "p1.png", data / "images" / "p0.png"]
    done = list(predict_pictures(model, pictures, tmp_path / "q", boxes=file))
    assert [result.boxes for result in done] == [2, 0]


def test_detections_are_numbered_by_the_names_of_pictures(run, tmp_path):
    folder = tmp_path / "照片"
    folder.mkdir()
    Image.new("RGB", (50, 40), "grey").save(folder / "000000000139.png")
    detections = [{"image_id": 139, "category_id": 1, "bbox": [1, 2, 30, 30], "score": 0.5}]
    (tmp_path / "d.json").write_text(json.dumps(detections))
    words = ["predict", str(run), str(folder), "--boxes", str(tmp_path / "d.json"), "--quiet"]
    assert main([*words, "--out", str(tmp_path / "p")]) == 0
    (found,) = json.loads((tmp_path / "p" / "keypoints_coco.json").read_text())
    assert found["image_id"] == 139
    assert 0 < found["score"] <= 0.5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("file,left,top,width\np0.png,1,2,3\n", "no column 'height'"),
        ("p0.png,1,2,0,4", "no area"),
        ("p0.png,1,2,nan,4", "width='nan': must be a number"),
        ("p0.png,1,x,3,4", "top='x': must be a number"),
        ("p0.png,,2,3,4", "left='': must be a number"),
        ("p0.png,95,2,3,4", "lies outside of the picture of 90 x 70 pixels"),
        ("p9.png,1,2,3,4", "no such picture"),
        ("p0.png,1,2,3", "4 of 5 columns"),
        ("", "is empty"),
        ('[{"image_id": 5, "bbox": [1, 2, 3, 4]}]', "--image-ids"),
        ('[{"image_id": 5, "bbox": [1, 2, 3', "not whole JSON"),
        ('[{"image_id": "5"}]', "image_id"),
        ('{"images": []}', "no list 'annotations'"),
    ],
)
def test_bad_boxes_give_one_line(run, data, tmp_path, capsys, text, told):
    head = "" if text[:1] in ("", "[", "{", "f") else "file,left,top,width,height\n"
    (tmp_path / "boxes").write_text(head + text)
    words = ["predict", str(run), str(data / "images"), "--boxes", str(tmp_path / "boxes")]
    assert main([*words, "--out", str(tmp_path / "p"), "--quiet"]) in (1, 2)
    lines = capsys.readouterr().err.splitlines()
    (error,) = [line for line in lines if line.startswith("error: ")]
    assert told in error
    assert len(lines) == 1 or "have no box" in lines[1]


def test_boxes_for_other_tasks_and_files_that_are_not_there(run, data, tmp_path, capsys):
    other = tmp_path / "classes"
    create_model("fcn", "test_resnet", num_classes=3).save_pretrained(other)
    words = [str(data / "images"), "--boxes", str(data / "all.json"), "--quiet"]
    assert main(["predict", str(other), *words]) == 2
    assert "looks at whole pictures" in capsys.readouterr().err
    assert main(["predict", str(run), str(data / "images"), "--boxes", "none.csv"]) == 2
    assert "boxes='none.csv': no such file" in capsys.readouterr().err


def test_one_name_for_two_pictures(tmp_path):
    pictures = [tmp_path / "a" / "x.png", tmp_path / "b" / "x.png"]
    for picture in pictures:
        picture.parent.mkdir()
        Image.new("RGB", (9, 9)).save(picture)
    file = tmp_path / "boxes.csv"
    file.write_text("file,left,top,width,height\nx.png,1,1,2,2\n")
    with pytest.raises(InputError, match="write more of its path"):
        read_regions(pictures, file)
    file.write_text("file,left,top,width,height\nb/x.png,1,1,2,2\n")
    boxes = read_regions(pictures, file).boxes
    assert [len(boxes[picture]) for picture in pictures] == [0, 1]
    assert read_regions(pictures[:1], file).elsewhere == 1


def test_explaining_one_point(run, data, tmp_path, capsys):
    picture = data / "images" / "p1.png"
    words = ["explain", str(run), str(picture), "--no-deletion", "--out", str(tmp_path), "--quiet"]
    assert main([*words, "--point", "left ear"]) == 0
    (query,) = json.loads((tmp_path / "p1" / "explain.json").read_text())["queries"]
    assert query["class"] == "left ear"
    image = torch.from_numpy(np.asarray(Image.open(picture)).copy()).permute(2, 0, 1)
    x, y, score = predict_answer(load(run), image)[1].tolist()
    row, column = query["at_in_picture"]
    assert abs(row + 0.5 - y) <= 1.5  # a pixel of the 65 x 50 that the network sees is 1.8
    assert abs(column + 0.5 - x) <= 1.5
    assert 0.5 * score < query["probability"] <= 1
    capsys.readouterr()
    assert main([*words, "--point", "left eye"]) == 2
    assert "point='left eye': unknown point; did you mean 'left ear'?" in capsys.readouterr().err
    assert main([*words, "--point", "nose", "--at", "1,1"]) == 2
    assert main([*words, "--at", "70,1"]) == 2
    assert "rows 0..69" in capsys.readouterr().err


def test_every_point_is_asked_about_by_its_own_map(run):
    task = load(run).task
    answer = torch.tensor([[50.0, 64.9, 1.0], [-0.4, 3.2, 0.5], [math.nan, math.nan, 0.0]])
    assert task.queries(answer) == [((64, 49), 0), ((3, 0), 1)]
    assert task.queries(answer, "right ear") == []


def test_figures_of_one_picture_are_compared_with_each_other():
    """The better prediction is that of the other figure, as COCO matches them."""
    scorer = PointScorer(Skeleton(("a",), sigmas=(0.1,)), None)
    labels = [(10.0, 10.0), (60.0, 60.0)]
    for label, found in zip(labels, reversed(labels), strict=True):
        target = PointTarget(
            torch.tensor([label], dtype=torch.float64),
            torch.tensor([2.0], dtype=torch.float64),
            np.eye(2, 3),
            100.0,
            (0.0, 0.0, 80.0, 80.0),
        )
        scorer.look("one.png", torch.empty(0), target.packed())
        scorer.update(torch.tensor([[*found, 0.9]]), target.packed())
    numbers = scorer.result().numbers()
    assert numbers["ap"] == pytest.approx(1)
    assert numbers["oks"] == pytest.approx(0)


def test_training_knows_the_sigmas_of_the_data(run, data, tmp_path):
    """Those that the network started without, too."""
    words = ["train", "--start", str(run), "--data", str(data / "sigmas.yaml"), "--steps", "1"]
    words += ["--workers", "0", "--device", "cpu", "--runs", str(tmp_path), "--quiet"]
    assert main(words) == 0
    found = json.loads((tmp_path / "train/1/metrics.json").read_text())
    assert 0 <= found["oks"] <= 1
    rows = csv.DictReader((tmp_path / "train/1/validation.csv").read_text().splitlines())
    assert all(float(row["oks"]) <= 1 for row in rows)
