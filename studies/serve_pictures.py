"""Take docs/pictures/serve.png, serve_phone.png and serve_zh.png: the page on made-up scenes.

python studies/serve_pictures.py --runs runs --out docs/pictures

trains a small network with one attention layer (2 minutes on one core), unless the run is there
already, serves it, and looks at the page with Chromium: a boat and the harbour, which tells it from
a car; a phone; and the brush, in Chinese.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from pixelwise.data.opening import open_data
from pixelwise.explanation.queries import automatic_queries
from pixelwise.networks.segmenter import load
from pixelwise.pictures import displayable
from pixelwise.serve.running import Server
from pixelwise.serve.saving import collection_for
from pixelwise.serve.served import Served

DATA = "scenes:seed=0,size=160,train=600,val=40,test=80"
SETTINGS = [
    "--data", DATA, "--model", "fcn", "--backbone", "test_resnet", "--output-stride", "8",
    "--attention", "pam@4", "--steps", "400", "--batch-size", "8", "--lr", "0.003",
    "--crop", "160", "--scale-min", "1", "--scale-max", "1", "--flip-vertical", "--rotate",
    "--class-weights", "auto", "--validations", "4", "--workers", "0", "--seed", "0",
    "--device", "cpu",
]  # fmt: skip
SCENES, BOAT = (7, 3, 12, 21), "boat"


def trained(runs):
    """The run's folder; trained unless it is there."""
    run = Path(runs) / "train" / "explain_picture"  # the network of explain_picture.py
    if not (run / "metrics.json").exists():
        words = ["train", *SETTINGS, "--runs", runs, "--name", run.name]
        subprocess.run([sys.executable, "-m", "pixelwise", *words], check=True)
    return run


def scenes(folder):
    """Some scenes as files, and the pixel of the first that is deepest inside a boat."""
    test = open_data(DATA).split("test")
    files = []
    for number in SCENES:
        files.append(folder / f"scene_{number}.png")
        Image.fromarray(displayable(test[number].image)).save(files[-1])
    boat = (test[SCENES[0]].mask == test.classes.names.index(BOAT)).long()
    (at,) = automatic_queries(boat, ignore=0)
    return files, at


def click(page, at, kind="click"):
    """Click the picture's pixel `at`, or tap it."""
    board = page.locator("#board").bounding_box()
    scale = board["width"] / 160
    place = {"x": (at[1] + 0.5) * scale, "y": (at[0] + 0.5) * scale}
    getattr(page.locator("#board"), kind)(position=place)
    page.wait_for_selector("button.layer")


def take(browser, address, at, out):
    """The three pictures."""

    def opened(width, height, locale="en-GB", **options):
        size = {"width": width, "height": height}
        context = browser.new_context(viewport=size, locale=locale, **options)
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#board:not([hidden])")
        return page

    page = opened(1280, 760)
    click(page, at)
    page.locator("button.layer").first.click()
    page.screenshot(path=out / "serve.png")
    page = opened(390, 844, has_touch=True, is_mobile=True, color_scheme="dark")
    click(page, at, "tap")
    page.screenshot(path=out / "serve_phone.png")
    page = opened(1280, 760, "zh-CN")
    click(page, at)
    page.keyboard.press("b")
    page.keyboard.press("2")
    board = page.locator("#board").bounding_box()
    page.mouse.move(board["x"] + 0.2 * board["width"], board["y"] + 0.8 * board["height"])
    page.mouse.down()
    page.mouse.move(board["x"] + 0.6 * board["width"], board["y"] + 0.7 * board["height"], steps=9)
    page.mouse.up()
    page.screenshot(path=out / "serve_zh.png")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", default="runs")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    model = load(trained(options.runs))
    with tempfile.TemporaryDirectory() as made:
        files, at = scenes(Path(made))
        saving = collection_for(model, Path(made) / "edited")
        server = Server(Served([("explain_picture", model)], files, saving=saving), port=0)
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
                take(browser, server.address, at, Path(options.out))
                browser.close()
        finally:
            server.stop()
            thread.join()


if __name__ == "__main__":
    main()
