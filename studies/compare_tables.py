"""Verdicts and scores of finished comparisons as one CSV each, with the machine that made them.

python studies/compare_tables.py runs/compare/camvid --out studies/compare_camvid

The comparison of `compare_camvid` (CamVid at a quarter of its size by studies/reduced.py):

pixelwise compare --data camvid_quarter --attention none,control,se,eca,gc,cbam,coord,psa_p,psa_s,\
pam,cam,isa,crisscross,strip_pooling --backbone test_resnet --batch-size 4 --crop 90x120 \
--lr 0.003 --steps 300 --seeds 5 --workers 0 --name camvid

Those of `compare_kampala` and `compare_kampala_longer`:

pixelwise compare --data kampala_buildings --budget 20m --attention none,control,se,coord,psa_s \
--backbone mobilenetv3_small_050 --crop 128x128 --name newcomer

with --steps 700 instead of --budget for the longer one.
"""

import argparse
import csv
import json
from pathlib import Path

import machine


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    about = json.loads((options.comparison / "plan.json").read_text(encoding="utf-8"))["machine"]
    for table, ending in (("verdicts.csv", ""), ("scores.csv", "_scores")):
        with (options.comparison / table).open(encoding="utf-8", newline="") as file:
            rows = [about | row for row in csv.DictReader(file)]
        machine.write(f"{options.out}{ending}.csv", rows)


if __name__ == "__main__":
    main()
