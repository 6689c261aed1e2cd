"""Whatever a file of labels or a data.yaml holds, reading it is right or one line."""

import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pixelwise.data.opening import open_data
from pixelwise.data.points import FolderPoints, PointsConfig, read_points
from pixelwise.errors import InputError

pytestmark = pytest.mark.slow
CASES = 1500
COCO = {
    "images": [{"id": 7, "file_name": "a.png"}],
    "categories": [{"id": 1, "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]}],
    "annotations": [
        {
            "id": 1, "image_id": 7, "category_id": 1, "keypoints": [3, 4, 2, 0, 0, 0],
            "num_keypoints": 1, "bbox": [1, 2, 10, 8], "area": 60, "iscrowd": 0,
        }
    ],
}  # fmt: skip
LABELME = {
    "flags": {},
    "imagePath": "a.png",
    "shapes": [{"label": "nose", "points": [[3.5, 4.5]], "shape_type": "point", "flags": {}}],
}
FILES = [
    b"file,name,x,y,visible\na.png,nose,3,4,2\na.png,tail,5,6,1\nb.png,nose,,,0\n",
    b"scorer,me,me,me,me\nindividuals,m,m,n,n\nbodyparts,nose,nose,tail,tail\ncoords,x,y,x,y\n"
    b"v/a.png,3,4,5,6.5\nv/b.png,,,NaN,NaN\n",
    json.dumps(COCO).encode(),
    json.dumps(LABELME).encode(),
]
YAML = (
    b"labels: labels.csv\ntrain: train\npoints: [nose, tail]\npairs: [[nose, tail]]\n"
    b"skeleton: [[nose, tail]]\nsigmas: {nose: 0.1, tail: 0.2}\n"
)
SHARED = b"labels: [labels.csv]\nsplit: {val: 0.5, by: block}\nrepeated: second.csv\n"
CONFIG = (
    b"Task: t\nscorer: me\nvideo_sets:\n  ? C:\\v.avi\n  : crop: 0, 40, 0, 30\n"
    b"bodyparts:\n- nose\n- tail\nskeleton:\n- - nose\n  - tail\n"
)
PROJECT = (
    b"scorer,me,me,me,me\nbodyparts,nose,nose,tail,tail\ncoords,x,y,x,y\n"
    b"labeled-data/v/a.png,3,4,5,6.5\nlabeled-data/v/b.png,1,2,NaN,NaN\n"
)
PIECES = [
    b"", b",", b";", b"\n", b"\r", b'"', b"{", b"}", b"[", b"]", b":", b"-1", b"1e999", b"NaN",
    b"null", b"true", b"\xff", b"\x00", b"nose", b"x", b"0", b"9" * 40, b"[[[]]]", b"{}", b"..",
    "\u5de6".encode(),
]  # fmt: skip
FIXED = settings(
    max_examples=CASES,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.generate],
)


@st.composite
def spoilt(draw, originals):
    """A file with up to three places cut out, written over, or followed by its beginning."""
    content = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from([0, 1, 2, 4, 30])))
        content = content[:start] + draw(st.sampled_from(PIECES)) + content[end:]
    return content[: draw(st.integers(0, len(content)))] if draw(st.booleans()) else content


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@st.composite
def other_values(draw):
    """JSON in which one value has become another."""
    content = json.loads(json.dumps(draw(st.sampled_from([COCO, LABELME]))))
    at = content
    while True:
        keys = sorted(at) if isinstance(at, dict) else range(len(at))
        key = draw(st.sampled_from(keys))
        if not (isinstance(at[key], dict | list) and at[key] and draw(st.integers(0, 3))):
            break
        at = at[key]
    at[key] = draw(VALUES)
    return json.dumps(content).encode()


def told(place, read):
    """What `read` returns; None where it raises one line that names the place."""
    try:
        return read()
    except InputError as error:
        message = str(error)
    assert "\n" not in message
    assert str(place) in message
    return None


def check(file):
    labels = told(file, lambda: read_points(file))
    if labels is None:
        return
    for figure in labels.figures:
        assert figure.points.shape == (len(labels.names), 2)
        assert (figure.visible <= 2).all()
        there = abs(figure.points).max(1) < 1e8
        assert (there == figure.labelled).all()


@FIXED
@given(content=spoilt(FILES) | other_values())
def test_labels(tmp_path, content):
    file = tmp_path / "labels.txt"
    file.write_bytes(content)
    check(file)


@FIXED
@given(yaml=spoilt([YAML, SHARED]))
def test_data_yaml(write_pictures, yaml):
    folder = write_pictures("train/a.png", "train/b.png")
    (folder / "labels.csv").write_bytes(FILES[0])
    (folder / "second.csv").write_bytes(FILES[0].replace(b"3,4", b"4,4").replace(b"5,6", b"5,7"))
    (folder / "data.yaml").write_bytes(yaml)
    source = told(folder, lambda: FolderPoints(PointsConfig.load(folder / "data.yaml")))
    if source is not None:
        source.split(source.splits[0]).check()


@FIXED
@given(config=spoilt([CONFIG]), labels=spoilt([PROJECT]))
def test_projects(write_pictures, config, labels):
    folder = write_pictures("labeled-data/v/a.png", "labeled-data/v/b.png")
    (folder / "config.yaml").write_bytes(config)
    (folder / "labeled-data" / "v" / "CollectedData_me.csv").write_bytes(labels)
    source = told(folder, lambda: open_data(folder))
    if source is not None:
        for split in source.splits:
            told(folder, source.split(split).check)


@FIXED
@given(content=spoilt(FILES) | other_values(), name=st.sampled_from(["a.csv", "a.json"]))
def test_files_in_a_folder_and_alone(write_pictures, content, name):
    folder = write_pictures("a.png", "b.png")
    for other in folder.glob("a.[cj]s*"):
        other.unlink()
    (folder / name).write_bytes(content)
    for spec in (folder, folder / name):
        told(folder, lambda spec=spec: open_data(spec))
