"""Following a plan against a clock: what to do next, given what has been done and how long it took.

Pure: no clock, no files, no networks. The runner asks ``next(now)``, does what it is told and says
``done(seconds, …)``; the simulation does the same with a virtual clock. The order of things:

1. Cover: every image gets the first pass's stages, or as many of them as there is time for. Where
   the first is too slow to reach every image, whichever stage gains most by itself in the time.
2. Deepen: each later pass takes the share of images it is meant for, the most urgent first.
3. Go on: with time left over, the passes take the other images too, then the stages without a
   share; with a budget without end, every image gets everything.

A stage that cannot be loaded, or fails, is left out from then on. The file is written when all
images are covered, then now and again, so that a hang loses little, and at the end.
"""

import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.predict.plan import Plan

Rows = NDArray[np.intp]

WINDOW = 15
"""Measurements that a pace is judged by: few enough to follow a drift."""
QUANTILE = 0.9
CAUTION = 1.5
"""How much longer than expected something may take that was not measured yet."""
MARGIN = 1.3
"""What the last write is given, over what a bad one took: it must not be cut off."""
WRITES_SHARE = 0.05
"""Of the time since the last one, what writing again may cost."""
WRITE_EVERY = 0.1
"""Of the budget, how long work may stay unwritten."""
WORTH_LOADING = 0.5
"""After loading, a stage needs time for all its images, or this many times what loading took."""
BELIEF = 0.05
"""Seconds of belief in what was known of the machine before, when one kind of work is judged by
another: that a load of 10 ms took a second does not make writing a hundred times as long."""
MOST_STAGES = 64
_NOBODY: Rows = np.empty(0, dtype=np.intp)


@dataclass(frozen=True)
class Load:
    """Load and warm up this stage."""

    stage: int


@dataclass(frozen=True)
class Predict:
    """Run these stages on these images in one pass, and judge by ``rule`` who is urgent next."""

    stages: tuple[int, ...]
    rows: Rows
    rule: str


@dataclass(frozen=True)
class Write:
    """Combine what there is and replace the file."""


@dataclass(frozen=True)
class Stop:
    """Nothing is left to do, or no time to do it in; ``completed`` if the plan was met."""

    completed: bool


Action = Load | Predict | Write | Stop


class Pace:
    """Measured against expected seconds of one kind of work: the middle of the last few, and how
    much worse the bad ones are. The middle, because one stall says nothing about the next batch."""

    def __init__(self) -> None:
        self.ratios: deque[float] = deque(maxlen=WINDOW)
        self.of_middle = self.of_bad = math.nan

    def saw(self, expected: float, seconds: float) -> None:
        """Take in one measurement."""
        self.ratios.append(seconds / max(expected, 1e-9))
        ordered = sorted(self.ratios)
        self.of_middle = statistics.median(ordered)
        high = ordered[math.ceil(QUANTILE * len(ordered)) - 1]
        self.of_bad = min(max(high, 1.1 * self.of_middle), 3 * self.of_middle)

    def middle(self, otherwise: float = 1.0) -> float:
        """Seconds for each second that was expected."""
        return self.of_middle if self.ratios else otherwise

    def bad(self, otherwise: float = 1.0) -> float:
        """The same on a bad day: a high quantile, at most three times the middle."""
        return self.of_bad if self.ratios else CAUTION * otherwise


class Follower:
    """A plan being followed for ``rows`` images until ``deadline``, on a clock that began at 0.

    ``have`` (rows,) holds each image's stages as bits, ``unreadable`` (rows,) whom none can see.
    ``batch`` is the most images at once. ``deadline`` may be infinite. ValueError if the plan has
    more than 64 stages.
    """

    def __init__(self, plan: Plan, rows: int, deadline: float, *, batch: int = 16) -> None:
        if len(plan.stages) > MOST_STAGES:
            raise ValueError(f"{len(plan.stages)} stages are more than {MOST_STAGES}")
        self.plan, self.rows, self.deadline, self.batch = plan, rows, deadline, batch
        self.have = np.zeros(rows, dtype=np.uint64)
        self.unreadable = np.zeros(rows, dtype=bool)
        self.urgency = np.zeros(rows)
        self.passes = plan.passes()
        self.failed: set[int] = set()
        self.ready: set[int] = set()
        self.runtimes: set[str] = set()
        self.doing: Action | None = None
        self.reached = 0  # images that were tried at all: they are covered in order
        self.queue: tuple[tuple[int, ...], Rows] = ((), _NOBODY)  # stages, and who waits for them
        self.dirty = self.covered = False
        self.written_at = 0.0
        self.now = math.nan
        self.starting = 1.0
        self.loads, self.writes, self.batches = Pace(), Pace(), Pace()
        self.pace_of = [Pace() for _ in plan.stages]

    def next(self, now: float) -> Action:
        """What to do now, ``now`` seconds after the process's start."""
        if self.doing is not None:
            raise RuntimeError(f"{self.doing} is not done yet")
        if math.isnan(self.now):  # how long starting took is the first that is known of the machine
            self.starting = max(1.0, now / max(self.plan.costs.start, 1e-9))
        self.now = now
        work = self._work()
        if self._should_write(work):
            self.doing = Write()
        else:
            self.doing = work or Stop(self.completed)
        return self.doing

    def done(
        self,
        seconds: float,
        *,
        failed: Sequence[int] = (),
        unreadable: NDArray[np.bool_] | None = None,
        urgency: NDArray[Any] | None = None,
    ) -> None:
        """What the last action took, in seconds, and what came of it.

        ``failed`` stages are never asked for again, and a batch with one counts for nothing. Of a
        batch's rows, ``unreadable`` says which could not be decoded, ``urgency`` how urgent each is
        for the next stage (see ``predict.plan.urgency``; of unreadable rows it is not looked at).
        """
        action, self.doing = self.doing, None
        self.failed.update(failed)
        if isinstance(action, Load):
            expected = self._fixed((action.stage,))
            self.loads.saw(expected + BELIEF, seconds + BELIEF * self.starting)
            if action.stage not in self.failed:
                self.ready.add(action.stage)
                self.runtimes.add(self.plan.stages[action.stage].runtime)
        elif isinstance(action, Write):
            self.writes.saw(self.plan.costs.write, seconds)
            self.dirty, self.written_at = False, self.now + seconds
        elif isinstance(action, Predict):
            self._predicted(action, seconds, bool(failed), unreadable, urgency)
        else:
            raise RuntimeError(f"nothing was begun that could be done: {action}")

    @property
    def completed(self) -> bool:
        """Whether every image that can be read has the stages that the plan means for it."""
        if any(stage.share > 0 and i in self.failed for i, stage in enumerate(self.plan.stages)):
            return False
        if not self.have.any() and not self.unreadable.all():
            return False  # nobody means the prior
        return all(self._missing(p) == 0 for p, _ in enumerate(self.passes))

    def stages_of(self, row: int) -> tuple[int, ...]:
        """The stages that an image has, in the plan's order."""
        return _stages(int(self.have[row]))

    def groups(self) -> list[tuple[tuple[int, ...], Rows]]:
        """(stages, rows): images by what they have; those with none get the prior."""
        return [
            (_stages(int(mask)), np.flatnonzero(self.have == mask)) for mask in np.unique(self.have)
        ]

    def _predicted(
        self,
        action: Predict,
        seconds: float,
        failed: bool,
        unreadable: NDArray[np.bool_] | None,
        urgency: NDArray[Any] | None,
    ) -> None:
        if failed:
            return
        expected = self._expected(action.stages) * len(action.rows)
        known = self.loads.middle(self.starting)
        self.batches.saw(expected + BELIEF, seconds + BELIEF * known)
        for stage in action.stages:
            self.pace_of[stage].saw(expected, seconds)
        good = np.ones(len(action.rows), dtype=bool) if unreadable is None else ~unreadable
        self.unreadable[action.rows[~good]] = True
        self.have[action.rows[good]] |= np.uint64(_mask(action.stages))
        if urgency is not None:
            self.urgency[action.rows[good]] = urgency[good]
        self.dirty |= bool(good.any())
        if action.rows[0] == self.reached:
            self.reached += len(action.rows)
        else:
            self.queue = (self.queue[0], self.queue[1][len(action.rows) :])

    # --- what there is to do

    def _work(self) -> Load | Predict | None:
        if self.reached < self.rows:
            return self._cover()
        stages, rows = self.queue
        if len(rows) and not self.failed.intersection(stages):
            action = self._afford(stages, rows)
            if action is not None:
                return action
        return self._deepen(planned=True) or self._deepen(planned=False)

    def _cover(self) -> Load | Predict | None:
        """Stages for the images that have none yet."""
        waiting = np.arange(self.reached, self.rows)
        first = tuple(stage for stage in self.passes[0] if stage not in self.failed)
        for count in range(len(first), 0, -1):
            if self._seconds(first[:count], len(waiting)) <= self._left():
                return self._act(first[:count], waiting)
        # too slow to reach them all: who gains most by itself?
        alone = [(i,) for i in range(len(self.plan.stages)) if i not in self.failed]
        if not alone:
            return None
        best = max(alone, key=lambda one: self._worth(one, len(waiting)))
        if self._worth(best, len(waiting)) > 0:
            return self._act(best, waiting)
        # a cold disk, or costs that were measured on a busy machine, make everything seem slow:
        # with nothing to lose it is tried while time is left, with one image if need be
        if not self.have.any() and self.now < self.deadline:
            return self._act(min(alone, key=self._fixed), waiting, least=1)
        return None

    def _worth(self, one: tuple[int], waiting: int) -> float:
        """What a stage gains over the prior, summed over the images it reaches in time."""
        left = self._left() - self._loading(one)
        each = max(self._expected(one) * self._pace(one), 1e-9)
        reached = int(min(waiting, left / each)) if left > 0 else 0
        return reached * max(self.plan.stages[one[0]].alone, 1e-12)

    def _deepen(self, *, planned: bool) -> Load | Predict | None:
        """A later pass for images that the earlier ones have served."""
        earlier = 0
        for p, group in enumerate(self.passes):
            stages = tuple(i for i in group if i not in self.failed)
            wanted = _mask(stages)
            if planned:
                count = self._missing(p)
            else:
                count = int(np.count_nonzero(~self.unreadable)) if stages else 0
            waiting = self._waiting(wanted, earlier) if stages and count > 0 else _NOBODY
            if len(waiting):
                order = waiting[np.argsort(-self.urgency[waiting], kind="stable")][:count]
                lacking = wanted & ~int(self.have[order[0]])
                same = order[(self.have[order] & np.uint64(wanted)) == wanted & ~lacking]
                action = self._afford(_stages(lacking), same)
                if action is not None:
                    served = action.stages if isinstance(action, Predict) else _stages(lacking)
                    self.queue = (served, same)
                    return action
            elif stages:
                earlier |= wanted
        return None

    def _afford(self, stages: tuple[int, ...], rows: Rows) -> Load | Predict | None:
        """The pass, or what of it there is time to load and use."""
        for count in range(len(stages), 0, -1):
            some = stages[:count]
            loading = self._loading(some)
            left = self._left() - loading
            whole = len(rows) * self._expected(some) * self._pace(some)
            if left > min(whole, WORTH_LOADING * loading):
                action = self._act(some, rows)
                if action is not None:
                    return action
        return None

    def _act(self, stages: tuple[int, ...], rows: Rows, least: int = 0) -> Load | Predict | None:
        """Load the first that is not, else predict as many rows as surely fit, or ``least``."""
        for stage in stages:
            if stage not in self.ready:
                return Load(stage)
        bad = max(self._expected(stages) * self._pace(stages, bad=True), 1e-9)
        count = min(len(rows), self.batch)
        if math.isfinite(self.deadline):
            count = min(count, max(least, math.floor(self._left() / bad)))
        if count < 1:
            return None
        return Predict(stages, rows[:count], self._rule_after(stages[-1]))

    def _rule_after(self, stage: int) -> str:
        position = next(p for p, group in enumerate(self.passes) if stage in group)
        following = self.passes[min(position + 1, len(self.passes) - 1)]
        return self.plan.stages[following[0]].rule

    def _waiting(self, wanted: int, earlier: int) -> Rows:
        """Readable rows with something, with all of ``earlier`` and without all of ``wanted``."""
        has = (self.have & np.uint64(earlier)) == earlier
        lacks = (self.have & np.uint64(wanted)) != wanted
        return np.flatnonzero(has & lacks & (self.have != 0) & ~self.unreadable)

    def _missing(self, p: int) -> int:
        """How many images the pass is still meant for."""
        stages = [i for i in self.passes[p] if i not in self.failed]
        if not stages:
            return 0
        readable = int(np.count_nonzero(~self.unreadable))
        meant = round(self.plan.stages[stages[0]].share * readable)
        mask = np.uint64(_mask(stages))
        return max(0, meant - int(np.count_nonzero((self.have & mask) == mask)))

    # --- what it takes

    def _left(self) -> float:
        """Seconds until the last write has to begin."""
        return self.deadline - self.now - self._writing()

    def _writing(self) -> float:
        return MARGIN * self.plan.costs.write * self.writes.bad(self._machine())

    def _machine(self) -> float:
        """How slow this machine seems for what was not measured yet; never faster than expected."""
        return max(1.0, self.batches.middle(self.loads.middle(self.starting)))

    def _expected(self, stages: tuple[int, ...]) -> float:
        """Predicted seconds an image."""
        chosen = [self.plan.stages[i] for i in stages]
        images = self.plan.costs.images(stage.size for stage in chosen)
        return max(images + sum(stage.image_seconds for stage in chosen), 1e-9)

    def _pace(self, stages: tuple[int, ...], *, bad: bool = False) -> float:
        """Measured seconds for each that was expected, weighted by the stages' own."""
        otherwise = self.batches.middle(self._machine())
        paces = [self.pace_of[i] for i in stages]
        weights = [self.plan.stages[i].image_seconds + 1e-12 for i in stages]
        each = [pace.bad(otherwise) if bad else pace.middle(otherwise) for pace in paces]
        return sum(w * pace for w, pace in zip(weights, each, strict=True)) / sum(weights)

    def _fixed(self, stages: tuple[int, ...]) -> float:
        """Predicted seconds to load those that are not, with the runtimes that they need."""
        waiting = [self.plan.stages[i] for i in stages if i not in self.ready]
        imports = self.plan.costs.imports({stage.runtime for stage in waiting} - self.runtimes)
        return imports + sum(stage.fixed_seconds for stage in waiting)

    def _loading(self, stages: tuple[int, ...]) -> float:
        return self._fixed(stages) * self.loads.middle(self._machine())

    def _seconds(self, stages: tuple[int, ...], rows: int) -> float:
        return self._loading(stages) + rows * self._expected(stages) * self._pace(stages)

    def _should_write(self, action: Load | Predict | None) -> bool:
        if not self.dirty:
            return False
        if action is None:
            return True
        if not self.covered and self.reached == self.rows:
            self.covered = True
            return True
        since, cost = self.now - self.written_at, self._writing()
        if self.now + 2 * cost > self.deadline:
            return False  # there is time for one more only: the last
        patience = WRITE_EVERY * self.deadline if math.isfinite(self.deadline) else 60.0
        return since > max(cost / WRITES_SHARE, patience)


def _mask(stages: Sequence[int]) -> int:
    return sum(1 << stage for stage in stages)


def _stages(mask: int) -> tuple[int, ...]:
    return tuple(i for i in range(mask.bit_length()) if mask >> i & 1)
