"""The results of a comparison's finished runs: tables, page, and text for the terminal."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pixelwise import pictures
from pixelwise.compare.arms import is_mechanism
from pixelwise.compare.asked import ASKED, CompareSettings
from pixelwise.compare.costs import Costs
from pixelwise.compare.details import details
from pixelwise.compare.disagreements import disagreements
from pixelwise.compare.halving import rungs
from pixelwise.compare.judging import judge
from pixelwise.compare.outcome import NUMBERS, Outcome
from pixelwise.compare.page.compared import Compared
from pixelwise.compare.page.page import comparison_page
from pixelwise.compare.record import Planned
from pixelwise.compare.results import results
from pixelwise.compare.running import failure, is_done
from pixelwise.compare.tables import score_table, text_table, verdict_table
from pixelwise.errors import InputError
from pixelwise.language import translate

PAGE, VERDICTS, SCORES, RESULTS = "report.html", "verdicts.csv", "scores.csv", "results.json"


def write_report(
    folder: Path,
    settings: CompareSettings,
    plan: Planned,
    costs: dict[str, Costs],
    warn: Callable[[str], None],
) -> str:
    """Judge the runs that are finished, and write what is found into the comparison's folder.

    Returns:
        The verdicts for a terminal.

    Raises:
        InputError: No run is finished.
    """
    jobs = [plan.job(arm, seed, None) for seed in range(settings.seeds) for arm in plan.arms]
    finished = [job for job in jobs if (job.folder(folder) / NUMBERS).is_file()]
    if not finished:
        raise InputError(
            f"{folder}: no run is finished; go on: pixelwise compare --resume {folder}"
        )
    outcomes = [Outcome.load(job.folder(folder)) for job in finished]
    failed = {
        f"{job.arm.name}, seed {job.seed}": why for job in jobs if (why := failure(folder, job))
    }
    verdicts = judge(outcomes, plan.arms, costs)
    grids = details(outcomes, plan.arms)
    folders = {(job.arm.name, job.seed): job.folder(folder) for job in finished}
    shown = disagreements(
        folders, plan.arms, outcomes, settings.recipe(), settings.split, warn=warn
    )
    command = f"pixelwise compare --config {folder / ASKED} --name {folder.name}_again"
    dropped = _dropped(settings, plan, outcomes)
    page = comparison_page(
        Compared(
            name=folder.name,
            settings=settings,
            arms=plan.arms,
            outcomes=outcomes,
            verdicts=verdicts,
            grids=grids,
            costs=costs,
            command=command,
            differing=shown,
            steps=plan.steps,
            seconds=plan.seconds,
            tried=round((plan.steps or 0) * plan.tried),
            dropped=dropped,
            failed=failed,
            facts=plan.facts,
            machine=plan.machine,
            warnings=plan.warnings,
        )
    )
    about = {"command": command, "failed": failed, "dropped": dropped, **plan.facts, **plan.machine}
    files = {
        VERDICTS: verdict_table(verdicts, costs),
        SCORES: score_table(outcomes),
        RESULTS: results(verdicts, grids, outcomes, plan.arms, costs, about),
        **{name: picture for name, picture, _, _ in shown},
        PAGE: page,
    }
    for old in folder.glob("differs_*.png"):
        if old.name not in files:
            old.unlink(missing_ok=True)
    for name, content in files.items():
        pictures.write_bytes(folder / name, content)
    for what, why in failed.items():
        warn(translate("{what}: failed, {why}").format(what=what, why=why))
    stopped = {*dropped, *(arm.name for arm in plan.arms if arm.control_of in dropped)}
    open_jobs = [job for job in jobs if not is_done(folder, job) and job.arm.name not in stopped]
    left = len(open_jobs)
    unfinished = (
        translate("\n{left} runs are not finished: pixelwise compare --resume {folder}").format(
            left=left, folder=folder
        )
        if left
        else ""
    )
    return translate("{text_table}{unfinished}\npage: {folder}").format(
        text_table=text_table(verdicts, costs), unfinished=unfinished, folder=folder / PAGE
    )


def _dropped(
    settings: CompareSettings, plan: Planned, outcomes: Sequence[Outcome]
) -> dict[str, int]:
    """Mechanism -> its seeds, of those that halving left behind."""
    if not settings.halving:
        return {}
    most = max(one.seed for one in outcomes) + 1
    counts = {arm.name: 0 for arm in plan.arms if is_mechanism(arm)}
    for one in outcomes:
        if one.arm in counts:
            counts[one.arm] += 1
    return {name: n for name, n in counts.items() if n in rungs(settings.seeds) and n < most}
