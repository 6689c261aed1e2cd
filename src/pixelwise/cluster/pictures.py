"""Pictures on a cluster: each file is a task."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from pixelwise.cluster.pool import Pool
from pixelwise.cluster.worker import PREDICTING, Setup
from pixelwise.cluster.workers import Cluster, network_files
from pixelwise.errors import InputError
from pixelwise.networks.model import Model
from pixelwise.predict.images import Answered, Elsewhere, How, Wanted


def over(cluster: Cluster) -> Elsewhere:
    """What predicts pictures on a cluster; see `predict_pictures`.

    Workers read the files themselves, by their absolute paths; results come back through Ray.
    """

    def run(model: Model, wanted: Sequence[Wanted], how: How) -> Iterator[Answered]:
        jobs = [replace(one, picture=one.picture.absolute()) for one in wanted]
        of = {job.picture: one for job, one in zip(jobs, wanted, strict=True)}
        first = jobs[0].picture
        setup = Setup(
            network_files(model),
            cluster.device,
            torch.get_num_threads(),
            {first: first.stat().st_size},
            how,
        )
        count = min(cluster.workers, len(jobs))
        with Pool(cluster.ray, PREDICTING, setup, count, cluster.share, cluster.warn) as pool:
            for job, found in pool.run("picture", jobs, lambda job: str(of[job.picture].picture)):
                one = of[job.picture]
                if isinstance(found, InputError):
                    yield Answered(one, str(found))
                    continue
                problem = found.problem
                if problem is not None:
                    problem = problem.replace(str(job.picture), str(one.picture))
                yield replace(found, wanted=one, problem=problem)

    return run
