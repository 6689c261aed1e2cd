"""`python -m pixelwise.agents [NAME]`: prints what coding agents read."""

import sys
from pathlib import Path

NAMES = ("AGENTS.md", "SKILL.md", "llms.txt")


def main(words: list[str]) -> int:
    """Print a file; returns the exit code."""
    name = words[0] if words else NAMES[0]
    if len(words) > 1 or name not in NAMES:
        told = " ".join(words)
        print(f"error: {told!r}: no such text; name one of {', '.join(NAMES)}", file=sys.stderr)
        return 2
    sys.stdout.write(Path(__file__).with_name(name).read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
