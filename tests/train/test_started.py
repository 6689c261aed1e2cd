"""What launchers' variables say, and settings of several processes."""

import pytest

from pixelwise.errors import InputError
from pixelwise.tasks.base import dealt_back
from pixelwise.train.loss_scale import FIRST, LEAST, PATIENCE, LossScale
from pixelwise.train.processes import ALONE, Processes
from pixelwise.train.settings import TrainSettings
from pixelwise.train.started import Start, how_started

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "host",
    "MASTER_PORT": "29500",
}
SRUN = {
    "SLURM_NTASKS": "8",
    "SLURM_STEP_NUM_TASKS": "8",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
}


def test_places_of_torchrun_and_srun():
    assert how_started(TORCHRUN) == Start(3, 4, 1, 2)
    assert how_started(SRUN) == Start(5, 8, 1, 4, slurm=True)
    by_hand = {
        name: TORCHRUN[name] for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    }
    assert how_started(by_hand) == Start(3, 4, 3, 4)


@pytest.mark.parametrize(
    "stray",
    [
        {},
        {"WORLD_SIZE": "8"},
        {"WORLD_SIZE": "8", "RANK": "0"},
        {**TORCHRUN, "WORLD_SIZE": "1", "RANK": "0", "LOCAL_RANK": "0"},
        {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "7"},
        {"SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"},
    ],
)
def test_stray_variables_mean_one_process(stray):
    assert how_started(stray) == Start()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"RANK": "x"}, "RANK='x': must be a whole number; start by torchrun"),
        ({"RANK": "4"}, "RANK=4, WORLD_SIZE=4, LOCAL_RANK=1: must be numbers of processes from 0;"),
        ({"LOCAL_RANK": "2"}, "LOCAL_RANK=2: must be numbers of processes"),
        ({"WORLD_SIZE": "-3"}, "WORLD_SIZE=-3"),
    ],
)
def test_what_cannot_be_is_told_in_a_line(changes, message):
    with pytest.raises(InputError, match=message):
        how_started({**TORCHRUN, **changes})


def test_machines_with_other_numbers_of_processes():
    with pytest.raises(InputError, match="must be as many on each of 3 machines; start them with"):
        how_started({**SRUN, "SLURM_STEP_NUM_NODES": "3"})


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_every_item_of_a_batch_is_one_process_s(count):
    items, shares = list(range(7)), []
    for rank in range(count):
        processes = Processes(Start())
        processes.rank, processes.count = rank, count
        shares.append(processes.share(items))
    assert [item for share in shares for item in share] == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_pictures_come_back_in_their_order(count):
    items = list(range(7))
    assert dealt_back([items[rank::count] for rank in range(count)]) == items


def test_alone_a_tick_gives_what_it_got():
    assert ALONE.tick(15, 2.5, True) == (15, 2.5, True)
    assert ALONE.first(lambda: "found") == "found"
    assert ALONE.all("own") == ["own"]


def test_settings_of_several_processes():
    assert TrainSettings().strategy == "auto"
    with pytest.raises(InputError, match="strategy='zero'"):
        TrainSettings(strategy="zero")
    with pytest.raises(InputError, match="precision='16'"):
        TrainSettings(precision="16")


def test_the_scale_falls_at_once_and_rises_slowly():
    scale = LossScale()
    scale.skip()
    scale.skip()
    assert (scale.factor, scale.skipped, scale.in_a_row) == (FIRST / 4, 2, 2)
    for _ in range(PATIENCE):
        scale.learnt()
    assert (scale.factor, scale.finite, scale.in_a_row) == (FIRST / 2, 0, 0)
    for _ in range(100):
        scale.skip()
    assert scale.factor == LEAST
