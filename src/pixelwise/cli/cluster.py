"""The options that say on which machines something is predicted."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from pixelwise.checks import at_least, in_range
from pixelwise.cli.console import Console
from pixelwise.cli.given import refuse_given
from pixelwise.cli.parsing import CommandParser
from pixelwise.language import translate

if TYPE_CHECKING:
    from pixelwise.cluster.workers import Cluster


def add_cluster(parser: CommandParser) -> None:
    """`--cluster`, `--workers` and `--gpu-share`."""
    parser.add_argument(
        "--cluster",
        type=str | None,
        help="predict on several processes or machines by Ray: local, auto or ray://host:port",
    )
    parser.add_argument(
        "--workers", type=int | None, help="on a cluster: so many processes, default: what fits"
    )
    parser.add_argument(
        "--gpu-share", type=float, default=1.0, help="on a cluster: of a GPU, for each process"
    )


def check_cluster_options(found: Namespace) -> None:
    """Raise an InputError for options that cannot be; loads nothing."""
    if found.cluster is None:
        usual = {"workers": None, "gpu_share": 1.0}
        refuse_given(found, usual, "is for a cluster; add --cluster local")
        return
    from pixelwise.cluster.connection import check_cluster

    check_cluster(found.cluster)
    in_range(0.01, 1, gpu_share=found.gpu_share)
    if found.workers is not None:
        at_least(1, workers=found.workers)


@contextlib.contextmanager
def cluster_of(found: Namespace, console: Console) -> Iterator["Cluster | None"]:
    """The cluster that is asked for, connected; None: there is none."""
    if found.cluster is None:
        yield None
        return
    from pixelwise.cluster.workers import cluster_at

    with cluster_at(
        found.cluster,
        workers=found.workers,
        gpu_share=found.gpu_share,
        device=found.device,
        warn=console.warn,
    ) as cluster:
        share = cluster.share
        each = (
            translate("{gpus:g} GPU").format(gpus=share.gpus)
            if share.gpus
            else translate("{cpus:g} cores").format(cpus=share.cpus)
        )
        console.say(
            translate("cluster {cluster}: {workers} workers, each on {each}").format(
                cluster=found.cluster, workers=cluster.workers, each=each
            )
        )
        yield cluster
