"""A plan on real (tiny) images with engines that are told what to do."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny import CLASSES, picture

from harness.data.images import Pixels
from harness.predict.plan import Costs, Plan, Stage, blend
from harness.submit.follow import Predictions, Progress, combined, follow

ROWS = 150
PRIOR = (0.5, 0.3, 0.2)


class Clock:
    """Time that passes only when an engine says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Engine:
    """Says which third of a picture is bright; takes ``seconds`` an image of virtual time."""

    def __init__(self, clock: Clock, seconds: float = 0.0, sure: float = 0.9) -> None:
        self.clock, self.seconds, self.sure = clock, seconds, sure
        self.seen = 0

    def warm_up(self) -> None:
        pass

    def predict(self, pixels: Pixels) -> Predictions:
        self.clock.now += self.seconds * len(pixels)
        self.seen += len(pixels)
        thirds = np.stack([part.mean(axis=(1, 2, 3)) for part in np.split(pixels, 3, axis=2)], 1)
        rest = (1 - self.sure) / 2
        return np.where(thirds == thirds.max(axis=1, keepdims=True), self.sure, rest).astype("f4")


def stage(member: str, share: float, *, seconds: float = 0.01) -> Stage:
    return Stage(
        option=member,
        member=member,
        engine="none",
        models=(0, 1),
        views=(0, 1),
        size=36,
        share=share,
        rule="entropy",
        fixed_seconds=0.1,
        image_seconds=seconds,
        alone=0.5,
    )


def plan(*stages: Stage) -> Plan:
    costs = Costs(start=0.0, write=0.1, decode=((36, 0.0),))
    weights = (1 / len(stages),) * len(stages)
    blends = ({},) * len(stages)
    return Plan(
        "classes", "log_loss", False, stages, blends, weights, PRIOR, costs, ROWS, 1.0, 0.5, 0.1
    )


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    for i in range(ROWS):
        picture(CLASSES[i % 3], i).resize((36, 36)).save(folder / f"{i}.png")
    return [folder / f"{i}.png" for i in range(ROWS)]


def run(plan: Plan, paths: list[Path], engines: dict[int, Engine], clock: Clock, deadline: float):  # type: ignore[no-untyped-def]
    written: list[Progress] = []
    said: list[str] = []

    def combine(stages, predictions):  # type: ignore[no-untyped-def]
        members, means = plan.by_member(stages, predictions)
        return blend(plan.weights_for(members), means, plan.kind)

    progress = follow(
        plan,
        paths,
        engines.__getitem__,
        {},
        combine,
        written.append,
        deadline=deadline,
        clock=clock,
        warn=said.append,
    )
    return progress, combined(plan, progress, combine), written, said


def test_a_plan_is_followed_to_its_end(paths: list[Path]) -> None:
    clock = Clock()
    engines = {0: Engine(clock, 0.01), 1: Engine(clock, 0.01)}
    steps = plan(stage("a", 1.0), stage("b", 0.2))
    progress, found, written, said = run(steps, paths, engines, clock, 5.0)
    assert progress.completed
    assert said == []
    assert engines[0].seen == ROWS
    assert engines[1].seen >= ROWS / 5  # and more, if there was time left
    np.testing.assert_array_equal(found.argmax(axis=1), np.arange(ROWS) % 3)
    assert written  # it was on disk before the end
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_plan_of_one_pass_needs_no_rule(paths: list[Path]) -> None:
    clock = Clock()
    only = replace(stage("a", 1.0), rule="")
    progress, _, _, _ = run(plan(only), paths, {0: Engine(clock, 0.01)}, clock, 60.0)
    assert progress.completed


def test_the_deadline_cuts_it_short_and_the_rest_keeps_the_prior(paths: list[Path]) -> None:
    clock = Clock()
    progress, found, written, _ = run(
        plan(stage("a", 1.0)), paths, {0: Engine(clock, 0.01)}, clock, 1.0
    )
    assert not progress.completed
    assert clock.now <= 1.0
    reached = {row for stages, rows in progress.groups if stages for row in rows.tolist()}
    assert 0 < len(reached) < ROWS
    for row in set(range(ROWS)) - reached:
        assert tuple(found[row]) == PRIOR
    assert len(written) >= 1


def test_a_stage_that_dies_is_left_out(paths: list[Path]) -> None:
    clock = Clock()

    class Dying(Engine):
        def predict(self, pixels: Pixels) -> Predictions:
            if self.seen > 60:
                raise RuntimeError("out of memory")
            return super().predict(pixels)

    engines = {0: Engine(clock, 0.001), 1: Dying(clock, 0.001)}
    steps = plan(stage("a", 1.0), stage("b", 0.9))
    progress, found, _, said = run(steps, paths, engines, clock, 60.0)
    assert not progress.completed
    assert said == ["b is left out: out of memory"]
    np.testing.assert_array_equal(found.argmax(axis=1), np.arange(ROWS) % 3)


def test_an_engine_that_cannot_load_is_left_out(paths: list[Path]) -> None:
    clock = Clock()
    steps = plan(stage("a", 1.0), stage("b", 1.0))
    progress, found, _, said = run(steps, paths, {1: Engine(clock)}, clock, 60.0)
    assert not progress.completed
    assert len(said) == 1
    assert said[0].startswith("a is left out")
    np.testing.assert_array_equal(found.argmax(axis=1), np.arange(ROWS) % 3)


def test_nonsense_from_an_engine_never_reaches_the_file(paths: list[Path]) -> None:
    clock = Clock()

    class Mad(Engine):
        def predict(self, pixels: Pixels) -> Predictions:
            return np.full((len(pixels), 3), np.nan, np.float32)

    engines = {0: Mad(clock), 1: Engine(clock)}
    progress, found, _, _ = run(plan(stage("a", 1.0)), paths, engines, clock, 60.0)
    assert not progress.completed
    np.testing.assert_array_equal(found, np.tile(PRIOR, (ROWS, 1)))
    steps = plan(stage("a", 1.0), stage("b", 0.9))
    _, found, _, said = run(steps, paths, engines, clock, 60.0)
    assert said == ["a is left out: it predicts NaN or infinity"]
    np.testing.assert_array_equal(found.argmax(axis=1), np.arange(ROWS) % 3)


def test_corrupt_and_missing_images_keep_the_prior(paths: list[Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG no more")
    some = [*paths[:40], broken, tmp_path / "missing.png"]
    clock = Clock()
    steps = plan(stage("a", 1.0), stage("b", 0.5))
    engines = {0: Engine(clock), 1: Engine(clock)}
    progress, found, _, _ = run(steps, some, engines, clock, 60.0)
    assert sorted(progress.unreadable) == [40, 41]
    assert progress.completed
    np.testing.assert_array_equal(found[40:], np.tile(PRIOR, (2, 1)))
    np.testing.assert_array_equal(found[:40].argmax(axis=1), np.arange(40) % 3)
