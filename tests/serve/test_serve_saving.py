"""Edited masks become training data: whole, beside what is there, and as `train` opens it."""

import numpy as np
import pytest
from PIL import Image
from serve_client import NAMES, made

from pixelwise.data.opening import open_data
from pixelwise.errors import InputError
from pixelwise.serve.saving import Collection, collection_for


def mask_of(opened, seed=0):
    size = (opened["height"], opened["width"])
    mask = np.random.default_rng(seed).integers(0, 3, size, dtype=np.uint8)
    mask[0, :9] = 255
    return mask


def test_saved_masks_are_a_data_set(serving, network, pictures, tmp_path):
    client = serving([network], pictures, save_to=tmp_path / "new")
    assert client.get("/api/describe").json()["saveTo"] == "new"
    assert not (tmp_path / "new").exists()
    masks = []
    for number in (0, 1, 0):
        opened = client.open_listed(number)
        masks.append(mask_of(opened, len(masks)))
        answer = client.save(opened, masks[-1])
        assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "picture": "images/a_2.png",
        "mask": "masks/a_2.png",
        "data": "data.yaml",
    }
    names = sorted(
        p.relative_to(tmp_path / "new").as_posix() for p in (tmp_path / "new").rglob("*")
    )
    assert names == [
        "data.yaml", "images", "images/a.png", "images/a_2.png", "images/街_景.png",
        "masks", "masks/a.png", "masks/a_2.png", "masks/街_景.png",
    ]  # fmt: skip
    assert (tmp_path / "new/images/a_2.png").read_bytes() == pictures[0].read_bytes()
    source = open_data(str(tmp_path / "new/data.yaml"))
    assert source.classes.names == NAMES
    found = [
        source.split(split)[i].mask.numpy()
        for split in ("train", "val")
        for i in range(len(source.split(split)))
    ]
    assert sorted(map(bytes, (one.astype(np.uint8).tobytes() for one in found))) == sorted(
        one.tobytes() for one in masks
    )


def test_a_sent_picture_is_saved_as_it_was_sent(serving, network, pictures, tmp_path):
    client = serving([network], save_to=tmp_path / "new")
    opened = client.frame(client.send(pictures[0].read_bytes(), "..%2F..%2Fevil%00.exe"))
    assert opened["name"] == "evil_.exe"
    saved = client.save(opened, mask_of(opened)).json()
    assert saved["picture"] == "images/evil.png"
    assert (tmp_path / "new/images/evil.png").read_bytes() == pictures[0].read_bytes()


@pytest.mark.parametrize("change", ["size", "class"])
def test_a_wrong_mask_saves_nothing(serving, network, pictures, tmp_path, change):
    client = serving([network], pictures, save_to=tmp_path / "new")
    opened = client.open_listed(0)
    mask = mask_of(opened)
    wrong = mask[:-1] if change == "size" else np.where(mask == 1, 77, mask).astype(np.uint8)
    answer = client.save(opened, wrong)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("mask")
    assert not list((tmp_path / "new").rglob("*.png"))
    assert not list((tmp_path / "new").rglob("*.part"))


def test_without_a_folder_nothing_is_saved(serving, network, pictures):
    client = serving([network], pictures)
    opened = client.open_listed(0)
    answer = client.save(opened, mask_of(opened))
    assert answer.json() == {"error": "save: nothing is saved here; start with --save-to FOLDER"}


def test_a_folder_of_something_else_is_refused(network, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files and no data.yaml; choose"):
        collection_for(network, tmp_path)
    with pytest.raises(InputError, match=r"must be a folder; choose"):
        collection_for(network, tmp_path / "notes.txt")


def test_a_data_set_of_other_classes_is_refused(network, tmp_path):
    folder = tmp_path / "data"
    Collection(folder, ("a", "b"), ((0, 0, 0), (255, 0, 0)), 255)._folders()
    with pytest.raises(InputError, match=r"has other classes \(a, b\) than the network; choose"):
        collection_for(network, folder)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("map: {0: 1, 1: 0, 2: 2}", "its `map:` changes class numbers"),
        ("ignore_index: 200", "has ignore_index 200"),
        ("masks: '*_mask.png'", "are not one folder"),
    ],
)
def test_a_data_set_that_reads_masks_otherwise_is_refused(network, tmp_path, text, told):
    folder = tmp_path / "data"
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    names = "\n".join(f"  {i}: {name}" for i, name in enumerate(NAMES))
    (folder / "data.yaml").write_text(f"train: images\nnames:\n{names}\n{text}\n", "utf-8")
    with pytest.raises(InputError, match=told):
        collection_for(network, folder)


def test_a_task_without_masks_of_classes_is_refused(tmp_path):
    model = made("fcn", ("one", "two"), task="multilabel")
    with pytest.raises(InputError, match=r"task 'multilabel' are not edited here; leave"):
        collection_for(model, tmp_path)


def test_a_picture_without_its_mask_is_never_left(network, pictures, tmp_path, monkeypatch):
    """Killed half-way: what is left is a mask without a picture, which nobody trains on."""
    collection = collection_for(network, tmp_path / "new")
    opened = {"height": 40, "width": 56}

    class Killed(BaseException):
        pass

    def killed(self):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.read_bytes", killed)
        with pytest.raises(Killed):
            collection.add(pictures[0], "a.png", mask_of(opened))
    assert not list((tmp_path / "new/images").iterdir())
    names = collection.add(pictures[0], "a.png", mask_of(opened))
    assert names["picture"] == "images/a_2.png"
    collection.add(pictures[1], "b.png", mask_of(opened))
    source = open_data(str(tmp_path / "new/data.yaml"))
    assert [len(source.split(split)) for split in ("train", "val")] == [1, 1]


def test_two_writers_take_different_names(network, pictures, tmp_path):
    first, second = (collection_for(network, tmp_path / "new") for _ in range(2))
    mask = mask_of({"height": 40, "width": 56})
    saved = [one.add(pictures[0], "a.png", mask)["mask"] for one in (first, second, first)]
    assert saved == ["masks/a.png", "masks/a_2.png", "masks/a_3.png"]
    assert np.array_equal(np.array(Image.open(tmp_path / "new/masks/a.png")), mask)
