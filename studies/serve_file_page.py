"""The picture of the page as one file in the docs: `python studies/serve_file_page.py [RUN]`.

Trains a small network with position attention on made-up scenes for some minutes, or takes a run
that is there, writes the page with a scene inside, opens it from the disk and clicks. Writes
`docs/pictures/serve_file.png`.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from pixelwise.data.opening import open_data

PICTURE = Path(__file__).parents[1] / "docs/pictures/serve_file.png"
CHROMIUM = "/usr/bin/chromium"
NETWORK = ("--model", "danet", "--backbone", "mobilenetv3_small_050")
VIEW = {"width": 1180, "height": 800}


def main(words: list[str]) -> None:
    """Train, write, click."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = words[0] if words else trained(folder)
        page = folder / "page.html"
        pixelwise("serve", run, str(scene(folder)), "--out", str(page))
        shoot(page)
        print(f"{page.stat().st_size / 1e6:.1f} MB: {PICTURE}")


def trained(folder: Path) -> str:
    """A run of some minutes on made-up scenes."""
    words = ["train", "--data", "scenes", *NETWORK, "--time-limit", "8m", "--name", "film"]
    pixelwise(*words, folder=folder)
    return str(folder / "runs/train/film")


def scene(folder: Path) -> Path:
    """A scene that no run was trained on."""
    image = open_data("scenes").split("val")[3].image
    path = folder / "scene.png"
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)
    return path


def pixelwise(*words: str, folder: Path | None = None) -> None:
    """Run a command."""
    subprocess.run([sys.executable, "-m", "pixelwise", *words], check=True, cwd=folder)


def shoot(page: Path) -> None:
    """Open the page from the disk, click a pixel, and look where the first layer looks."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        tab = browser.new_page(viewport=VIEW)
        tab.goto(page.as_uri())
        tab.locator("#status").filter(has_text="scene.png").wait_for(timeout=120_000)
        box = tab.locator("#overlay").bounding_box()
        assert box is not None
        tab.mouse.click(box["x"] + 0.55 * box["width"], box["y"] + 0.62 * box["height"])
        tab.locator("#answers").filter(has_text="decoder.position").wait_for(timeout=60_000)
        tab.locator("[data-view=look]").click()
        tab.wait_for_timeout(500)
        tab.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
