"""Every pixel belongs to at most one split, the same for a seed, and a gap lies between."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pixelwise.data.opening import open_data
from pixelwise.data.rasters.areas import kept_apart, shared_out, tiles
from pixelwise.data.splitting import Shares
from pixelwise.errors import InputError


def painted(windows, height, width):
    """How often each pixel is in a window."""
    found = np.zeros((height, width), int)
    for top, left, h, w in windows:
        found[top : top + h, left : left + w] += 1
    return found


@given(st.integers(1, 300), st.integers(1, 300), st.integers(32, 80))
@settings(max_examples=30, deadline=None)
def test_tiles_cover_every_pixel_once(height, width, side):
    found = [tile.window for tile in tiles(height, width, side)]
    assert (painted(found, height, width) == 1).all()
    assert max(max(w.height, w.width) for w in found) <= side
    for axis, length in (("height", height), ("width", width)):
        sides = {getattr(w, axis) for w in found}
        assert max(sides) - min(sides) <= 1
        assert len(sides) < 2 or max(sides) < length


@given(st.integers(0, 90), st.integers(0, 3), st.sampled_from([0.0, 0.2]))
@settings(max_examples=25, deadline=None)
def test_no_pixel_is_in_two_splits_and_none_of_train_is_near_the_others(gap, seed, test):
    height, width, side = 400, 500, 50
    (own,) = shared_out([("a", tiles(height, width, side))], Shares(val=0.2, test=test, seed=seed))
    kept = kept_apart(own, gap, side, {})
    masks = {split: painted(windows, height, width) for split, windows in kept.items()}
    assert (sum(masks.values()) <= 1).all()
    for split, others in (("train", ("val", "test")), ("val", ("test",))):
        for other in others:
            for top, left, h, w in kept.get(other, ()):
                near = masks[split][max(0, top - gap) : top + h + gap]
                assert not near[:, max(0, left - gap) : left + w + gap].any()
    if not test:  # nothing is lost but in the gap
        assert masks["val"].sum() == pytest.approx(0.2 * height * width, rel=0.1)
    if not gap:
        assert (sum(masks.values()) == 1).all()


def test_a_seed_says_which():
    found = [("a", tiles(400, 500, 50))]
    one, same, other = (shared_out(found, Shares(seed=seed)) for seed in (1, 1, 2))
    assert one == same != other


def test_folds_are_val_once_each():
    found = [("a", tiles(400, 500, 50))]
    each = [shared_out(found, Shares(val=0.0, folds=4, fold=i))[0]["val"] for i in range(4)]
    assert (painted([w for one in each for w in one], 400, 500) == 1).all()


def test_large_rasters_are_shared_out_in_blocks_of_tiles():
    own = shared_out([("a", tiles(2000, 2000, 50))], Shares())[0]
    val = painted(own["val"], 2000, 2000)
    inside = val[:-1] == val[1:]  # rows of tiles of one block belong together
    assert inside.mean() > 0.99
    assert val.mean() == pytest.approx(0.2, rel=0.05)


def test_rasters_of_one_place_do_not_share_ground_between_splits(image, raster, described):
    image("a.tif")
    image("b.tif")
    raster("l.tif", np.arange(128 * 192).reshape(1, 128, 192).astype(np.uint8) % 2)
    source = open_data(
        described(
            ["{image: a.tif, labels: l.tif}", "{image: b.tif, labels: l.tif}"],
            "names: [a, b]\ntile: 32\nsplit: {val: 0.2, gap: 4}\n",
        )
    )
    train = [w for _, w in source.split("train").windows]
    val = painted([w for _, w in source.split("val").windows], 128, 192)
    assert not (painted(train, 128, 192) * val).any()


def test_a_raster_may_state_its_split(image, raster, described):
    for name in ("a.tif", "b.tif"):
        image(name, transform=rasterio_at(name))
        raster(f"l{name}", np.eye(128, 192, dtype=np.uint8)[None], transform=rasterio_at(name))
    entries = ["{image: a.tif, labels: la.tif}", "{image: b.tif, labels: lb.tif, split: val}"]
    source = open_data(described(entries))
    assert {n for n, _ in source.split("train").windows} == {0}
    assert {n for n, _ in source.split("val").windows} == {1}
    assert sum(w.pixels for _, w in source.split("train").windows) == 128 * 192
    more = "names: [a, b]\ntile: 64\nsplit: {val: 0.5, by: raster}\n"
    source = open_data(described([one.replace(", split: val", "") for one in entries], more))
    assert len({n for n, _ in source.split("val").windows}) == 1


def rasterio_at(name):
    from rasterio.transform import Affine

    return Affine(0.5, 0, 500000 + 1000 * (name == "b.tif"), 0, -0.5, 20000)


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("tile: 512\n", "lower `tile:`"),
        ("tile: 64\nsplit: {val: 0.2, gap: 900}\n", "lower `gap:`"),
        ("tile: 64\nsplit: {val: 0.2, by: area, gap: wide}\n", "gap='wide'"),
        ("tile: 64\nsplit: {by: picture}\n", "by='picture'"),
        ("tile: 64\nsplit: {vla: 0.2}\n", "unknown key of split"),
        ("tile: 8\n", "tile=8"),
        ("tile: 64\nsplit: some\n", "must be like"),
    ],
)
def test_what_cannot_be_shared_out_is_told(image, raster, described, more, told):
    image()
    raster("l.tif", np.eye(128, 192, dtype=np.uint8)[None])
    with pytest.raises(InputError, match="; ") as caught:
        open_data(described(["{image: ortho.tif, labels: l.tif}"], "names: [a, b]\n" + more))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
