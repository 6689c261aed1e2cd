"""Writes `llms.txt`, `AGENTS.md` and the skill anew: `python docs/write_agents.py`."""

import sys
from pathlib import Path


def main() -> int:
    """Write, and tell what changed; returns the exit code."""
    here = Path(__file__).resolve().parent
    sys.path[:0] = [str(here), str(here.parent / "src")]
    from building.agents import write_committed

    for name in write_committed():
        print(name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
