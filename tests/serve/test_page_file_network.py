"""The page as one file, written by the command and shown by a browser from the disk."""

import base64
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import pixelwise as pw
from pixelwise.cli.main import main
from pixelwise.errors import InputError
from pixelwise.explanation.explain import explain
from pixelwise.predict.images import network_input
from pixelwise.serve.one_file.writing import check_target, write_page

CHROMIUM = Path("/usr/bin/chromium")
SIZE = (97, 130)


@pytest.fixture(scope="module")
def network():
    """A small network whose position attention looks somewhere."""
    torch.manual_seed(0)
    names = ("ground", "小路", "<b>wall</b>")
    model = pw.create_model("danet", "lcnet_050", num_classes=3, names=names).eval()
    with torch.no_grad():
        model(torch.randn(2, 3, 96, 96))
        for part in model.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.reset_running_stats()
                part.momentum = None
        model.train()
        for _ in range(4):
            model(torch.randn(4, 3, 96, 96))
        model.eval()
        model.decoder.position.gain.fill_(0.5)
        for part in (model.decoder.position.query, model.decoder.position.keys):
            part.weight.mul_(3)
    return model


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "图 1.png"
    cells = np.random.default_rng(1).integers(0, 255, (13, 17, 3))
    whole = np.kron(cells, np.ones((8, 8, 1)))[: SIZE[0], : SIZE[1]]
    Image.fromarray(whole.astype("uint8")).save(path)
    return path


@pytest.fixture(scope="module")
def written(network, picture, tmp_path_factory):
    """Written by another process, as checks of types know no number that is left free."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package)
    folder = tmp_path_factory.mktemp("run")
    network.save_pretrained(folder / "danet")
    out = folder / "page.html"
    words = ["serve", str(folder / "danet"), str(picture), "--out", str(out)]
    done = subprocess.run(
        [sys.executable, "-m", "pixelwise", *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("next: ")
    return out


def read(page):
    """What the page is told, and its parts."""
    text = page.read_text(encoding="utf-8")
    told = json.loads(re.search(r'id="told">(.*?)</script>', text, re.DOTALL)[1])
    found = re.findall(r'id="part-(\w+)">(.*?)</script>', text, re.DOTALL)
    return told, {name: gzip.decompress(base64.b64decode(value)) for name, value in found}


@pytest.mark.slow
def test_the_files_in_the_page_say_what_the_network_says(written, network, picture):
    import onnxruntime

    told, parts = read(written)
    assert parts["picture0"] == picture.read_bytes()
    assert [layer["key"] for layer in told["layers"]] == ["pam", "cam"]
    assert [one["name"] for one in told["description"]["classes"]] == list(network.config.names)
    raw = torch.from_numpy(np.array(Image.open(picture))).permute(2, 0, 1)[None]

    def session(name):
        return onnxruntime.InferenceSession(parts[name], providers=["CPUExecutionProvider"])

    whole = session("network")
    names = [entry.name for entry in whole.get_outputs()]
    values = dict(zip(names, whole.run(None, {"image": raw.float().numpy()}), strict=True))
    with torch.no_grad():
        logits = network(network_input(network, raw))
    shares = logits.softmax(1).sort(1, descending=True).values
    sure = (shares[:, 0] - shares[:, 1] > 1e-3).numpy()
    assert sure.mean() > 0.9
    assert np.array_equal(values["answer"][sure], network.answer(logits).numpy()[sure])
    assert np.abs(values["probabilities"] - logits.softmax(1).numpy()).max() < 1e-3
    layer = told["layers"][0]
    given = {"input0": values["layer0_0"]}
    before = session(layer["prepare"])
    wanted = {entry.name: given[entry.name] for entry in before.get_inputs()}
    made = [entry.name for entry in before.get_outputs()]
    given |= dict(zip(made, before.run(None, wanted), strict=True))
    look = session(layer["look"])
    for at in ((40, 70), (0, 0), (96, 129)):
        one = explain(network, network_input(network, raw), at, rollout=False, deletion=False)
        expected = one.maps[0]
        place = dict(zip(("row", "column"), map(np.array, expected.at), strict=True))
        (found,) = look.run(["map"], {name: given[name] for name in layer["handed"]} | place)
        spatial = expected.spatial.numpy()
        assert spatial.max() > 1.05 * spatial.min()
        assert np.abs(found - spatial).max() < 1e-4 * spatial.max()


@pytest.mark.slow
def test_a_browser_shows_it_from_the_disk(written, network, picture, tmp_path):
    sync = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip("needs /usr/bin/chromium")
    raw = torch.from_numpy(np.array(Image.open(picture))).permute(2, 0, 1)[None]
    with torch.no_grad():
        shares = network(network_input(network, raw)).softmax(1)[0]
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM))
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        asked, wrong = [], []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: wrong.append(str(error)))
        tab.on("console", lambda message: wrong.append(message.text))
        tab.goto(written.as_uri())
        tab.locator("#status:has-text('130 \u00d7 97')").wait_for(timeout=60_000)
        box = tab.locator("#overlay").bounding_box()
        scale = box["width"] / SIZE[1]
        tab.mouse.click(box["x"] + 70.5 * scale, box["y"] + 40.5 * scale)
        tab.locator('#answers:has-text("decoder.position")').wait_for(timeout=60_000)
        title, told = tab.inner_text("#pixel-title"), tab.inner_text("#answers")
        (tmp_path / "no.png").write_bytes(b"no picture")
        tab.set_input_files("#file", str(tmp_path / "no.png"))
        tab.locator("#message:visible").wait_for(timeout=60_000)
        refused = tab.inner_text("#message")
        browser.close()
    assert title == "Row 40, column 70"
    best = int(shares[:, 40, 70].argmax())
    assert f"{100 * shares[best, 40, 70]:.1f} %" in told
    assert network.config.names[best] in told
    assert refused.startswith("no.png: is no picture that this browser can read; choose")
    assert asked == [written.as_uri()]
    assert wrong == []


def test_a_file_of_somebody_else_is_kept(tmp_path):
    other = tmp_path / "page.html"
    other.write_text("<p>mine")
    with pytest.raises(InputError, match="no page that pixelwise serve wrote; choose another"):
        check_target(other)
    with pytest.raises(InputError, match=r"must end in \.html; rename it"):
        check_target(tmp_path / "page.txt")
    assert other.read_text() == "<p>mine"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"in_channels": 4}, "but the network takes 4 bands; serve it without --out"),
        ({"scale": 65535.0}, "values of 8 bits, but here 65535 means 1; serve it without --out"),
        ({"task": "regression", "num_classes": 1}, "not task 'regression'; serve it without"),
    ],
)
def test_what_browsers_cannot_show_is_refused(options, told, tmp_path):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    model = pw.create_model("fcn", "lcnet_050", **{"num_classes": 3, **options})
    with pytest.raises(InputError, match=re.escape(told)):
        write_page(model, tmp_path / "page.html", name="model")
    assert list(tmp_path.iterdir()) == []


def test_options_of_a_server_are_refused(capsys, tmp_path):
    assert main(["serve", str(tmp_path), "--out", "page.html", "--port", "80"]) == 2
    assert "port=80: is for a server; leave it out, or --out" in capsys.readouterr().err
    assert main(["serve", str(tmp_path), "--half"]) == 2
    assert "half=True: is for --out; leave it out" in capsys.readouterr().err
