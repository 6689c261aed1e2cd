"""What `pixelwise layers` and `pixelwise models` print: `python docs/building/cards.py` writes it.

Run it after a layer, an upsampler or a network was added, or what its card says has changed.
"""

import json
from pathlib import Path

from pixelwise.cli import card_table
from pixelwise.cli.cards import Cards
from pixelwise.cli.measured import from_classes, measured

TABLE = Path(card_table.__file__).with_name(card_table.FILE)


def written(found: Cards) -> str:
    """The table as the file holds it."""
    return json.dumps(card_table.as_table(found), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TABLE.write_text(written(measured(from_classes())), encoding="utf-8")
