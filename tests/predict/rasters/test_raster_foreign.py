import numpy as np
import pytest
import torch
from torch import nn

import pixelwise.predict
from pixelwise import create_model
from pixelwise.errors import InputError
from pixelwise.predict.rasters.foreign import Foreign
from pixelwise.predict.views import Views


def picture(height=60, width=90, bands=3):
    numbers = np.random.default_rng(0).integers(0, 256, (bands, height, width))
    return numbers.astype(np.uint8)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1)).eval()


def answer(model, numbers=None, **given):
    numbers = picture() if numbers is None else numbers
    return pixelwise.predict.raster(model, numbers, window=32, scale=255.0, **given)


def test_networks_of_smp_are_taken_at_any_size():
    smp = pytest.importorskip("segmentation_models_pytorch")
    torch.manual_seed(0)
    model = smp.FPN("resnet18", encoder_weights=None, classes=4).eval()
    numbers = picture(41, 50)
    with pytest.raises(RuntimeError, match="divisible"):
        model(torch.from_numpy(numbers)[None].float())
    found = pixelwise.predict.raster(model, numbers, window=1024, scale=255.0)
    x = nn.functional.pad(torch.from_numpy(numbers)[None] / 255, (0, 14, 0, 23), mode="replicate")
    with torch.no_grad():
        whole = model(x)[0].argmax(0)[:41, :50]
    assert np.array_equal(found[0], whole.numpy())


def test_networks_of_transformers_are_taken():
    transformers = pytest.importorskip("transformers")
    about = transformers.SegformerConfig(
        num_labels=3, depths=[1] * 4, hidden_sizes=[8, 8, 16, 16], decoder_hidden_size=16,
        num_attention_heads=[1, 1, 2, 2],
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.SegformerForSemanticSegmentation(about).eval()
    found = answer(model, picture(32, 32), views=Views((1.0,), flip=True))
    x = torch.from_numpy(picture(32, 32))[None] / 255

    def shares(x):
        logits = nn.functional.interpolate(model(x).logits, size=(32, 32), mode="bilinear")
        return logits.softmax(1)

    with torch.no_grad():
        mean = (shares(x) + shares(x.flip(-1)).flip(-1))[0] / 2
    assert np.array_equal(found[0], mean.argmax(0).numpy())


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize("how", ["script", "trace"])
def test_torchscript_files_are_taken(small, tmp_path, how):
    x = torch.zeros(1, 3, 32, 32)
    made = torch.jit.script(small) if how == "script" else torch.jit.trace(small, x)
    torch.jit.save(made, tmp_path / "net.pt")
    assert np.array_equal(answer(torch.jit.load(tmp_path / "net.pt")), answer(small))


@pytest.mark.slow
def test_exported_programs_are_taken(small, tmp_path):
    n, h, w = (torch.export.Dim(name) for name in "nhw")
    free = torch.export.export(
        small, (torch.zeros(2, 3, 40, 48),), dynamic_shapes=({0: n, 2: h, 3: w},)
    )
    torch.export.save(free, tmp_path / "net.pt2")
    loaded = torch.export.load(tmp_path / "net.pt2")
    assert np.array_equal(answer(loaded), answer(small))
    assert np.array_equal(answer(loaded.module()), answer(small))
    fixed = torch.export.export(small, (torch.zeros(1, 3, 32, 32),))
    assert np.array_equal(answer(fixed), answer(small))
    with pytest.raises(InputError, match=r"fails on windows of shape \(1, 3, 20, 32\).*; give it"):
        answer(torch.export.export(small, (torch.zeros(1, 3, 24, 24),)), picture(20, 50))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_network_gets_numbers_of_its_own_type(dtype):
    model = nn.Conv2d(3, 2, 1).to(dtype)
    x = torch.from_numpy(picture())[None] / 255
    with torch.no_grad():
        whole = model(x.to(dtype))[0].argmax(0)
    assert (answer(model)[0] == whole.numpy()).mean() > 0.99


def test_what_cannot_be_right_is_told(small):
    with pytest.raises(InputError, match=r"model='a.pt': must be a network.*; open"):
        Foreign("a.pt")
    with pytest.raises(InputError, match=r"\(1, 5, 32, 32\).*; give it that many bands"):
        answer(small, picture(bands=5))
    with pytest.raises(InputError, match=r"Dropout is in training mode.*; .*call model.eval"):
        answer(nn.Sequential(small, nn.Dropout()))
    with pytest.raises(InputError, match="training mode"):
        answer(create_model("fcn", "test_resnet", num_classes=2))

    def full(x):
        raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        answer(full)


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")
def test_another_function_of_the_same_name_begins_anew(tmp_path):
    rasterio = pytest.importorskip("rasterio")

    def stop(what, done, total):
        if done > 5:
            raise KeyboardInterrupt

    out, numbers = tmp_path / "out.tif", picture(200)
    with pytest.raises(KeyboardInterrupt):
        answer(lambda x: x[:, :2], numbers, sink=out, progress=stop)
    answer(lambda x: x[:, 1:], numbers, sink=out)
    with rasterio.open(out) as file:
        assert np.array_equal(file.read(1), answer(lambda x: x[:, 1:], numbers)[0])
