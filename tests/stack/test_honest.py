"""The table's promises: nothing is scored on what it was fitted on, and noise is called noise."""

from dataclasses import replace

import numpy as np
import pytest
from stack.problems import TASKS, make_problem, permute_members, permute_rows

from harness.decision import Decision
from harness.errors import ConfigError
from harness.estimate import Estimate
from harness.metrics import get_metric
from harness.stack.blend import Blend
from harness.stack.honest import (
    MethodScore,
    choose,
    evaluate,
    never_certain,
    reason,
    score_of_choice,
)
from harness.stack.problem import Problem
from harness.stack.rules import Average

ROWS = 800
QUICK = ("rank_mean", "vote", "weighted", "greedy", "ridge", "logistic")


def row(method: str, quality: float, spread: float = 0.0, members: int = 2) -> MethodScore:
    """A method whose bootstrap scores are ``quality`` and ``spread`` more or less, in turn."""
    estimate = Estimate(quality, quality - 0.1, quality + 0.1)
    blend = Blend(method, "regression", members, 1, Average((1 / members,) * members))
    return MethodScore(
        method=method,
        nested=estimate,
        in_sample=quality,
        over_mean=estimate,
        over_best=estimate,
        seconds=0.0,
        blend=blend,
        decision=Decision(),
        fold_decisions=(),
        quality=quality + spread * np.array([0.0, *[1.0, -1.0] * 50]),
        predictions=np.zeros((1, 1)),
    )


@pytest.mark.parametrize("task", TASKS)
def test_every_task_gets_a_table(task: str) -> None:
    problem = make_problem(task)
    seen: list[str] = []
    scores = evaluate(problem, QUICK, seed=0, bootstrap=50, progress=seen.append)
    plain = [score.method for score in scores if "+" not in score.method]
    assert plain == seen
    assert {"best", "mean"} <= set(seen)
    for score in scores:
        assert score.nested.low <= score.nested.value <= score.nested.high
        assert score.predictions.shape == problem.predictions.shape[1:]
    by_name = {score.method: score for score in scores}
    assert by_name["mean"].over_mean == Estimate(0.0, 0.0, 0.0)
    assert by_name["best"].over_best == Estimate(0.0, 0.0, 0.0)
    assert choose(scores) in scores


@pytest.mark.parametrize(
    "name", ["best", "weighted", "greedy", "logistic", "ridge", "lightgbm", "boosted", "two_layers"]
)
def test_on_permuted_labels_the_nested_score_is_chance(name: str) -> None:
    """What was fitted to noise looks good on its own rows, and must not on others."""
    problem = make_problem("binary", "roc_auc", rows=ROWS, members=6)
    problem.predictions[:] = problem.predictions[:, np.random.default_rng(0).permutation(ROWS)]
    (score,) = [s for s in evaluate(problem, [name], seed=0, bootstrap=300) if s.method == name]
    assert score.nested.low < 0.5 < score.nested.high


def test_in_sample_scores_show_their_optimism() -> None:
    problem = make_problem("multiclass", "accuracy", rows=ROWS)
    problem.predictions[:] = problem.predictions[:, np.random.default_rng(0).permutation(ROWS)]
    scores = {s.method: s for s in evaluate(problem, ["lightgbm", "ridge"], seed=0, bootstrap=100)}
    for name in ("lightgbm", "ridge"):
        assert scores[name].in_sample > scores[name].nested.value + 0.02


def test_the_scored_fold_is_never_seen() -> None:
    """A fold's predictions stay the same when that fold's truth is spoilt."""
    problem = make_problem(rows=400)
    names = ("weighted", "greedy", "logistic", "lightgbm", "two_layers", "temperature")
    clean = evaluate(problem, names, seed=0, bootstrap=10)
    spoilt = make_problem(rows=400)
    first = spoilt.folds == 0
    spoilt.truth[first] = (spoilt.truth[first] + 1) % 3
    for one, other in zip(clean, evaluate(spoilt, names, seed=0, bootstrap=10), strict=True):
        np.testing.assert_array_equal(one.predictions[first], other.predictions[first])
        if one.method in names:
            assert not np.array_equal(one.predictions[~first], other.predictions[~first])


def test_the_order_of_rows_and_members_changes_no_score() -> None:
    problem = make_problem(rows=400)
    draw = np.random.default_rng(3)
    turned = permute_members(permute_rows(problem, draw.permutation(400)), draw.permutation(4))
    one = evaluate(problem, QUICK, seed=0, bootstrap=10)
    other = evaluate(turned, QUICK, seed=0, bootstrap=10)
    for a, b in zip(one, other, strict=True):
        assert a.nested.value == pytest.approx(b.nested.value, abs=1e-5)
        assert a.in_sample == pytest.approx(b.in_sample, abs=1e-5)


def test_an_interval_over_groups_is_wider() -> None:
    """Ten rows of a group that agree are worth little more than one."""
    problem = make_problem("regression", rows=60)
    repeated = permute_rows(problem, np.repeat(np.arange(60), 10))
    grouped = replace(repeated, groups=np.repeat(np.arange(60), 10))
    width = [
        score.nested.high - score.nested.low
        for one in (repeated, grouped)
        for score in evaluate(one, ["mean"], seed=0, bootstrap=400)
        if score.method == "mean"
    ]
    assert width[1] > 2.5 * width[0]


@pytest.mark.parametrize("groups", [None, np.arange(40) // 2])
def test_forty_hits_are_no_certainty(groups: np.ndarray | None) -> None:
    truth = np.arange(40) % 3
    predictions = np.eye(3, dtype=np.float32)[truth][None]
    problem = Problem(
        ("a",),
        predictions,
        truth,
        np.arange(40) // 2 % 5,
        "multiclass",
        get_metric("accuracy"),
        groups,
    )
    (best, *_) = evaluate(problem, ["best"], seed=0)
    assert (best.nested.value, best.nested.high) == (1.0, 1.0)
    assert best.nested.low == pytest.approx(1 - 3 / (40 if groups is None else 20))
    error = Estimate(0.0, 0.0, 0.0)
    assert never_certain(error, get_metric("brier"), 60) == Estimate(0.0, 0.0, 0.1)
    assert never_certain(error, get_metric("log_loss"), 60) == error
    missed = Estimate(0.9, 0.8, 1.0)
    assert never_certain(missed, get_metric("accuracy"), 60) == missed


def test_the_simplest_ensemble_within_one_standard_error_wins() -> None:
    rows = [row("mean", 0.48, 0.01), row("weighted", 0.495, 0.01), row("lightgbm", 0.5)]
    assert choose(rows).method == "weighted"
    assert choose([rows[0], rows[2]]).method == "lightgbm"


def test_a_single_member_is_chosen_only_beyond_the_noise() -> None:
    ensembles = [row("mean", 0.495, 0.01), row("weighted", 0.5)]
    lucky, better = row("best", 0.51, 0.03, members=1), row("best", 0.54, 0.02, members=1)
    assert choose([lucky, *ensembles]).method == "mean"
    assert choose([better, *ensembles]).method == "best"
    assert choose([lucky, row("mean", 0.51, members=1)]).method == "best"


def test_the_reason_states_the_rule_and_its_numbers() -> None:
    mean, weighted = row("mean", 0.48, 0.01), row("weighted", 0.495, 0.01)
    lightgbm, best = row("lightgbm", 0.5), row("best", 0.6, members=1)
    assert reason([mean, weighted, lightgbm]) == (
        "weighted is chosen: the simplest ensemble within one standard error of the best "
        "(0.0050 behind lightgbm, standard error 0.0100)."
    )
    assert reason([mean, lightgbm]) == (
        "lightgbm is chosen: the best ensemble, and no simpler one is within one standard error "
        "of it (mean is 0.0200 behind, standard error 0.0100)."
    )
    assert reason([best, mean]) == (
        "best is chosen: one member leads mean by 0.1200 (95 % interval 0.1100 to 0.1300)."
    )
    assert reason([lightgbm]) == "lightgbm is chosen: the simplest ensemble is also the best."
    assert reason([best]) == ""


def test_choosing_among_noise_is_taken_off() -> None:
    """Members without any skill: the luckiest looks good, and the correction brings it back."""
    optimism, corrected = [], []
    for seed in range(60):
        draw = np.random.default_rng(seed)
        problem = make_problem("binary", "accuracy", rows=200, members=8, seed=seed)
        problem.predictions[:] = draw.dirichlet(np.ones(2), size=(8, 200))
        problem.truth[:] = draw.permutation(np.arange(200) % 2)
        scores = evaluate(
            problem, ["rank_mean", "vote", "weighted", "logistic"], seed=0, bootstrap=100
        )
        optimism.append(choose(scores).nested.value - 0.5)
        corrected.append(score_of_choice(problem, scores, seed=0, bootstrap=50).value - 0.5)
    assert np.mean(optimism) > 0
    assert abs(np.mean(corrected)) < np.mean(optimism)


def test_a_fold_without_a_class_is_no_obstacle() -> None:
    problem = make_problem("binary", "roc_auc", rows=200)
    problem.truth[problem.folds == 0] = 0
    scores = evaluate(problem, ["rank_mean", "weighted", "logistic"], seed=0, bootstrap=50)
    found = score_of_choice(problem, scores, seed=0, bootstrap=20)
    assert found.low < found.value < found.high


def test_the_interval_of_the_choice_holds_no_impossible_score() -> None:
    problem = make_problem("binary", "balanced_accuracy", rows=300)
    problem.predictions[0] = np.eye(2)[problem.truth]
    problem.predictions[0][:4] = 0.5  # all but perfect
    scores = evaluate(problem, QUICK, seed=0, bootstrap=50)
    for one in scores[1:]:  # so that the choice differs from fold to fold
        one.quality[:] = scores[0].quality
    assert score_of_choice(problem, scores, seed=0, bootstrap=20).high <= 1


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(ConfigError, match="did you mean 'weighted'"):
        evaluate(make_problem(), ["weigthed"], seed=0)


def test_methods_that_do_not_apply_are_left_out() -> None:
    scores = evaluate(make_problem("regression"), ["vote", "logistic"], seed=0, bootstrap=10)
    assert [score.method for score in scores] == ["best", "mean"]


def test_two_folds_are_enough_for_everything() -> None:
    problem = make_problem(folds=2)
    scores = evaluate(problem, ["logistic", "lightgbm", "two_layers"], seed=0, bootstrap=10)
    assert len(scores) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": ("a", "a", "b", "c")}, "different names"),
        ({"task": "guess"}, "unknown task"),
        ({"folds": np.zeros(300, int)}, "two folds"),
        ({"truth": np.full(300, 3)}, "class codes"),
        ({"groups": np.zeros(3)}, "groups"),
        ({"metric": get_metric("log_loss"), "predictions": np.full((4, 300, 3), np.nan)}, "NaN"),
    ],
)
def test_problems_that_cannot_be_meant_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(make_problem(), **change)
