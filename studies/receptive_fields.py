"""Receptive fields of all layers, or of networks: a row for each, and pictures of effective ones.

python studies/receptive_fields.py --out studies/receptive_fields.csv --picture \
    docs/pictures/receptive_fields.png
python studies/receptive_fields.py --networks --out studies/receptive_fields_networks.csv
python studies/receptive_fields.py --table studies/receptive_fields.csv

Layers are made with their defaults for maps of 64 channels and 32x32 pixels, as are the further
ones of MORE; networks take pictures of 256x256 pixels, on a ResNet-18. The effective field is the
mean of several initialisations with weights moved a little, each with a share of one. `--table`
prints the table of docs/receptive-fields.md.
"""

import argparse
import csv
from pathlib import Path

import torch

import machine
from pixelwise.layers import registry
from pixelwise.layers.placement import parse
from pixelwise.networks.factory import create_model
from pixelwise.pictures import write_bytes
from pixelwise.probe.field_pictures import fields_picture
from pixelwise.probe.fields import ORDERS, effective, theoretical
from pixelwise.receptive import Energy

CHANNELS, SIZE, INITIALISATIONS, DRAWS = 64, (32, 32), 5, 8
MORE = ("crisscross(recurrence=1)", "conv(repeats=4)", "conv(kernel_size=7)")
NETWORKS = (
    "fcn", "fcn se@4", "fcn psa_s@4", "fcn pam@4", "pspnet", "isanet", "deeplabv3plus", "fpn",
    "unet",
)  # fmt: skip
PICTURE, PICTURES, COPIES = (256, 256), 2, 2


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--networks", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args()
    if options.table:
        print(table(options.table))
        return
    rows, fields = [], {}
    default = NETWORKS if options.networks else (*registry.names(), *MORE)
    for name in options.names or default:
        row, fields[name] = (of_network if options.networks else of_layer)(name)
        rows.append(row)
        print(row, flush=True)
        machine.write(options.out, rows)
    if options.picture:
        write_bytes(options.picture, fields_picture(fields))


def of_layer(name):
    support = theoretical(layer(name, 0), CHANNELS, SIZE)
    energy = averaged(
        effective(layer(name, seed), CHANNELS, SIZE, draws=DRAWS, seed=seed)
        for seed in range(INITIALISATIONS)
    )
    row = {
        "layer": name,
        "shape": support.shape,
        "order": support.order,
        "near": support.near,
        "reach": support.reach,
        "share_of_map": round(support.share, 4),
        **numbers(energy),
        "channels": CHANNELS,
        "initialisations": INITIALISATIONS,
        "draws": DRAWS,
    }
    return row, energy


def of_network(name):
    energy = averaged(
        effective(network(name, seed), 3, PICTURE, draws=PICTURES, seed=seed)
        for seed in range(COPIES)
    )
    row = {"network": name, **numbers(energy), "initialisations": COPIES, "draws": PICTURES}
    return row, energy


def numbers(energy):
    return {
        "energy_elsewhere": f"{energy.elsewhere:.2g}",
        "radius_50": round(energy.radius(0.5), 1),
        "radius_90": round(energy.radius(0.9), 1),
        "size": "x".join(map(str, energy.values.shape)),
    }


def layer(name, seed):
    """The layer `name`, initialised from that seed."""
    (placed,) = parse(name, "layer", default=("here",))
    torch.manual_seed(seed)
    return registry.create(placed.key, CHANNELS, **placed.options)


def network(name, seed):
    """The network `name`, initialised from that seed."""
    arch, _, attention = name.partition(" ")
    torch.manual_seed(seed)
    return create_model(arch, "resnet18", num_classes=8, attention=attention or None)


def averaged(energies):
    """The mean, each with a share of one."""
    found = list(energies)
    shares = [one.values / one.values.sum() for one in found]
    return Energy(found[0].at, sum(shares) / len(shares))


def table(path):
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [
        "| layer | depends on | what comes from afar | energy elsewhere | 50 %, px | 90 %, px |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        told = ORDERS[row["order"]]
        if row["near"] != "0":
            told += f" beyond {row['near']} px"
        radii = [row[name].replace("nan", "none") for name in ("radius_50", "radius_90")]
        cells = [f"`{row['layer']}`", row["shape"], told, row["energy_elsewhere"], *radii]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
