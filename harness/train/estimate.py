"""What the rest of a run should take, from a few timed steps."""

from collections.abc import Sequence

import numpy as np

from harness.data.images import cache_bytes
from harness.train.hours import Work
from harness.train.job import Job
from harness.train.run import Run

CHECKPOINT = 4  # times the weights: Adam keeps two more of each, an average one


def estimate(run: Run, jobs: Sequence[Job], *, anew: bool = False) -> Work:
    """The seconds and the bytes of those jobs of the run.

    A job whose model is there only predicts, unless it is to be done ``anew``.
    """
    model, schedule, rows = run.model, run.schedule, run.training
    training = [job for job in jobs if anew or not run.trained(job)]
    predicted = len(rows.ids)
    if model.mode == "finetune":  # for a probe one pass over all images serves every fold
        predicted = sum(len(job.split(rows)[1]) + len(rows.holdout_rows) for job in jobs)
    seconds = predicted * run.seconds_of_a_pass() * len(run.own.views) * model.snapshots
    if training and model.mode == "finetune":
        _, step = run.measure()
        sizes = np.array([schedule.size(s) for s in range(schedule.steps)])
        share = float(np.mean((sizes / model.image_size) ** 2))
        seconds += len(training) * schedule.steps * step * share
    weights = run.weights_bytes
    kept = 1 if model.mode == "probe" else len(training) * model.snapshots
    passing = CHECKPOINT if training and model.mode == "finetune" else 0
    cache = cache_bytes(len(rows.ids), model.image_size)
    return Work(
        model.name,
        model.backbone,
        len(jobs),
        seconds,
        (kept + passing) * weights + cache,
    )
