"""Following a plan: never late, never half a file, and no second of the budget left lying."""

import math
from dataclasses import replace

import numpy as np
import pytest
from submit.plan_world import World, random_plan

from harness.predict.plan import Plan
from harness.submit.plan import Follower, Load, Pace, Predict, Stop, Write

RUNS = 60


def plan_of(shares: tuple[float, ...], *, seconds: float = 0.01, fixed: float = 0.1) -> Plan:
    """Stages of one cost, with these shares."""
    plan = random_plan(np.random.default_rng(0), 100)
    stages = tuple(
        replace(
            plan.stages[0],
            option=f"option {i}",
            member=f"member {i}",
            share=share,
            rule="margin",
            size=64,
            fixed_seconds=fixed,
            image_seconds=seconds,
            alone=0.5,
        )
        for i, share in enumerate(shares)
    )
    costs = replace(plan.costs, start=1.0, write=0.05, decode=((64, 0.001),), read=0.001)
    count = len(shares)
    return replace(
        plan, stages=stages, weights=(1 / count,) * count, blends=({},) * count, costs=costs
    )


def drive(
    follower: Follower,
    *,
    slowdown: float = 1.0,
    urgency: np.ndarray | None = None,
    failing: frozenset[int] = frozenset(),
    start: float = 1.0,
) -> list[Load | Predict | Write | Stop]:
    """Run to the end; every action takes what the plan says, times ``slowdown``."""
    clock, actions = start, []
    while True:
        action = follower.next(clock)
        actions.append(action)
        if isinstance(action, Stop):
            return actions
        failed, values, took = (), None, 0.05
        if isinstance(action, Load):
            took = follower.plan.stages[action.stage].fixed_seconds
            failed = tuple(failing & {action.stage})
        elif isinstance(action, Predict):
            each = sum(follower.plan.stages[i].image_seconds for i in action.stages) + 0.002
            took = len(action.rows) * each
            failed = tuple(failing & set(action.stages))
            values = None if urgency is None else urgency[action.rows]
        clock += took * slowdown
        follower.done(took * slowdown, failed=failed, urgency=values)


def counts(follower: Follower) -> list[int]:
    """How many images have each stage."""
    bits = [
        (follower.have >> np.uint64(i)) & np.uint64(1) for i in range(len(follower.plan.stages))
    ]
    return [int(one.sum()) for one in bits]


@pytest.mark.parametrize("calm", [True, False])
def test_worlds_that_lie_about_their_speed(calm: bool) -> None:
    used, killed = [], 0
    for seed in range(RUNS):
        world = World(seed, calm=calm)
        in_time = world.clock < 0.9 * world.budget  # else starting alone takes too long
        outcome = world.run()
        assert outcome.ended <= world.budget
        assert outcome.file.shape == (world.rows, 3)
        assert np.isfinite(outcome.file).all()
        np.testing.assert_allclose(outcome.file.sum(axis=1), 1)
        assert outcome.file.min() >= 0
        killed += in_time and outcome.killed
        if in_time and (outcome.idle or outcome.killed):
            used.append(outcome.used)
    assert len(used) > RUNS / 4
    assert np.median(used) >= 0.9
    if calm:
        assert killed <= 0.1 * RUNS


def test_a_plan_is_followed_to_its_end() -> None:
    follower = Follower(plan_of((1.0, 1.0, 0.3)), 100, math.inf)
    urgency = np.random.default_rng(0).permutation(100).astype(float)
    actions = drive(follower, urgency=urgency)
    assert actions[-1] == Stop(True)
    assert counts(follower) == [100, 100, 100]  # without a limit everyone gets everything
    assert isinstance(actions[-2], Write)


def test_the_budget_of_the_plan_is_enough_for_the_plan() -> None:
    plan = plan_of((1.0, 1.0, 0.3, 0.0))
    plan = plan.on(100)
    urgency = np.random.default_rng(0).permutation(100).astype(float)
    follower = Follower(plan, 100, plan.seconds + 0.3)
    actions = drive(follower, urgency=urgency)
    assert actions[-1] == Stop(True)
    assert counts(follower)[:2] == [100, 100]
    assert 30 <= counts(follower)[2] < 60
    best = np.argsort(-urgency)[:30]
    assert all(2 in follower.stages_of(int(row)) for row in best)


def test_the_first_pass_reads_every_image_once() -> None:
    follower = Follower(plan_of((1.0, 1.0, 0.2)), 40, math.inf)
    actions = drive(follower, urgency=np.arange(40.0))
    passes = [a for a in actions if isinstance(a, Predict)]
    rows = np.concatenate([a.rows for a in passes if a.stages == (0, 1)])
    np.testing.assert_array_equal(rows, np.arange(40))
    assert all(a.stages in ((0, 1), (2,)) for a in passes)
    assert passes[0].rule == "margin"


def test_a_slow_machine_covers_everyone_first() -> None:
    plan = plan_of((1.0, 1.0, 1.0, 0.5)).on(100)
    follower = Follower(plan, 100, plan.seconds)
    drive(follower, slowdown=1.8, start=1.8)
    assert counts(follower)[0] == 100
    assert counts(follower)[3] == 0


def test_if_the_first_stage_is_too_slow_a_faster_one_serves() -> None:
    plan = plan_of((1.0, 0.2))
    fast = replace(plan.stages[1], image_seconds=0.0005)
    slow = replace(plan.stages[0], image_seconds=0.1)
    follower = Follower(replace(plan, stages=(slow, fast)), 100, 3.0)
    drive(follower)
    assert counts(follower) == [0, 100] or counts(follower)[1] > 90


def test_a_fast_machine_goes_on_to_the_next_most_urgent() -> None:
    plan = plan_of((1.0, 0.1)).on(100)
    urgency = np.random.default_rng(1).permutation(100).astype(float)
    follower = Follower(plan, 100, plan.seconds)
    actions = drive(follower, slowdown=0.6, urgency=urgency)
    reached = counts(follower)[1]
    assert 20 < reached < 100
    best = np.argsort(-urgency)[:reached]
    assert all(follower.stages_of(int(row)) == (0, 1) for row in best)
    assert actions[-1] == Stop(True)


def test_a_stage_that_cannot_load_is_skipped_and_told() -> None:
    follower = Follower(plan_of((1.0, 1.0, 0.5)), 50, math.inf)
    actions = drive(follower, failing=frozenset({1}))
    assert counts(follower) == [50, 0, 50]
    assert follower.failed == {1}
    assert actions[-1] == Stop(False)
    assert follower.groups()[0][0] == (0, 2)


def test_with_every_stage_broken_nothing_is_written() -> None:
    actions = drive(Follower(plan_of((1.0, 0.5)), 50, math.inf), failing=frozenset({0, 1}))
    assert actions == [Load(0), Load(1), Stop(False)]


def test_few_images_are_no_reason_to_leave_time_unused() -> None:
    """Loading takes far longer than the images: with time for both it is done all the same."""
    plan = plan_of((1.0, 0.5, 0.0), seconds=0.001, fixed=2.0)
    follower = Follower(plan, 5, 20.0)
    drive(follower)
    assert counts(follower) == [5, 5, 5]


def test_loading_what_could_not_be_used_is_left() -> None:
    plan = plan_of((1.0, 0.0), seconds=0.05, fixed=1.0)
    follower = Follower(plan, 40, 1.0 + 1.0 + 40 * 0.052 + 1.3)
    actions = drive(follower)
    assert Load(1) not in actions
    assert counts(follower) == [40, 0]


def test_unreadable_images_keep_the_prior_and_are_not_tried_again() -> None:
    follower = Follower(plan_of((1.0, 1.0)), 10, math.inf)
    broken = np.zeros(10, dtype=bool)
    broken[3] = True
    while not isinstance(action := follower.next(1.0), Stop):
        rows = action.rows if isinstance(action, Predict) else np.arange(0)
        follower.done(0.01, unreadable=broken[rows])
    assert action == Stop(True)
    assert [rows.tolist() for stages, rows in follower.groups() if not stages] == [[3]]


def test_no_time_at_all_stops_at_once() -> None:
    assert Follower(plan_of((1.0,)), 10, 0.5).next(1.0) == Stop(False)
    assert Follower(plan_of((1.0,)), 0, 10.0).next(1.0) == Stop(True)


def test_the_file_is_written_when_all_are_covered_and_again() -> None:
    plan = plan_of((1.0, 0.5, 0.2)).on(400)
    actions = drive(Follower(plan, 400, 4 * plan.seconds), urgency=np.arange(400.0))
    writes = [i for i, action in enumerate(actions) if isinstance(action, Write)]
    assert len(writes) >= 3
    first_other = next(
        i for i, a in enumerate(actions) if isinstance(a, Predict) and a.stages != (0,)
    )
    assert any(write < first_other for write in writes)
    assert writes[-1] == len(actions) - 2


def test_steps_must_be_done_before_the_next() -> None:
    follower = Follower(plan_of((1.0,)), 10, 100.0)
    with pytest.raises(RuntimeError, match="nothing was begun"):
        follower.done(1.0)
    follower.next(1.0)
    with pytest.raises(RuntimeError, match="not done"):
        follower.next(2.0)


def test_one_stall_does_not_change_the_pace() -> None:
    pace = Pace()
    for _ in range(10):
        pace.saw(1.0, 2.0)
    pace.saw(1.0, 100.0)
    assert pace.middle() == 2.0
    assert 2.0 < pace.bad() <= 6.0
    for _ in range(15):
        pace.saw(1.0, 0.5)  # a drift is followed
    assert pace.middle() == 0.5


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_what_should_take_no_time_says_nothing_of_the_machine(share: float) -> None:
    """Another tool's predictions: a hiccup while they are taken makes no slow machine."""
    plan = plan_of((1.0, share))
    given = replace(plan.stages[0], size=0, fixed_seconds=0.0, image_seconds=0.0)
    costs = replace(plan.costs, read=0.0)
    follower = Follower(replace(plan, stages=(given, plan.stages[1]), costs=costs), 100, 10.0)
    assert follower.next(1.0) == Load(0)
    follower.done(0.05)
    assert drive(follower, start=1.05)[-1] == Stop(completed=True)
    assert counts(follower) == [100, 100]


def test_a_quick_load_that_takes_long_says_little_of_writing() -> None:
    plan = plan_of((1.0,), fixed=0.01)
    follower = Follower(replace(plan, costs=replace(plan.costs, write=0.2)), 100, 20.0)
    assert follower.next(5.0) == Load(0)
    follower.done(1.5)
    assert drive(follower, start=6.5)[-1] == Stop(completed=True)
    assert counts(follower) == [100]


def test_a_slow_start_is_no_reason_to_leave_the_prior() -> None:
    plan = plan_of((0.0, 0.0), fixed=3.0)
    follower = Follower(plan, 100, 15.0)
    assert follower.next(10.0) == Load(0)  # ten times slower than expected: 30 s, so it seems
    follower.done(2.0)  # the disk's cache was cold, and is not any more
    actions = drive(follower, start=12.0)
    assert any(isinstance(action, Predict) for action in actions)
    assert counts(follower)[0] == 100
    assert drive(Follower(plan, 100, 12.0), start=10.0) == [Load(0), Stop(completed=False)]


def test_a_runtime_is_imported_once() -> None:
    plan = plan_of((1.0, 0.5), fixed=1.0)
    costs = replace(plan.costs, runtimes=(("slow", 30.0),))
    stages = tuple(replace(stage, runtime="slow") for stage in plan.stages)
    plan = replace(plan, stages=stages, costs=costs)
    follower = Follower(plan, 100, 60.0)
    assert follower.next(1.0) == Load(0)
    follower.done(31.0)  # as was to be expected: the machine is not slow
    assert drive(follower, start=32.0)[-1] == Stop(completed=True)
    assert counts(follower) == [100, 100]
    late = Follower(plan, 100, 30.0)  # no time to import it, but nothing to lose by trying
    assert late.next(1.0) == Load(0)
    late.done(31.0)
    assert late.next(32.0) == Stop(completed=False)
    with pytest.raises(ValueError, match="runtime"):
        replace(plan, costs=replace(costs, runtimes=()))


def test_a_plan_of_too_many_stages_is_refused() -> None:
    with pytest.raises(ValueError, match="65 stages"):
        Follower(plan_of((1.0,) * 65), 10, 1.0)
