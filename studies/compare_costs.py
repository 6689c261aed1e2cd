"""What the rows of a written-down comparison cost here, and what all its runs do.

python studies/compare_costs.py small --out studies/compare_small_costs.csv
python studies/compare_costs.py large --data scenes --batch-size 2 --crop 128x128 --out ...

A row is a network; `seconds` are those of its steps with all seeds, evaluations apart. What is
given takes the place of what the preset says. Nothing is trained.
"""

import argparse
import dataclasses

import machine
from pixelwise.cli.console import Console
from pixelwise.compare.asked import CompareSettings
from pixelwise.compare.measuring import measure
from pixelwise.compare.planning import planned, prepared
from pixelwise.settings import checked
from pixelwise.train.presets import preset_file
from pixelwise.yaml_files import read


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("preset")
    parser.add_argument("--data")
    parser.add_argument("--crop")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--steps", type=int, help="instead of a budget")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    file = preset_file(options.preset, "pixelwise.compare")
    settings = CompareSettings(**checked(CompareSettings, read(file), file))
    names = ("data", "crop", "batch_size")
    given = {name: getattr(options, name) for name in names if getattr(options, name)}
    if options.steps:
        given |= {"steps": options.steps, "budget": None}
    settings = dataclasses.replace(settings, **given, workers=0)
    with Console() as console:
        begun = prepared(settings, console, None)
        costs = measure(begun, begun.arms, console.busy)
        plan = planned(settings, begun, costs, 0.0)
    base = costs["none"]
    rows = []
    for arm in plan.arms:
        cost = costs[arm.name if arm.longer == 1 else "none"]
        job = plan.job(arm, 0, None)
        rows.append(
            {
                "arm": arm.name,
                "parameters": cost.parameters,
                "operations": cost.operations,
                "step_ms": round(cost.step_ms, 2),
                "times_none": round(cost.step_ms / base.step_ms, 3),
                "inference_ms": round(cost.inference_ms, 2),
                "peak_mb": round(cost.peak_mb, 1),
                "apart": round(arm.apart, 4),
                "steps": job.steps,
                "seeds": settings.seeds,
                "seconds": round(cost.step_ms / 1000 * job.steps * settings.seeds),
            }
        )
    machine.write(options.out, rows)
    hours = sum(row["seconds"] for row in rows) / 3600
    print(f"{len(rows)} networks x {settings.seeds} seeds x {plan.steps} steps: {hours:.2f} h")


if __name__ == "__main__":
    main()
