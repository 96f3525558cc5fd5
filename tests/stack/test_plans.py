"""From measured seconds to plans for every budget."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from stack.problems import make_problem

from harness.decision import Decision
from harness.estimate import Estimate
from harness.predict.cost import Averaging, CostSheet, MemberCost
from harness.predict.measure import EngineCost
from harness.predict.plan import Plan
from harness.stack.chosen import choose
from harness.stack.plans import make_plans
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
        "task": "multiclass",
        "metric_digest": "m",
        "blend": {"members": len(names), "targets": 3},
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
        views=("identity",),
        scores=(chosen,),
        **values,
    )
    decode = ((0, 0.0), (64, 0.001))
    sheet = CostSheet("e", "m", 0.1, (2.0,), 0.001, decode, 0.1, 100, costs, ())
    return ensemble, problem, sheet


def noise(name: str, loss: float) -> Averaging:
    return Averaging(name, loss, 1.5 * loss, 0.1 * loss, 5, 128, "test images")


def reached(plan: Plan) -> dict[str, tuple[int, int]]:
    """{member: models and views that some image is meant to get}."""
    return {stage.member: (stage.models[1], stage.views[1]) for stage in plan.stages if stage.share}


def test_plans_go_from_the_prior_to_everything_with_all_fold_models() -> None:
    ensemble, problem, sheet = world(member("a", 0.01), member("b", 0.02, shared=True))
    plans = make_plans(ensemble, problem, sheet, {}, 500)
    seconds = [plan.seconds for plan in plans]
    assert seconds == sorted(seconds)
    assert not any(stage.share for stage in plans[0].stages)
    everything = plans[-1]
    assert reached(everything) == {"a": (5, 1), "b": (5, 1)}
    assert all(stage.share == 1 for stage in everything.stages)
    assert everything.score == 0.7  # the ensemble's own, its choice nested
    assert everything.error == pytest.approx(0.2 / 3.92)
    heads = {stage.models for plan in plans for stage in plan.stages if stage.member == "b"}
    assert heads == {(0, 5)}  # more heads on one backbone cost nothing


def test_more_time_buys_more_fold_models_of_each_member_and_says_what_they_gain() -> None:
    ensemble, problem, sheet = world(member("a", 0.01), member("b", 0.012), member("c", 0.014))
    averaging = tuple(noise(name, 0.05) for name in "abc")
    plans = make_plans(ensemble, problem, replace(sheet, averaging=averaging), {}, 500)
    tuned = {reached(plan).get("a", (0, 0))[0] for plan in plans}
    assert tuned >= {1, 3, 5}
    numbers = [set(models for models, _ in reached(plan).values()) for plan in plans]
    assert any(len(one) > 1 for one in numbers)  # a choice for each member, not one for all
    everything = plans[-1]
    whole = 0.075 * (1 - 1 / 5)  # what one member alone would gain by five models
    assert whole / 3 <= everything.gain < whole
    assert everything.expected == pytest.approx(0.7 - everything.gain)
    assert 0 < everything.gain_error < everything.gain
    assert plans[0].gain == 0
    expected = [plan.expected for plan in plans[:-1]]
    assert expected == sorted(expected, reverse=True)  # more seconds never look worse


def test_models_of_which_nothing_is_known_win_a_tie() -> None:
    ensemble, problem, sheet = world(member("a", 0.01), member("b", 0.012))
    plans = make_plans(ensemble, problem, sheet, {}, 500)
    assert plans[-1].gain == 0
    cheaper = [plan for plan in plans[:-1] if set(reached(plan)) == {"a", "b"}]
    assert reached(cheaper[-1]) == {"a": (5, 1), "b": (5, 1)}


def test_predictions_that_repeats_averaged_are_not_believed_of_one_model() -> None:
    ensemble, problem, sheet = world(member("a", 0.01), member("b", 0.012))
    sheet = replace(sheet, averaging=(noise("a", 0.05), noise("b", 0.05)))
    plans = make_plans(ensemble, problem, sheet, {}, 500, repeats=5)
    assert plans[-1].gain == pytest.approx(0)  # five models are what out-of-fold scores speak of
    assert min(plan.gain for plan in plans) < 0  # one is worse than they say


def test_a_cheaper_plan_stands_last_only_if_it_is_better_beyond_noise() -> None:
    ensemble, problem, sheet = world(member("a", 0.01), member("b", 0.02))
    assert reached(make_plans(ensemble, problem, sheet, {}, 500)[-1])["b"] == (5, 1)
    spoilt = problem.predictions.copy()
    spoilt[1] = np.float32(1 / 3)  # the mean is far worse than the first member alone
    spoilt[0] = np.eye(3, dtype=np.float32)[problem.truth] * 0.9 + np.float32(0.1 / 3)
    plans = make_plans(ensemble, replace(problem, predictions=spoilt), sheet, {}, 500)
    assert set(reached(plans[-1])) == {"a"}


def test_predictions_of_another_tool_cost_nothing() -> None:
    ensemble, problem, sheet = world(member("a", 0.01), given=("z",))
    plans = make_plans(ensemble, problem, sheet, {}, 500)
    (stage,) = [stage for stage in plans[-1].stages if stage.member == "z"]
    assert (stage.size, stage.fixed_seconds, stage.image_seconds) == (0, 0.0, 0.0)


def test_views_are_a_choice_of_each_member() -> None:
    ensemble, problem, sheet = world(member("a", 0.01, shared=True), member("b", 0.02, shared=True))
    better = np.eye(3, dtype=np.float32)[problem.truth] * 0.9 + np.float32(0.1 / 3)
    plans = make_plans(ensemble, problem, sheet, {("a", 2): better}, 500)
    found = [reached(plan) for plan in plans]
    assert {one["a"] for one in found if "a" in one} == {(5, 1), (5, 2)}
    assert all(one["b"] == (5, 1) for one in found if "b" in one)
    with_both = next(plan for plan in plans if reached(plan).get("a") == (5, 2))
    (more,) = [s for s in with_both.stages if s.member == "a" and s.views == (1, 2)]
    assert more.image_seconds == pytest.approx(0.01)
    assert more.fixed_seconds == 0  # the models are there


def test_the_ensembles_own_views_are_those_of_the_last_plan() -> None:
    ensemble, problem, sheet = world(member("a", 0.01), member("b", 0.02, shared=True))
    one_view = problem.predictions[0] * 0.9 + np.float32(0.1 / 3)
    plans = make_plans(ensemble, problem, sheet, {("a", 1): one_view}, 500, base=4)
    assert reached(plans[-1]) == {"a": (5, 4), "b": (5, 4)}
    assert any(reached(plan).get("a") == (1, 1) for plan in plans)


def test_a_plan_is_chosen_only_if_a_slower_run_completes_it_too() -> None:
    ensemble, problem, sheet = world(member("a", 0.01), member("b", 0.02, shared=True))
    plans = make_plans(ensemble, problem, replace(sheet, spread=0.1), {}, 500)
    last, start = plans[-1], plans[-1].costs.start
    slower = last.seconds + 0.1 * (last.seconds - start)
    assert choose(plans, slower + 0.01) == last
    assert choose(plans, slower - 0.01) != last


def test_only_the_plan_of_the_whole_ensemble_is_blended_as_it() -> None:
    ensemble, problem, sheet = world(member("a", 0.01), member("b", 0.02, shared=True))
    plans = make_plans(ensemble, problem, sheet, {}, 500)
    assert [plan.whole for plan in plans] == [False] * (len(plans) - 1) + [True]
    assert plans[-1].score == ensemble.estimate.value


def test_plans_learn_a_blend_only_where_the_learner_competed() -> None:
    ensemble, problem, sheet = world(member("a", 0.01, shared=True), member("b", 0.02, shared=True))
    unsure = problem.predictions**0.2  # which a learner mends, and no average
    unsure /= unsure.sum(axis=2, keepdims=True)
    problem = replace(problem, predictions=unsure)

    def methods(of: Ensemble) -> set[str]:
        plans = make_plans(of, problem, sheet, {}, 500)
        return {blend["method"] for plan in plans for blend in plan.blends if blend}

    assert "logistic" not in methods(ensemble)
    logistic = replace(ensemble.scores[0], method="logistic")
    assert "logistic" in methods(replace(ensemble, scores=(*ensemble.scores, logistic)))
