"""Where the sources of the site lie, and where what is built goes."""

import os
import tomllib
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1]
"""The folder `docs`."""
ROOT = DOCS.parent
"""The repository."""
BUILD = Path(os.environ.get("PIXELWISE_DOCS_BUILD", DOCS / "_build")).resolve()
"""All that a build writes; git ignores it. Tests build elsewhere."""
SOURCE = BUILD / "source"
"""Pages as Sphinx reads them: written by hand and generated ones."""
SITE = BUILD / "site"
"""The finished site, a folder for each language."""
CACHE = BUILD / "cache"
"""What generators keep between builds, by the hash of what it was made from."""


def project() -> dict[str, str]:
    """Version and addresses of the project, as `pyproject.toml` has them."""
    content = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {"version": content["version"], "source": content["urls"]["Source"].rstrip("/")}
