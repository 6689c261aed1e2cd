"""Every kind of augmentation: picture and mask stay together, purely and for all kinds of data."""

from itertools import product

import numpy as np
import pytest
import torch
from coloured_pictures import CLASSES, STEP, Coloured, away_from_borders, class_of_picture, stream
from torch.utils.data import DataLoader

from pixelwise.data.augmenting.balanced import Balance
from pixelwise.data.augmenting.blur import blurred
from pixelwise.data.augmenting.chosen import check_kinds
from pixelwise.data.augmenting.copy_paste import rare_classes, region
from pixelwise.data.augmenting.cut_out import boxes
from pixelwise.data.augmenting.elastic import displacements
from pixelwise.data.augmenting.jpeg import compressed
from pixelwise.data.augmenting.kinds import KINDS, STREAMS
from pixelwise.data.augmenting.mixup import mixed
from pixelwise.data.augmenting.seeds import Seeds
from pixelwise.data.augmenting.turning import centres, turned
from pixelwise.errors import InputError

ALWAYS = {
    "turn": "turn=180", "elastic": "elastic(chance=1, strength=6)", "blur": "blur=1",
    "noise": "noise(chance=1,strength=0.1)", "jpeg": "jpeg(chance=1,quality=60)",
    "copy_paste": "copy_paste(chance=1,classes=[a,b])", "mosaic": "mosaic=1", "cutmix": "cutmix=1",
    "mixup": "mixup=1", "cut_out": "cut_out=1",
}  # fmt: skip
EVERY = ", ".join(ALWAYS.values())
WILD = {"scale": (0.3, 2.0), "flip": True, "flip_vertical": True, "rotate": True, "colour": 0.1}


def same(one, other):
    return all(
        torch.equal(torch.nan_to_num(a, nan=-7), torch.nan_to_num(b, nan=-7))
        for a, b in zip(one[:2], other[:2], strict=True)
    )


def test_every_kind_has_a_stream_and_a_sample_here():
    assert set(ALWAYS) == set(KINDS)
    assert set(STREAMS) == {*KINDS, "own"}


@pytest.mark.parametrize("kind", [k for k in ALWAYS if k != "mixup"])
def test_picture_and_mask_move_together(kind):
    read = stream(augment=ALWAYS[kind], **WILD | {"colour": 0.0})
    changed = 0
    for g in range(12):
        image, mask, _ = read[g]
        clear = away_from_borders(mask, 6 if kind in ("blur", "jpeg") else 3)
        assert (class_of_picture(image) - mask)[clear].abs().median() < 0.2 if clear.any() else True
        wrong = (class_of_picture(image) - mask)[clear].abs() > 0.5
        assert wrong.float().mean() < 0.02 if clear.any() else True
        changed += not same((image, mask), stream(**WILD | {"colour": 0.0})[g])
    assert changed >= 8


@pytest.mark.parametrize("kind", ["blur", "noise", "jpeg"])
def test_values_change_and_the_mask_stays(kind):
    image, mask, _ = stream(augment=ALWAYS[kind])[1]
    plain, known, _ = stream()[1]
    assert torch.equal(mask, known)
    assert 0 < (image - plain).abs().mean() < 0.5


@pytest.mark.parametrize("kind", [*ALWAYS, "all"])
def test_pure_functions_of_seed_and_position(kind):
    augment = EVERY if kind == "all" else ALWAYS[kind]
    items = [stream(augment=augment, **WILD)[g] for g in range(4)]
    fresh = stream(augment=augment, **WILD)
    for g in (2, 0, 3, 1, 1):
        assert same(fresh[g], items[g])
    assert not any(same(stream(augment=augment, seed=1, **WILD)[g], items[g]) for g in range(4))


def test_one_more_kind_changes_no_draw_of_the_others():
    turned_only = stream(augment="turn=30")[5]
    more = stream(augment="turn=30, noise=1, mosaic=0.0001")[5]
    assert torch.equal(turned_only[1], more[1])


def test_the_same_with_workers_and_from_the_middle():
    def read(workers, begin):
        loader = DataLoader(
            stream(augment=EVERY, **WILD), 2, sampler=range(begin, 8), num_workers=workers
        )
        return [(image, mask) for image, mask, _ in loader]

    alone = read(0, 0)
    for one, other in zip(alone, read(2, 0), strict=True):
        assert same(one, other)
    for one, other in zip(alone[2:], read(1, 4), strict=True):
        assert same(one, other)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
@pytest.mark.parametrize("bands", [1, 3, 4, 7])
@pytest.mark.parametrize("kind", ["classes", "labels", "values"])
def test_types_bands_and_kinds_of_masks(dtype, bands, kind):
    kinds = [
        text for name, text in ALWAYS.items()
        if (name != "jpeg" or (dtype == torch.uint8 and bands in (1, 3)))
        and (name != "copy_paste" or kind == "classes")
    ]  # fmt: skip
    read = stream(Coloured(bands=bands, dtype=dtype, kind=kind, missing=True), ", ".join(kinds),
                  crop=(19, 23), **WILD)  # fmt: skip
    for g in range(6):
        image, mask, _ = read[g]
        assert image.shape == (bands, 19, 23)
        assert image.dtype == torch.float32
        assert image.isfinite().all()
        if kind == "values":
            assert mask.shape == (2, 19, 23)
            assert set(mask[0][mask[0].isfinite()].int().tolist()) <= set(range(CLASSES))
        else:
            assert mask.shape == ((3, 19, 23) if kind == "labels" else (19, 23))
            allowed = {0, 1, 255} if kind == "labels" else {*range(CLASSES), 255}
            assert set(mask.flatten().tolist()) <= allowed


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (30, 1), (2, 2), (9, 7)])
@pytest.mark.parametrize("crop", [(1, 1), (1, 24), (32, 24)])
def test_small_pictures_and_crops(size, crop):
    pictures = Coloured(sizes=[size, size])
    read = stream(pictures, EVERY.replace("classes=[a,b]", f"classes=[{present(pictures)}]"),
                  crop=crop, **WILD)  # fmt: skip
    for g in range(8):
        image, mask, _ = read[g]
        assert image.shape == (3, *crop)
        assert mask.shape == crop
        assert image.isfinite().all()


def present(pictures):
    return pictures.classes.names[int(pictures[0].mask.flatten()[0])]


def test_masks_of_which_nothing_is_known():
    class Unknown(Coloured):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            sample.mask[:] = 255
            return sample

    kinds = ", ".join(text for name, text in ALWAYS.items() if name != "copy_paste")
    read = stream(Unknown(), kinds, **WILD)
    for g in range(4):
        assert (read[g][1] == 255).all()


def test_nodata_stays_nodata():
    """Where nothing is known the picture is the mean, whatever was done around it."""
    read = stream(Coloured(missing=True), "turn=90, elastic=1, blur=1, noise=1, jpeg=1", **WILD)
    seen = 0
    for g in range(12):
        image, mask, _ = read[g]
        unknown = mask == 255
        seen += int(unknown.sum())
        assert (image[:, unknown] == 0).all()
    assert seen > 100


def test_crops_around_a_class_still_show_it_when_they_are_bent():
    pictures = Coloured()
    share = Balance.of("auto", pictures.classes.names, pictures.check().by_picture, "")
    read = stream(pictures, "turn=180, elastic(chance=1, strength=12)", balance=share,
                  crop=(9, 7), **WILD)  # fmt: skip
    for g in range(60):
        assert (read[g][1] == read.balanced[g][1]).any()


def test_turns_by_right_angles_are_exact():
    places = centres((5, 5))
    for quarters in range(4):
        rows, columns = np.floor(turned(places, 90.0 * quarters, (2.5, 2.5)) + 1e-9).astype(int)
        ids = np.arange(25).reshape(5, 5)
        assert (ids[rows, columns] == np.rot90(ids, quarters)).all()


def test_turned_corners_are_not_known():
    read = stream(Coloured(sizes=[(48, 40)] * 3), "turn=180")
    shares = [float((read[g][1] == 255).float().mean()) for g in range(20)]
    assert max(shares) > 0.1


def test_displacements_are_as_large_as_asked_and_smooth():
    moved = displacements((64, 80), 6.0, 16.0, np.random.default_rng(0))
    assert moved.shape == (2, 64, 80)
    assert 3 < np.abs(moved).max() < 8
    assert np.abs(np.diff(moved, axis=1)).max() < 1.5
    assert displacements((1, 1), 6.0, 16.0, np.random.default_rng(0)).shape == (2, 1, 1)


def test_blur_keeps_the_mean_and_spreads_no_missing_values():
    image = torch.zeros(1, 21, 21)
    image[0, 10, 10] = 1.0
    found = blurred(image, 2.0)
    assert float(found.sum()) == pytest.approx(1, abs=1e-3)
    spread = (found[0].sum(0) * (torch.arange(21) - 10.0) ** 2).sum()
    assert float(spread) == pytest.approx(4, rel=0.05)
    missing = torch.zeros(21, 21, dtype=torch.bool)
    missing[:, :8] = True
    constant = torch.full((2, 21, 21), 5.0)
    constant[:, missing] = 999.0
    torch.testing.assert_close(
        blurred(constant, 3.0, missing)[:, ~missing], torch.full((2, 21 * 13), 5.0)
    )


@pytest.mark.parametrize(
    ("bands", "dtype", "told"), [(4, torch.uint8, "uint8 of 4"), (3, torch.float32, "float32 of 3")]
)
def test_jpeg_is_for_eight_bits(bands, dtype, told):
    with pytest.raises(InputError, match=f"8-bit pictures of 1 or 3 bands, these are {told}"):
        compressed(torch.zeros(bands, 4, 4, dtype=dtype), 50)


def test_boxes_lie_inside():
    rng = np.random.default_rng(0)
    for _ in range(100):
        for rows, columns in boxes((10, 3), 4, 1.0, rng):
            assert 0 <= rows.start < rows.stop <= 10
            assert 0 <= columns.start < columns.stop <= 3


def test_hidden_boxes_do_not_count():
    plain, read = stream(), stream(augment="cut_out(chance=1,size=0.9)")
    for g in range(10):
        (image, mask, _), (whole, known, _) = read[g], plain[g]
        hidden = (mask == 255) & (known != 255)
        assert hidden.any()
        assert (image[:, hidden] == 0).all()
        assert torch.equal(image[:, ~hidden], whole[:, ~hidden])


def test_regions_are_connected_by_sides():
    snake = np.zeros((9, 30), bool)
    snake[::2] = True
    for row in range(1, 9, 2):
        snake[row, 29 if row % 4 == 1 else 0] = True
    assert (region(snake, (0, 0)) == snake).all()
    corners = np.eye(6, dtype=bool)
    assert region(corners, (3, 3)).sum() == 1


def test_regions_of_rare_classes_are_pasted():
    """Class b is in one picture of three: after pasting it is in all crops."""

    class Rare(Coloured):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            sample.mask[:] = 0
            sample.image[:] = STEP
            if index == 1:
                sample.mask[30:34, 40:50] = 1
                sample.image[:, 30:34, 40:50] = 2 * STEP
            return sample

    counts = Rare().check().by_picture
    assert [c for c, _ in rare_classes("rare", Rare().classes.names, counts)] == [1]
    read = stream(Rare(), "copy_paste=1")
    for g in range(6):
        image, mask, _ = read[g]
        assert (mask == 1).any()
        assert torch.equal((class_of_picture(image) > 0.5), mask == 1)
    half = stream(Rare(), "copy_paste=0.5")
    plain = stream(Rare())
    assert 25 < sum(not same(half[g], plain[g]) for g in range(80)) < 60


def test_rare_classes_of_whom_none_is_there():
    counts = np.array([[10, 10, 0], [10, 9, 0]])
    with pytest.raises(InputError, match=r"no class is rare.*; name those to paste"):
        rare_classes("rare", ("a", "b", "c"), counts)
    with pytest.raises(InputError, match="no training picture has a pixel of c; leave it out"):
        rare_classes(["c"], ("a", "b", "c"), counts)
    with pytest.raises(InputError, match="class='bb': unknown class in copy_paste; did you mean"):
        rare_classes(["bb"], ("a", "bbb", "c"), counts)


def test_mosaic_shows_several_pictures():
    pictures = Coloured(sizes=[(60, 60)] * 40)
    read, single = stream(pictures, "mosaic=1"), stream(pictures)
    for g in range(5):
        mask, plain = read[g][1], single[g][1]
        rows = (mask == plain).all(1)
        assert torch.equal(mask[:10, :8], plain[:10, :8])  # the first one's own quarter
        assert not rows.all()


def test_mixup_is_the_pair_of_losses_in_expectation():
    """With weight w of a, the mean over pixels of any loss is about w L(a) + (1 - w) L(b)."""
    one = torch.ones(1, 200, 200), torch.zeros(200, 200, dtype=torch.int64)
    other = torch.zeros(1, 200, 200), torch.ones(200, 200, dtype=torch.int64)
    for seed in range(5):
        image, mask = mixed(one, other, 1.0, np.random.default_rng(seed))
        weight = float(image[0, 0, 0])
        assert 0.5 <= weight <= 1
        assert float((mask == 0).float().mean()) == pytest.approx(weight, abs=0.015)
    values = [(crop[0], crop[1].float()[None]) for crop in (one, other)]
    image, mask = mixed(values[0], values[1], 1.0, np.random.default_rng(3))
    torch.testing.assert_close(mask[0], 1 - image[0])


def test_random_streams_differ():
    """No two of an item's streams give the same numbers, nor do those of its partners."""
    seeds = [Seeds(0, g) for g in range(3)]
    seeds += [s.partner_of(k, i) for s, k, i in product(seeds, ("mosaic", "turn"), (0, 1))]
    seen = [s.usual().uniform() for s in seeds]
    seen += [s.kind(k).uniform() for s in seeds for k in STREAMS]
    assert len(set(seen)) == len(seen)


class Named:
    classes = Coloured().classes


@pytest.mark.parametrize(
    ("asked", "holds", "message"),
    [
        ("elastic", "points", "elastic does not move points exactly; for points take turn, blur"),
        ("mosaic", "points", "mosaic does not move points exactly"),
        ("copy_paste", "values", "copy_paste is for classes and labels"),
    ],
)
def test_kinds_that_do_not_suit_the_data(asked, holds, message):
    with pytest.raises(InputError, match=message):
        check_kinds({asked: {"classes": "rare"}}, holds, Named())
    check_kinds({"turn": {}, "noise": {}}, holds, Named())


def test_a_picture_that_is_shrunk_to_one_pixel():
    """PyTorch's own resizing fails on a single pixel of three bytes."""
    read = stream(Coloured(sizes=[(7, 5)] * 3), crop=(4, 3), **WILD | {"scale": (0.05, 0.1)})
    assert {int((read[g][1] != 255).sum()) for g in range(5)} == {1}
