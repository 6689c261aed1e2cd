"""How large and how quick the page as one file is: `python studies/serve_file.py`.

Writes `serve_file.csv`: for each network the size of the file, and what headless Chromium takes for
a picture of 512x512 that it opens from the disk: seconds from choosing it to the mask, and
milliseconds from a click to the answer. Networks are untrained, which changes no time.
"""

import csv
import os
import platform
import re
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import Page, sync_playwright

import pixelwise as pw
from pixelwise.serve.one_file.runtime import version
from pixelwise.serve.one_file.writing import write_page

TARGET = Path(__file__).with_suffix(".csv")
CHROMIUM = "/usr/bin/chromium"
SIDE = 512
CLICKS = 20
NETWORKS = (
    ("danet", "lcnet_050", None, False),
    ("isanet", "mobilenetv2_100", None, False),
    ("fcn", "resnet18", "psa_s@3,4", True),
)
"""Architecture, backbone, attention, whether weights are in float16."""


def main() -> None:
    """Measure all networks and write the table."""
    rows = []
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        picture = folder / "picture.png"
        cells = np.random.default_rng(0).integers(0, 255, (SIDE // 16, SIDE // 16, 3))
        Image.fromarray(np.kron(cells, np.ones((16, 16, 1))).astype("uint8")).save(picture)
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for arch, backbone, attention, half in NETWORKS:
            torch.manual_seed(0)
            model = pw.create_model(arch, backbone, num_classes=19, attention=attention)
            page = folder / f"{arch}.html"
            report = write_page(model, page, name=arch, half=half)
            seen = measured(
                browser.new_page(viewport={"width": 1280, "height": 900}), page, picture
            )
            first, clicks = seen
            rows.append(
                {
                    "network": arch,
                    "backbone": backbone,
                    "attention": attention or "",
                    "weights": "float16" if half else "float32",
                    "layers_shown": len(report.layers),
                    "megabytes": f"{report.bytes / 1e6:.1f}",
                    "difference": f"{report.difference:.1e}",
                    "map_difference": f"{report.map_difference:.1e}",
                    "first_mask_s": f"{first:.1f}",
                    "second_mask_s": f"{clicks[0]:.1f}",
                    "click_median_ms": f"{1000 * statistics.median(clicks[1:]):.0f}",
                    "click_p95_ms": f"{1000 * np.percentile(clicks[1:], 95):.0f}",
                    "size": f"{SIDE}x{SIDE}",
                    "threads": 1,
                    "browser": f"Chromium {browser.version}",
                    "runtime": version(),
                    "torch": torch.__version__,
                    "machine": f"{platform.machine()}, {os.cpu_count()} cores",
                    "load": f"{os.getloadavg()[0]:.1f}",
                }
            )
            print(rows[-1])
        browser.close()
    with TARGET.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, rows[0], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def measured(tab: Page, page: Path, picture: Path) -> tuple[float, list[float]]:
    """Seconds to the first mask; to the second one, and of each click."""
    tab.goto(page.as_uri())
    status = tab.locator("#status")

    def opened(name: str) -> float:
        file = picture.with_name(name)
        file.write_bytes(picture.read_bytes())
        start = time.perf_counter()
        tab.set_input_files("#file", str(file))
        status.filter(has_text=name).wait_for(timeout=300_000)
        return time.perf_counter() - start

    first, second = opened("first.png"), opened("second.png")
    title, taken = tab.locator("#pixel-title"), [second]
    places = np.random.default_rng(1).integers(0, SIDE, (CLICKS + 1, 2))
    for number, (row, column) in enumerate(places):
        box = tab.locator("#overlay").bounding_box()
        assert box is not None
        before, scale = title.inner_text(), box["width"] / SIDE
        start = time.perf_counter()
        tab.mouse.click(box["x"] + (column + 0.5) * scale, box["y"] + (row + 0.5) * scale)
        title.filter(has_not_text=re.compile(f"^{re.escape(before)}$")).wait_for(timeout=60_000)
        if number:  # the first one warms up
            taken.append(time.perf_counter() - start)
    tab.close()
    return first, taken


if __name__ == "__main__":
    main()
