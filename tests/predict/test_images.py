import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torch import nn

from pixelwise.errors import InputError
from pixelwise.networks.config import ModelConfig
from pixelwise.networks.segmenter import Segmenter
from pixelwise.predict.images import find_pictures, output_names, predict_answer, predict_pictures


def overlaid(name):
    return f"{name}.png", f"{name}_overlay.png"


PALETTE = ((0, 0, 0), (230, 159, 0), (86, 180, 233))


class Brightest(Segmenter):
    """The class of a pixel is its brightest band (binary: whether the first is over the mean)."""

    def __init__(self, **config):
        nn.Module.__init__(self)
        defaults = {"num_classes": 3, "palette": PALETTE}
        self.config = ModelConfig("none", "none", **(defaults | config))
        self.gain = nn.Parameter(torch.ones(()))
        self.sizes = []

    def forward(self, image):
        self.sizes.append(tuple(image.shape[-2:]))
        return self.gain * image[:, : self.config.num_classes]


def picture(path, size=(12, 16), seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(values).save(path)
    return values


def read(path, mode=None):
    with Image.open(path) as image:
        return np.array(image if mode is None else image.convert(mode))


def test_inputs_are_files_folders_and_patterns_each_picture_once(tmp_path):
    names = ("b.png", "a.JPG", "in/c.png", ".hidden.png")
    for name in names:
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("")
    b, a, c = (tmp_path / name for name in names[:3])
    assert find_pictures([tmp_path]) == [a, b]
    assert find_pictures([b, tmp_path, str(a)]) == [b, a]
    assert find_pictures([f"{tmp_path}/**/*.png"]) == [b, c]
    assert find_pictures([f"{tmp_path}/*"]) == [a, b]


def test_patterns_work_from_the_current_folder(tmp_path, monkeypatch):
    picture(tmp_path / "in" / "a.png")
    monkeypatch.chdir(tmp_path)
    assert [str(path) for path in find_pictures(["in/*.png"])] == ["in/a.png"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("absent.png", r"absent\.png: no such file"),
        ("notes.txt", r"notes\.txt: not a picture; give .*\.png"),
        ("empty", r"empty: no picture there .*\*\*"),
        ("*.webp", r"\*\.webp: no picture there"),
    ],
)
def test_inputs_that_name_no_picture_are_refused(tmp_path, given, message):
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message):
        find_pictures([tmp_path / given])


def test_no_input_is_refused():
    with pytest.raises(InputError, match="must name pictures"):
        find_pictures([])


def test_mask_and_overlay_are_written(tmp_path):
    values = picture(tmp_path / "a.png")
    (done,) = predict_pictures(Brightest().eval(), [tmp_path / "a.png"], tmp_path / "out")
    assert done.problem is None
    assert done.files[0] == tmp_path / "out" / "a.png"
    assert (read(done.files[0]) == values.argmax(2)).all()
    assert (read(done.files[0], "RGB") == np.array(PALETTE)[values.argmax(2)]).all()
    assert read(done.files[-1]).shape == values.shape
    written = {path.name for path in (tmp_path / "out").glob("[!.]*")}
    assert written == {"a.png", "a_overlay.png"}


def test_input_is_normalised_as_the_model_says():
    raw = torch.tensor([0, 100, 200, 255], dtype=torch.uint8).expand(3, 2, 4)
    model = Brightest(mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0), scale=200.0)
    seen = []
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    predict_answer(model, raw)
    mean, std = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 1.0, 2.0])
    expected = (raw / 200 - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(seen[0][0], expected)


def test_binary_is_positive_above_a_logit_of_zero(tmp_path):
    values = picture(tmp_path / "a.png")
    model = Brightest(task="binary", num_classes=1, palette=PALETTE[:2], mean=(0.5, 0.5, 0.5))
    (done,) = predict_pictures(model, [tmp_path / "a.png"], tmp_path / "out")
    assert (read(done.files[0]) == (values[..., 0] > 127.5)).all()


def test_a_large_picture_goes_through_in_tiles(tmp_path):
    values = picture(tmp_path / "a.png", (50, 30))
    model = Brightest()
    (done,) = predict_pictures(model, [tmp_path / "a.png"], tmp_path / "out", window=20)
    assert set(model.sizes) == {(20, 20)}
    assert (read(done.files[0]) == values.argmax(2)).all()
    model.sizes.clear()
    list(predict_pictures(model, [tmp_path / "a.png"], tmp_path / "out"))
    assert model.sizes == [(50, 30)]


def test_16_bit_pictures_of_many_bands(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (5, 9, 11), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    model = Brightest(scale=65535.0, bands=(4, 0, 2))
    (done,) = predict_pictures(model, [tmp_path / "a.tif"], tmp_path / "out")
    assert (read(done.files[0]) == values[[4, 0, 2]].argmax(0)).all()
    assert read(done.files[-1]).shape == (9, 11, 3)


def test_colours_are_made_up_where_the_model_has_none(tmp_path):
    picture(tmp_path / "a.png")
    (done,) = predict_pictures(Brightest(palette=()), [tmp_path / "a.png"], tmp_path / "out")
    assert len(set(map(tuple, read(done.files[0], "RGB").reshape(-1, 3)))) == 3


def bad_files(folder):
    (folder / "broken.png").write_bytes(b"not a picture")
    tifffile.imwrite(folder / "bands.tif", np.zeros((5, 8, 9), np.uint8), photometric="minisblack")
    tifffile.imwrite(folder / "deep.tif", np.full((3, 8, 9), 999, np.uint16), photometric="rgb")
    return [folder / name for name in ("broken.png", "bands.tif", "deep.tif")]


def test_bad_pictures_are_reported_and_the_others_done(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "z.png")
    bad = bad_files(tmp_path)
    inputs = [tmp_path / "a.png", *bad, tmp_path / "z.png"]
    results = list(predict_pictures(Brightest(), inputs, tmp_path / "out"))
    problems = {done.picture: done.problem for done in results if done.problem}
    assert list(problems) == bad
    assert all(str(path) in problem for path, problem in problems.items())
    assert "5 bands" in problems[bad[1]]
    assert "values up to 999" in problems[bad[2]]
    written = {path.name for path in (tmp_path / "out").glob("[!.]*")}
    assert written == {"a.png", "a_overlay.png", "z.png", "z_overlay.png"}


def test_stop_on_error_raises_for_the_first_bad_picture(tmp_path):
    picture(tmp_path / "a.png")
    inputs = [tmp_path / "a.png", *bad_files(tmp_path)]
    results = predict_pictures(Brightest(), inputs, tmp_path / "out", stop_on_error=True)
    assert next(results).problem is None
    with pytest.raises(InputError, match=r"broken\.png"):
        next(results)


def test_results_never_share_a_file(tmp_path):
    names = ("s/a.png", "s/a.jpg", "t/a.png", "t/A.jpg", "u/t_a.png", "u/a_overlay.png")
    for seed, name in enumerate(names):
        picture(tmp_path / name, seed=seed)
    inputs = [tmp_path / name for name in names]
    results = list(predict_pictures(Brightest(), inputs, tmp_path / "out"))
    files = [path.name.casefold() for done in results for path in (done.files[0], done.files[-1])]
    assert len(set(files)) == 2 * len(names)
    assert sorted(p.name.casefold() for p in (tmp_path / "out").glob("[!.]*")) == sorted(files)
    assert results[0].files[0].name == "a.png"
    assert results[1].files[0].name == "a_jpg.png"


def test_many_pictures_of_one_name_get_numbers(tmp_path):
    inputs = [tmp_path / str(i) / "same" / "a.png" for i in range(5)]
    names = list(output_names(inputs, overlaid).values())
    assert names == ["a", "a_png", "same_a", "a_2", "a_3"]


@pytest.mark.parametrize("name", ["a.png", "b_overlay.png"])
def test_the_pictures_themselves_are_never_replaced(tmp_path, name):
    values = picture(tmp_path / name)
    picture(tmp_path / "b.jpg")
    with pytest.raises(InputError, match="would replace the picture"):
        next(predict_pictures(Brightest(), [tmp_path / "b.jpg", tmp_path / name], tmp_path))
    assert (read(tmp_path / name) == values).all()


def test_a_folder_that_cannot_be_written_stops(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        next(predict_pictures(Brightest(), [tmp_path / "a.png"], tmp_path / "file"))


def float_picture(file, high=1.0, *, holes=()):
    values = (np.random.default_rng(0).random((3, 12, 16)) * high).astype(np.float32)
    for row, column in holes:
        values[:, row, column] = np.nan
    tifffile.imwrite(file, values, photometric="minisblack")
    return file


@pytest.mark.parametrize("window", [1024, 8])
def test_pixels_without_data_are_ignored_and_counted(tmp_path, window):
    holes = [(0, 0), (5, 7)]
    file = float_picture(tmp_path / "a.tif", holes=holes)
    seen = []
    model = Brightest(scale=1.0, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2))
    model.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    (done,) = predict_pictures(model, [file], tmp_path / "out", window=window)
    mask = read(done.files[0])
    assert (done.pixels, done.missing) == (192, 2)
    assert sorted(zip(*(mask == 255).nonzero(), strict=True)) == holes
    assert all(torch.isfinite(tile).all() for tile in seen)
    assert seen[0][0, :, 0, 0].abs().max() < 1e-6


def test_a_picture_without_any_data_gives_a_mask_that_ignores_all(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((12, 16), np.nan, np.float32))
    (done,) = predict_pictures(Brightest(scale=1.0), [tmp_path / "a.tif"], tmp_path / "out")
    assert done.missing == done.pixels == 192
    assert (read(done.files[0]) == 255).all()


def test_nodata_of_the_training_counts_where_the_file_does_not_say(tmp_path):
    values = np.full((3, 12, 16), 0.5, np.float32)
    values[:, 3] = -9999
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    model = Brightest(scale=1.0, nodata=(-9999.0,), dtype="float32", values=(0.0, 1.0, 1.0))
    (done,) = predict_pictures(model, [tmp_path / "a.tif"], tmp_path / "out")
    assert (read(done.files[0])[3] == 255).all()


def test_values_unlike_those_of_the_training_are_refused_unless_asked_for(tmp_path):
    file = float_picture(tmp_path / "a.tif")
    (done,) = predict_pictures(Brightest(), [file], tmp_path / "out")
    assert "values up to" in done.problem
    (done,) = predict_pictures(Brightest(), [file], tmp_path / "out", as_is=True)
    assert done.problem is None


def test_16_bits_into_a_network_of_8_bits_give_the_same_mask(tmp_path):
    values = picture(tmp_path / "a.png")
    deep = values.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "b.tif", deep, photometric="rgb")
    results = predict_pictures(
        Brightest(), [tmp_path / "a.png", tmp_path / "b.tif"], tmp_path / "o"
    )
    masks = [read(done.files[0]) for done in results]
    assert (masks[0] == masks[1]).all()


def test_more_than_255_classes_take_16_bits(tmp_path):
    values = np.zeros((300, 4, 5), np.uint8)
    values[299, 1], values[255, 2] = 200, 200
    values[0, 0, 0] = 255
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="minisblack")
    model = Brightest(num_classes=300, in_channels=300, palette=())
    (done,) = predict_pictures(model, [tmp_path / "a.tif"], tmp_path / "out")
    mask = read(done.files[0])
    assert mask.dtype == np.uint16
    assert ((mask[1] == 299) & (mask[2] == 255)).all()
    assert read(done.files[-1]).shape == (4, 5, 3)


def test_hidden_folders_are_passed_over_in_patterns(tmp_path):
    for name in ("a.png", "in/b.png", ".ipynb_checkpoints/a-checkpoint.png", "in/@eaDir/b.png"):
        picture(tmp_path / name)
    found = find_pictures([f"{tmp_path}/**/*.png"])
    assert found == [tmp_path / "a.png", tmp_path / "in/b.png"]
    assert find_pictures([tmp_path / "in" / "@eaDir"]) == [tmp_path / "in/@eaDir/b.png"]


def test_a_limit_of_pixels_can_be_raised(tmp_path):
    picture(tmp_path / "a.png")
    inputs, out = [tmp_path / "a.png"], tmp_path / "out"
    (done,) = predict_pictures(Brightest(), inputs, out, max_megapixels=1e-5)
    assert "raise max_megapixels" in done.problem
    (done,) = predict_pictures(Brightest(), inputs, out, max_megapixels=1.0)
    assert done.problem is None
