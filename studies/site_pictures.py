"""Ten pages of the built site on one sheet: docs/pictures/site.png.

    python docs/build.py && python studies/site_pictures.py

Both languages, a wide window (1280 pixels) and a phone's (390), as headless Chromium shows them.
"""

import argparse
import functools
import http.server
import io
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]
SITE = ROOT / "docs" / "_build" / "site"
TARGET = ROOT / "docs" / "pictures" / "site.png"
CHROMIUM = "/usr/bin/chromium"
PAGES = (
    ("en/index", 1280),
    ("zh/index", 1280),
    ("zh/gallery/layers/psa_s", 1280),
    ("en/gallery/networks/danet", 1280),
    ("zh/guides/which-attention", 1280),
    ("en/errors", 1280),
    ("en/gallery/index", 390),
    ("zh/faq", 390),
    ("en/guides/insertion", 390),
    ("zh/serve", 390),
)
HEIGHT, SCALE, GAP = 1400, 0.4, 16


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Leave it out."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, default=SITE)
    asked = parser.parse_args()
    handler = functools.partial(Quiet, directory=asked.site)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    shots = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        for name, width in PAGES:
            page = browser.new_page(viewport={"width": width, "height": HEIGHT})
            page.goto(f"http://127.0.0.1:{server.server_port}/{name}.html")
            shot = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            size = (round(width * SCALE), round(HEIGHT * SCALE))
            shots.append(shot.resize(size, Image.Resampling.LANCZOS))
            page.close()
        browser.close()
    server.shutdown()
    wide, narrow = shots[:6], shots[6:]
    rows = [wide[:3], wide[3:], narrow]
    width = max(sum(shot.width + GAP for shot in row) for row in rows) + GAP
    sheet = Image.new("RGB", (width, len(rows) * (shots[0].height + GAP) + GAP), "#c8ccd2")
    for i, row in enumerate(rows):
        left = GAP
        for shot in row:
            sheet.paste(shot, (left, GAP + i * (shot.height + GAP)))
            left += shot.width + GAP
    sheet.quantize(256, dither=Image.Dither.NONE).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
