"""The translator's command: what is missing in Chinese, and what was translated.

From the folder `docs`:
    python -m building.translating update
    python -m building.translating missing PAGE > page.json
    python -m building.translating apply PAGE page.json
    python -m building.translating check [PAGE ...]
    python -m building.translating progress
"""

import argparse
import json
import sys
from pathlib import Path

from building.catalogues import apply, check, missing, name, pages, renew


def main(arguments: list[str] | None = None) -> int:
    """Answer the command line.

    Returns:
        0, or 1 if something was refused or found.
    """
    parser = argparse.ArgumentParser(prog="python -m building.translating")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("missing").add_argument("page")
    filling = verbs.add_parser("apply")
    filling.add_argument("page")
    filling.add_argument("file", type=Path)
    verbs.add_parser("check").add_argument("page", nargs="*")
    verbs.add_parser("progress")
    verbs.add_parser("update")
    chosen = parser.parse_args(arguments)
    lines: list[str] = []
    if chosen.verb == "missing":
        texts = {name(text): text for text in missing(chosen.page)}
        print(json.dumps(texts, ensure_ascii=False, indent=0))
    elif chosen.verb == "apply":
        lines = apply(chosen.page, json.loads(chosen.file.read_text(encoding="utf-8")))
    elif chosen.verb == "check":
        lines = [line for page in chosen.page or pages() for line in check(page)]
    elif chosen.verb == "update":
        print("\n".join(renew()) or "nothing changed")
    else:
        for page in pages():
            waiting = missing(page)
            print(f"{len(waiting):5} messages {sum(map(len, waiting)):7} letters  {page}")
    print("\n".join(lines), end="\n" if lines else "")
    return int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
