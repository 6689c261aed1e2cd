"""Pages of layers and networks, written from their code, their docstrings and measured tables."""

from pathlib import Path

READS = ("src", "studies", "tests/golden/adapters", "docs")
"""What the pages are made from."""


def write(source: Path) -> None:
    """Write a page for each layer and each network, and the overview.

    Args:
        source: The folder of pages; they go into `gallery` below it.
    """
    from building.gallery.layer_page import layer_page
    from building.gallery.network_page import network_page
    from building.gallery.overview import overview
    from pixelwise.layers.registry import available
    from pixelwise.networks.registry import names

    pages = {f"layers/{key}": lambda key=key: layer_page(key) for key in available()}
    pages |= {f"networks/{key}": lambda key=key: network_page(key) for key in names()}
    for place, text in {**pages, "index": overview}.items():
        file = source / "gallery" / f"{place}.md"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text(), encoding="utf-8")
