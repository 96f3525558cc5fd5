"""A plan followed on real images: load, predict, write, until it is done or the time is up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.competition import Rendering
from harness.data.images import USUAL, Pixels
from harness.errors import DataError
from harness.predict.pixels import PixelStore
from harness.predict.plan import Combine, Plan, urgency
from harness.submit.plan import Follower, Load, Predict, Stop

KEPT_PIXELS = 2**30
"""Bytes of decoded images that are kept for later stages."""
BATCH = 64
"""Rows between two looks at the clock."""

Predictions = NDArray[np.float32]
Clock = Callable[[], float]


class Engine(Protocol):
    """A loaded stage, ready to predict."""

    def predict(self, pixels: Pixels) -> Predictions:
        """Probabilities (rows, targets) of uint8 images (rows, size, size, 3)."""


@dataclass(frozen=True)
class Progress:
    """How far the plan got.

    ``predictions`` (stages, rows, targets) hold NaN where a stage did not see a row; ``groups`` are
    the rows by the stages that they have. ``unreadable`` says why an image could not be decoded.
    ``spent`` are seconds by what they went into: start, load, predict, write. ``planned_at`` is
    when all that was planned was done (the rest was for time left over); None if it was not.
    """

    predictions: Predictions
    groups: list[tuple[tuple[int, ...], NDArray[np.intp]]]
    unreadable: Mapping[int, DataError]
    completed: bool
    spent: Mapping[str, float]
    planned_at: float | None


def follow(
    plan: Plan,
    paths: Sequence[Path],
    load: Callable[[int], Engine],
    given: Mapping[int, Predictions],
    combine: Combine,
    write: Callable[[Progress], None],
    *,
    deadline: float,
    clock: Clock,
    rendering: Rendering = USUAL,
    warn: Callable[[str], None] = lambda message: None,
    advance: Callable[[int, str], None] = lambda done, note: None,
) -> Progress:
    """Follow the plan for the images at ``paths`` until ``deadline`` on ``clock``, in seconds.

    ``load`` makes a stage ready, warmed up. ``given`` holds stages whose predictions (rows,
    targets) are there already, ``combine`` blends any set of stages, ``write`` replaces the file
    with what there is. A stage that fails is told to ``warn`` and left out; an unreadable image
    keeps the prior.
    """
    rows, targets = len(paths), len(plan.prior)
    predictions = np.full((len(plan.stages), rows, targets), np.nan, np.float32)
    engines: dict[int, Engine] = {}
    follower = Follower(plan, rows, deadline, batch=BATCH)
    sizes = {stage.size for stage in plan.stages if stage.size}
    spent = {"start": clock(), "load": 0.0, "predict": 0.0, "write": 0.0}
    planned_at: float | None = None

    def progress(completed: bool) -> Progress:
        return Progress(
            predictions, follower.groups(), dict(store.errors), completed, dict(spent), planned_at
        )

    ahead = 2 * BATCH
    with PixelStore(
        paths, sizes or {32}, limit=KEPT_PIXELS, ahead=ahead, rendering=rendering
    ) as store:
        store.prefetch(range(min(ahead, rows)))
        while not isinstance(action := follower.next(clock()), Stop):
            before = clock()
            failed: list[int] = []
            unreadable: NDArray[np.bool_] | None = None
            urgent: NDArray[Any] | None = None
            if isinstance(action, Load):
                try:
                    if action.stage not in given:
                        engines[action.stage] = load(action.stage)
                except Exception as error:  # whatever an engine dies of, the others go on
                    failed = [action.stage]
                    warn(f"{plan.stages[action.stage].option} is left out: {error}")
            elif isinstance(action, Predict):
                unreadable = np.zeros(len(action.rows), dtype=bool)
                for stage in action.stages:
                    try:
                        unreadable |= ~_predict(
                            plan, stage, action.rows, engines, given, store, predictions
                        )
                    except Exception as error:
                        failed = [stage]
                        warn(f"{plan.stages[stage].option} is left out: {error}")
                        break
                else:
                    _prefetch(store, follower, action.rows)
                    urgent = _urgency(plan, follower, action, predictions, combine)
                advance(int(np.count_nonzero(follower.have)), "")
            else:
                write(progress(follower.completed))
            seconds = clock() - before
            spent[type(action).__name__.lower()] += seconds
            follower.done(seconds, failed=failed, unreadable=unreadable, urgency=urgent)
            if planned_at is None and follower.completed:
                planned_at = clock()
        return progress(action.completed)


def combined(plan: Plan, progress: Progress, combine: Combine) -> NDArray[np.float64]:
    """(rows, targets): each row's blend of the stages that it has; the prior where it has none."""
    found = np.tile(np.array(plan.prior), (progress.predictions.shape[1], 1))
    for stages, rows in progress.groups:
        if stages:
            found[rows] = combine(stages, progress.predictions[np.ix_(np.array(stages), rows)])
    found[~np.isfinite(found).all(axis=1)] = plan.prior  # no engine's nonsense reaches the file
    return found


def _predict(
    plan: Plan,
    stage: int,
    rows: NDArray[np.intp],
    engines: Mapping[int, Engine],
    given: Mapping[int, Predictions],
    store: PixelStore,
    predictions: Predictions,
) -> NDArray[np.bool_]:
    """Fill in the stage's predictions of the rows; which of them could be read."""
    if stage in given:
        predictions[stage, rows] = given[stage][rows]
        return np.ones(len(rows), dtype=bool)
    pixels, good = store.read(rows, plan.stages[stage].size)
    if good.any():
        found = engines[stage].predict(pixels[good])
        if not np.isfinite(found).all():
            raise ValueError("it predicts NaN or infinity")
        predictions[stage, rows[good]] = found
    return good


def _prefetch(store: PixelStore, follower: Follower, rows: NDArray[np.intp]) -> None:
    """Decode what is likely to be asked for next: the rows that no stage has seen."""
    following = np.arange(rows[-1] + 1, min(rows[-1] + 1 + 2 * BATCH, follower.rows))
    store.prefetch(following[follower.have[following] == 0])


def _urgency(
    plan: Plan, follower: Follower, action: Predict, predictions: Predictions, combine: Combine
) -> NDArray[Any]:
    """How urgent each of the rows is for the next stage, by all that is known of it by now.

    All the same where there is no rule: nothing comes after a plan's only pass.
    """
    values = np.zeros(len(action.rows))
    if not action.rule:
        return values
    before = follower.have[action.rows]
    for mask in np.unique(before):
        some = before == mask
        rows = action.rows[some]
        stages = sorted({*follower.stages_of(int(rows[0])), *action.stages})
        seen = predictions[np.ix_(np.array(stages), rows)]
        _, members = plan.by_member(stages, seen)
        values[some] = urgency(action.rule, combine(stages, seen), members, plan.kind)
    return np.nan_to_num(values, nan=-np.inf)
