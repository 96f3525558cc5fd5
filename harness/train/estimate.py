"""What the rest of a run should take, from a few timed steps."""

from collections.abc import Sequence

import numpy as np

from harness.data.images import cache_bytes
from harness.train.hours import Work
from harness.train.job import Job
from harness.train.run import Run

FORWARD = 0.3  # of a training step's seconds: a pass without gradients
CHECKPOINT = 4  # times the weights: Adam keeps two more of each, an average one


def estimate(run: Run, jobs: Sequence[Job]) -> Work:
    """The seconds and the bytes of those jobs of the run."""
    model, schedule = run.model, run.schedule
    images = len(run.training.ids)
    if model.mode == "probe":  # one pass over all images serves every fold
        seconds = images * run.seconds_of_a_pass()
    else:
        _, step = run.measure()
        sizes = np.array([schedule.size(s) for s in range(schedule.steps)])
        share = float(np.mean((sizes / model.image_size) ** 2))
        predicting = FORWARD * step * images / model.batch_size / run.training.folds.k
        seconds = len(jobs) * (schedule.steps * step * share + predicting)
    weights = run.weights_bytes
    kept = 1 if model.mode == "probe" else len(jobs) * model.snapshots
    passing = 0 if model.mode == "probe" else CHECKPOINT
    cache = cache_bytes(images, model.image_size)
    return Work(
        model.name,
        model.backbone,
        len(jobs),
        seconds,
        (kept + passing) * weights + cache,
    )
