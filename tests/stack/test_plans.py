"""From measured seconds to plans for every budget."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from stack.problems import make_problem

from harness.decision import Decision
from harness.estimate import Estimate
from harness.predict.cost import CostSheet, MemberCost
from harness.predict.measure import EngineCost
from harness.stack.plans import _some, make_plans
from harness.stack.problem import Problem
from harness.workspace.ensemble import Ensemble, Score

NONE = Estimate(0.0, 0.0, 0.0)
WEIGHTS = ("fold0", "fold1", "fold2", "fold3", "fold4")


def member(name: str, image_seconds: float, *, shared: bool = False) -> MemberCost:
    cost = EngineCost("torch-fp32", 4, 1, 1.0, 0.2, 0.1, image_seconds, image_seconds, 64)
    return MemberCost(name, 64, shared, WEIGHTS, cost)


def world(*costs: MemberCost, given: tuple[str, ...] = ()) -> tuple[Ensemble, Problem, CostSheet]:
    names = (*(cost.member for cost in costs), *given)
    problem = replace(make_problem(rows=240, members=len(names)), names=names)
    chosen = Score("mean", 0.7, 0.6, 0.8, 0.7, 0.0, NONE, NONE)
    values: dict[str, Any] = {
        "nested": 0.7,
        "low": 0.6,
        "high": 0.8,
        "rows": 240,
        "reason": "",
        "diversity": (),
        "fold_models": (),
        "metadata": (),
        "prior": (0.3, 0.3, 0.4),
        "folds": "f",
        "inputs": "i",
        "blend": {},
        "decision": Decision(),
        "fold_decisions": (),
    }
    ensemble = Ensemble(
        method="mean",
        metric="log_loss",
        members=names,
        used=names,
        targets=("a", "b", "c"),
        member_scores=(0.0,) * len(names),
        member_seconds=(0.0,) * len(names),
        weights=tuple(WEIGHTS if name not in given else () for name in names),
        runs=("",) * len(names),
        scores=(chosen,),
        **values,
    )
    decode = ((0, 0.0), (64, 0.001))
    sheet = CostSheet("e", "m", 0.1, (2.0,), 0.001, decode, 0.1, 100, costs, ())
    return ensemble, problem, sheet


def test_plans_go_from_the_prior_to_everything_with_all_fold_models() -> None:
    ensemble, problem, sheet = world(member("a", 0.01), member("b", 0.02, shared=True))
    plans = make_plans(ensemble, problem, sheet, {}, 500)
    seconds = [plan.seconds for plan in plans]
    assert seconds == sorted(seconds)
    assert not any(stage.share for stage in plans[0].stages)
    everything = plans[-1]
    assert {stage.member: stage.folds for stage in everything.stages} == {"a": 5, "b": 5}
    assert all(stage.share == 1 for stage in everything.stages)
    assert everything.score == 0.7  # as the ensemble's own method scores
    tuned = {stage.folds for plan in plans for stage in plan.stages if stage.member == "a"}
    assert tuned == {1, 3, 5}
    heads = {stage.folds for plan in plans for stage in plan.stages if stage.member == "b"}
    assert heads == {5}  # more heads on one backbone cost nothing


def test_predictions_of_another_tool_cost_nothing() -> None:
    ensemble, problem, sheet = world(member("a", 0.01), given=("z",))
    plans = make_plans(ensemble, problem, sheet, {}, 500)
    (stage,) = [stage for stage in plans[-1].stages if stage.member == "z"]
    assert (stage.size, stage.fixed_seconds, stage.image_seconds) == (0, 0.0, 0.0)


def test_views_are_options_of_their_own() -> None:
    ensemble, problem, sheet = world(member("a", 0.01, shared=True), member("b", 0.02, shared=True))
    better = np.eye(3, dtype=np.float32)[problem.truth] * 0.9 + np.float32(0.1 / 3)
    plans = make_plans(ensemble, problem, sheet, {("a", 2): better}, 500)
    found = {
        (stage.member, stage.views): stage.image_seconds
        for plan in plans
        for stage in plan.stages
        if stage.share
    }
    assert found[("a", 2)] == pytest.approx(0.02)
    assert all(stage.views == 1 for stage in plans[-1].stages if plans[-1].score == 0.7)


def test_some_rows_are_spread_and_keep_their_fold() -> None:
    folds = np.array([0, 1, -1, 2, 0, 1, 2, -1, 0, 1])
    some = _some(folds, 4)
    assert ((some == folds) | (some == -1)).all()
    assert np.count_nonzero(some >= 0) == 4
    assert some[0] == 0
    assert some[9] == 1
    assert set(_some(folds, 100, fold=2)) == {-1, 2}
