"""Builds the documentation site: `python docs/build.py`.

Gathers hand-written and generated pages in `docs/_build/source`, writes `docs/_build/site/en` and
`docs/_build/site/zh` from them, an index for the search, and looks through all links. A warning of
Sphinx and a broken link are errors. What has not changed is not built again.
"""

import argparse
import sys
import time
from pathlib import Path


def main(words: list[str]) -> int:
    """Build what the words of the command line ask for.

    Args:
        words: of the command line.

    Returns:
        The exit code: 0 done, 1 something is wrong with the pages, 2 cannot build.
    """
    parser = argparse.ArgumentParser(prog="docs/build.py", description="Build the documentation.")
    parser.add_argument("--language", choices=["en", "zh"], help="only this one; default: both")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the site; default: docs/_build/site"
    )
    parser.add_argument(
        "--update-catalogues",
        action="store_true",
        help="bring the catalogues of the translation in step with the pages, and build nothing",
    )
    parser.add_argument(
        "--check-catalogues",
        action="store_true",
        help="name what is missing or wrong in them, and build nothing",
    )
    asked = parser.parse_args(words)
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
    try:
        import pagefind  # noqa: F401
        import sphinx  # noqa: F401
        from building import assembly, catalogues, checking, places, running
    except ImportError as error:
        print(f"error: {error}; pip install '.[docs]'", file=sys.stderr)
        return 2

    if asked.update_catalogues:
        print("\n".join(catalogues.renew()) or "nothing changed")
    if asked.check_catalogues:
        lines = [line for page in catalogues.pages() for line in catalogues.check(page)]
        print("\n".join(lines) or "the catalogues are complete")
        return int(bool(lines))
    if asked.update_catalogues:
        return 0
    began = time.perf_counter()
    site = asked.out or places.SITE
    folders = [asked.language] if asked.language else list(running.LANGUAGES)
    assembly.assemble(places.SOURCE, lambda line: print(f"  {line}"))
    print(f"pages gathered: {time.perf_counter() - began:.1f} s")
    catalogues.install(places.BUILD / "locale")
    if not running.pages(site, folders):
        print("error: warnings above; the site is not complete", file=sys.stderr)
        return 1
    running.finish(site, folders)
    wrong = list(checking.problems(site, folders))
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    if wrong:
        return 1
    print(f"site: {site / folders[0] / 'index.html'}, {time.perf_counter() - began:.0f} s")
    print(f"look at it: python -m http.server -b 127.0.0.1 -d {site}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
