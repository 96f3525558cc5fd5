"""A world in which a plan is followed: a virtual clock, speeds that lie, and a parent that kills.

Used by the tests with a fixed seed, and by benchmarks/deadline_simulation.py 10,000 times.
"""

import math
from dataclasses import dataclass

import numpy as np

from harness.predict.plan import Costs, Plan, Stage, blend, predicted_seconds, urgency
from harness.submit.plan import Follower, Load, Predict, Stop, Write

SIZES = (64, 128, 224, 300)
TARGETS = 3


@dataclass(frozen=True)
class Outcome:
    """What the parent is left with.

    ``ended`` is when the child stopped or was killed, ``used`` that over the budget, ``idle``
    whether it stopped by itself although images waited for stages that work. ``written`` is when
    the file that stays was finished (0: the priors' file), ``file`` (rows, targets) what it says.
    """

    ended: float
    used: float
    killed: bool
    idle: bool
    completed: bool
    written: float
    covered: float
    file: np.ndarray
    disturbed: bool
    steps: int


def random_plan(draw: np.random.Generator, rows: int) -> Plan:
    """One to eight stages of different cost, some with a share of nothing, some of one member."""
    count = int(draw.integers(1, 9))
    member, models = 0, 0
    levels = np.sort(draw.choice([0.0, 0.05, 0.2, 0.5, 1.0], count))[::-1]
    levels[0] = draw.choice([1.0, 1.0, 1.0, 0.4])
    stages = []
    for i, share in enumerate(np.minimum(levels, levels[0])):
        if models and draw.uniform() < 0.7:  # else the member before gets more models
            member, models = member + 1, 0
        models += 1
        stages.append(
            Stage(
                option=f"option {i}",
                member=f"member {member}",
                engine="none",
                models=(models - 1, models),
                views=(0, 1),
                size=int(draw.choice(SIZES)),
                share=float(share),
                rule=str(draw.choice(["entropy", "margin", "spread"])),
                fixed_seconds=float(math.exp(draw.uniform(-3, 1))),
                image_seconds=float(math.exp(draw.uniform(-7, -2.5))),
                alone=float(draw.uniform(0.01, 1)),
            )
        )
    costs = Costs(
        start=float(draw.uniform(0.5, 4)),
        write=float(draw.uniform(0.01, 0.2)),
        decode=tuple((size, 1e-5 * size) for size in SIZES),
    )
    return Plan(
        kind="classes",
        metric="log_loss",
        greater_is_better=False,
        stages=tuple(stages),
        blends=({},) * count,
        weights=tuple(draw.dirichlet(np.ones(member + 1))),
        prior=(0.5, 0.3, 0.2),
        costs=costs,
        rows=rows,
        seconds=predicted_seconds(stages, costs, rows),
        score=0.5,
        error=0.01,
    )


class World:
    """One run: what things really take, what fails, and the clock.

    ``speed`` 0.2 to 5 times the prediction, every stage off by its own factor, and drifting;
    ``calm`` leaves out stalls, hangs, failures and corrupt images.
    """

    def __init__(self, seed: int, *, calm: bool = False) -> None:
        self.draw = draw = np.random.default_rng(seed)
        self.rows = int(draw.integers(1, 400))
        self.plan = random_plan(draw, self.rows)
        self.slowdown = 1 / math.exp(draw.uniform(math.log(0.2), math.log(5)))
        self.drift = float(draw.choice([0.0, 0.01, 0.05]))
        count = len(self.plan.stages)
        self.own = np.exp(draw.normal(0, 0.2, count))
        self.budget = self.plan.seconds * math.exp(draw.uniform(math.log(0.3), math.log(6)))
        self.clumsy = np.zeros(count, bool) if calm else draw.uniform(size=count) < 0.05
        self.breaks = np.full(count, np.inf)
        self.corrupt = np.zeros(self.rows, bool)
        self.stall_rate = 0.0
        if not calm:
            later = draw.uniform(size=count) < 0.05
            self.breaks[later] = draw.integers(1, 5, int(later.sum()))
            if draw.uniform() < 0.3:
                self.corrupt = draw.uniform(size=self.rows) < draw.choice([0.02, 0.3, 1.0])
            self.stall_rate = float(draw.choice([0.0, 0.002, 0.02]))
        self.disturbed = bool(self.clumsy.any() or np.isfinite(self.breaks).any()) or (
            self.stall_rate > 0
        )
        self.predictions = draw.dirichlet(np.ones(TARGETS), (count, self.rows))
        self.clock = self.plan.costs.start * self.slowdown * math.exp(draw.normal(0, 0.2))

    def run(self) -> Outcome:
        """Follow the plan; at the deadline the parent kills whatever is being done."""
        follower = Follower(self.plan, self.rows, self.budget)
        file, written, covered, steps = np.tile(self.plan.prior, (self.rows, 1)), 0.0, 0.0, 0
        ended, killed = self.budget, True
        while self.clock <= self.budget:
            action = follower.next(self.clock)
            steps += 1
            if isinstance(action, Stop):
                ended, killed = self.clock, False
                break
            seconds = self._takes(action)
            self.clock += seconds
            if self.clock > self.budget:
                break
            if isinstance(action, Write):
                file, written = self._file(follower), self.clock
                covered = float(np.mean((follower.have != 0) | follower.unreadable))
                follower.done(seconds)
            elif isinstance(action, Load):
                failed = (action.stage,) if self.clumsy[action.stage] else ()
                follower.done(seconds, failed=failed)
            else:
                self._predicted(follower, action, seconds)
        return Outcome(
            ended=ended,
            used=ended / self.budget,
            killed=killed,
            idle=not killed and self._work_left(follower),
            completed=not killed and follower.completed,
            written=written,
            covered=covered,
            file=file,
            disturbed=self.disturbed,
            steps=steps,
        )

    def _takes(self, action: Load | Predict | Write) -> float:
        """Seconds, with drift, noise and now and then a stall, of which some never end."""
        self.slowdown *= math.exp(self.draw.normal(0, self.drift))
        self.slowdown = min(max(self.slowdown, 0.1), 10.0)
        seconds = self.slowdown * math.exp(self.draw.normal(0, 0.1))
        if isinstance(action, Load):
            seconds *= self.plan.stages[action.stage].fixed_seconds * self.own[action.stage]
        elif isinstance(action, Write):
            seconds *= self.plan.costs.write
        else:
            chosen = [self.plan.stages[i] for i in action.stages]
            each = self.plan.costs.images(stage.size for stage in chosen)
            own = self.own[list(action.stages)]
            each += sum(s.image_seconds * f for s, f in zip(chosen, own, strict=True))
            seconds *= len(action.rows) * each
        if self.draw.uniform() < self.stall_rate:
            seconds += self.budget * self.draw.choice([0.02, 0.1, 0.3, 100.0])
        return float(seconds)

    def _predicted(self, follower: Follower, action: Predict, seconds: float) -> None:
        self.breaks[list(action.stages)] -= 1
        broken = [i for i in action.stages if self.breaks[i] <= 0]
        values = np.zeros(len(action.rows))
        masks = follower.have[action.rows] | np.uint64(sum(1 << i for i in action.stages))
        for mask in np.unique(masks):
            used = [i for i in range(len(self.plan.stages)) if int(mask) >> i & 1]
            some = masks == mask
            seen = self.predictions[used][:, action.rows[some]]
            members, means = self.plan.by_member(used, seen)
            mixture = blend(self.plan.weights_for(members), means, "classes")
            values[some] = urgency(action.rule, mixture, means, "classes")
        follower.done(seconds, failed=broken, unreadable=self.corrupt[action.rows], urgency=values)

    def _file(self, follower: Follower) -> np.ndarray:
        file = np.tile(self.plan.prior, (self.rows, 1))
        for stages, rows in follower.groups():
            if stages:
                seen = self.predictions[list(stages)][:, rows]
                members, means = self.plan.by_member(stages, seen)
                file[rows] = blend(self.plan.weights_for(members), means, "classes")
        return file

    def _work_left(self, follower: Follower) -> bool:
        working = sum(1 << i for i in range(len(self.plan.stages)) if i not in follower.failed)
        waiting = (follower.have & np.uint64(working)) != working
        return bool(working and (waiting & ~follower.unreadable).any())
