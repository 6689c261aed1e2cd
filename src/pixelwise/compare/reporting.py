"""The results of a comparison's finished runs: tables, page, and text for the terminal."""

import shlex
from collections.abc import Callable
from pathlib import Path

from pixelwise import pictures
from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.costs import Costs
from pixelwise.compare.details import details
from pixelwise.compare.disagreements import disagreements
from pixelwise.compare.judging import judge
from pixelwise.compare.outcome import Outcome
from pixelwise.compare.page import Compared, comparison_page
from pixelwise.compare.record import Planned
from pixelwise.compare.running import failure, is_done
from pixelwise.compare.tables import results, score_table, text_table, verdict_table
from pixelwise.errors import InputError

PAGE, VERDICTS, SCORES, RESULTS = "report.html", "verdicts.csv", "scores.csv", "results.json"


def write_report(
    folder: Path, settings: CompareSettings, plan: Planned, warn: Callable[[str], None]
) -> str:
    """Judge the runs that are finished, and write what is found into the comparison's folder.

    Returns:
        The verdicts for a terminal.

    Raises:
        InputError: No run is finished.
    """
