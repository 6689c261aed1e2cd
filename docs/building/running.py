"""Runs Sphinx for the languages of the site, at once, and pagefind after it."""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from building.places import BUILD, DOCS, SOURCE

LANGUAGES = {"en": "en", "zh": "zh_CN"}
"""Folder in the site -> Sphinx's name of the language."""
START = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>pixelwise</title>
<script>
location.replace((navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en") + "/index.html");
</script>
</head>
<body>
<p><a href="en/index.html">English</a> · <a href="zh/index.html" lang="zh-CN">中文</a></p>
</body>
</html>
"""
"""The page that leads to the reader's language."""


def sphinx_arguments(folder: str, builder: str, out: Path) -> list[str]:
    """The command that builds one language; a warning is an error.

    Args:
        folder: the language's folder, a key of `LANGUAGES`.
        builder: Sphinx's name of the builder, such as `html`.
        out: where the result goes.

    Returns:
        The words of the command.
    """
    return [
        *(sys.executable, "-m", "sphinx", "-b", builder, "-q", "-W", "--keep-going"),
        *("-c", str(DOCS), "-d", str(BUILD / "doctrees" / folder)),
        *("-D", f"language={LANGUAGES[folder]}", str(SOURCE), str(out)),
    ]


def pages(site: Path, folders: Sequence[str]) -> bool:
    """Write the pages of each language, at the same time.

    Args:
        site: where the folders of the languages are.
        folders: the languages.

    Returns:
        Whether all went without a warning.
    """
    running = [
        subprocess.Popen(sphinx_arguments(folder, "html", site / folder)) for folder in folders
    ]
    codes = [process.wait() for process in running]
    for folder, code in zip(folders, codes, strict=True):
        if code:  # so that the next build reads all pages again, and says the same
            shutil.rmtree(BUILD / "doctrees" / folder, ignore_errors=True)
    return not any(codes)


def finish(site: Path, folders: Iterable[str]) -> None:
    """Delete pages without a source, write the first page, make the index of the search."""
    kept = {page.relative_to(SOURCE).with_suffix(".html") for page in SOURCE.rglob("*.md")}
    (site / "index.html").write_text(START, encoding="utf-8")
    for folder in folders:
        for page in (site / folder).rglob("*.html"):
            if page.relative_to(site / folder) not in kept:
                page.unlink()
        shutil.rmtree(site / folder / "pagefind", ignore_errors=True)
        subprocess.run(
            [
                *(sys.executable, "-m", "pagefind", "--site", str(site / folder), "--silent"),
                *("--root-selector", "article", "--exclude-selectors", ".headerlink"),
            ],
            check=True,
            capture_output=True,
        )
