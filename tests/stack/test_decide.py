"""Decision rules: found where they were planted, left alone where there is nothing to find."""

from dataclasses import replace

import numpy as np
import pytest
from stack.problems import make_problem

from harness.decision import Decision, Rule
from harness.metrics import get_metric
from harness.predict.plan import Costs
from harness.stack.decide import decide_nested, fit_decisions, rule_for
from harness.stack.honest import choose, evaluate
from harness.stack.priced import Purchase
from harness.stack.problem import Problem
from harness.stack.scored import Judge
from harness.stack.select import Selection

ROWS = 3000


def planted(task: str, metric: str, rows: int = ROWS, seed: int = 0) -> tuple[Problem, np.ndarray]:
    """A problem whose truth follows a rule from its only member, but for every twentieth row, and
    that rule's numbers."""
    draw = np.random.default_rng(seed)
    if task == "multilabel":
        numbers = np.array([0.2, 0.5, 0.75])
        predictions = draw.random((rows, 3))
        decision = Decision("thresholds", tuple(numbers))
    elif task == "ordinal":
        numbers = np.array([0.9, 1.3, 2.4])
        predictions = draw.dirichlet(np.full(4, 0.7), rows)
        decision = Decision("cut_points", tuple(numbers))
    else:
        numbers = np.array([1.0, 5.0] if task == "binary" else [0.5, 4.0, 0.5])
        numbers /= np.exp(np.log(numbers).mean())
        predictions = draw.dirichlet(np.ones(len(numbers)), rows)
        decision = Decision("class_weights", tuple(numbers))
    truth = decision.apply(predictions)
    odd = np.arange(rows) % 20 == 0
    truth[odd] = truth[draw.permutation(np.flatnonzero(odd))]
    problem = Problem(
        names=("only",),
        predictions=predictions[None].astype(np.float32),
        truth=truth.astype(np.int8) if task == "multilabel" else truth.argmax(axis=1),
        folds=draw.permutation(rows) % 5,
        task=task,
        metric=get_metric(metric),
    )
    return problem, numbers


PLANTED = [
    ("binary", "f1"),
    ("binary", "mcc"),
    ("multiclass", "f1_macro"),
    ("multiclass", "balanced_accuracy"),
    ("multiclass", "accuracy"),
    ("ordinal", "quadratic_weighted_kappa"),
    ("multilabel", "f1_macro"),
    ("multilabel", "f1_micro"),
    ("multilabel", "f1_samples"),
    ("multilabel", "accuracy"),
]


@pytest.mark.parametrize(("task", "metric"), PLANTED)
def test_a_planted_rule_is_found_and_adopted(task: str, metric: str) -> None:
    problem, numbers = planted(task, metric)
    scores = evaluate(problem, (), seed=0, bootstrap=200)
    chosen = choose(scores)
    assert chosen.method == f"best+{rule_for(problem)}"
    found = np.array(chosen.decision.numbers)
    if task in ("binary", "multiclass"):
        np.testing.assert_allclose(np.log(found), np.log(numbers), atol=0.25)
    else:
        np.testing.assert_allclose(found, numbers, atol=0.08)
    plain = next(score for score in scores if score.method == "best")
    assert problem.metric.better(chosen.nested.low, plain.nested.high)


@pytest.mark.parametrize(
    ("task", "metric"),
    [("binary", "accuracy"), ("multiclass", "accuracy"), ("multilabel", "accuracy")],
)
def test_nothing_is_adopted_where_probabilities_say_it_all(task: str, metric: str) -> None:
    """Truth drawn from the predictions: no rule beats the most probable class, or one half."""
    adopted = 0
    for seed in range(10):
        draw = np.random.default_rng(1000 + seed)
        problem, _ = planted(task, metric, rows=600, seed=seed)
        predictions = problem.predictions[0].astype(float)
        if task == "multilabel":
            truth = (draw.random(predictions.shape) < predictions).astype(np.int8)
        else:
            truth = (draw.random((600, 1)) > predictions.cumsum(axis=1)[:, :-1]).sum(axis=1)
        scores = evaluate(replace(problem, truth=truth), (), seed=0, bootstrap=200)
        adopted += "+" in choose(scores).method
    assert adopted <= 1


@pytest.mark.parametrize(("task", "metric"), [("multiclass", "f1_macro"), ("binary", "mcc")])
def test_on_permuted_labels_a_rule_gains_nothing(task: str, metric: str) -> None:
    """What a rule fits to noise is gone on rows that it was not fitted on."""
    gains = []
    for seed in range(8):
        problem, _ = planted(task, metric, rows=400, seed=seed)
        shuffled = replace(problem, truth=np.random.default_rng(seed).permutation(problem.truth))
        score = shuffled.metric.score
        predictions = shuffled.predictions[0].astype(float)
        rule = rule_for(shuffled)
        assert rule is not None
        whole, by_fold = fit_decisions(shuffled, predictions, rule, 0)
        nested = decide_nested(shuffled, predictions, by_fold)
        in_sample = score(shuffled.truth, whole.apply(predictions))
        gains.append((score(shuffled.truth, nested), in_sample))
    nested_mean, in_sample_mean = np.mean(gains, axis=0)
    assert in_sample_mean > nested_mean + 0.02
    chance = 0.0 if metric == "mcc" else 1 / 3
    assert abs(nested_mean - chance) < 0.035


@pytest.mark.parametrize(("task", "metric"), PLANTED[2:8:2])
def test_a_folds_rule_does_not_know_the_folds_labels(task: str, metric: str) -> None:
    problem, _ = planted(task, metric, rows=500)
    rule = rule_for(problem)
    assert rule is not None
    predictions = problem.predictions[0].astype(float)
    _, by_fold = fit_decisions(problem, predictions, rule, 0)
    truth = problem.truth.copy()
    truth[problem.folds == 2] = (truth[problem.folds == 2] + 1) % (2 if task == "multilabel" else 3)
    _, again = fit_decisions(replace(problem, truth=truth), predictions, rule, 0)
    assert again[2] == by_fold[2]
    assert again != by_fold


@pytest.mark.parametrize(("task", "metric"), PLANTED[2:8:3])
def test_plans_are_scored_by_what_is_decided(task: str, metric: str) -> None:
    problem, _ = planted(task, metric, rows=1000)
    bought = Purchase("only", "e", 32, 1, False, 0.1, 0.01, {1: "only"})
    costs = Costs(0.5, 0.1, ((32, 0.001),))
    selection = Selection(problem, [bought], costs, 100)
    best = selection.frontier[-1]

    def score(rule: Rule | None) -> tuple[float, tuple[float, ...]]:
        judge = Judge(selection, rule)
        (one,), _ = judge.scores([best])
        return one.score, judge.prefix_scores(best, one)

    ruled, prefixes = score(rule_for(problem))
    assert prefixes[-1] == pytest.approx(ruled)
    assert ruled > score(None)[0] + 0.01


def test_certain_answers_serve_the_probabilistic_f1() -> None:
    """Rare positives under honest probabilities: the score of 0 and 1 is the higher one."""
    draw = np.random.default_rng(0)
    second = draw.beta(0.15, 1.5, size=4000)
    problem = make_problem("binary", "pf1", rows=4000, members=1)
    problem = replace(
        problem,
        predictions=np.stack([1 - second, second], axis=1)[None].astype(np.float32),
        truth=(draw.random(4000) < second).astype(np.int64),
    )
    chosen = choose(evaluate(problem, (), seed=0, bootstrap=200))
    assert chosen.method == "best+class_weights"
    assert set(np.unique(chosen.predictions)) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("task", "metric", "rule"),
    [
        ("binary", "log_loss", None),
        ("multiclass", "map@3", None),
        ("multilabel", "roc_auc", None),
        ("regression", "rmse", None),
        ("ordinal", "accuracy", "class_weights"),
        ("ordinal", "quadratic_weighted_kappa", "cut_points"),
    ],
)
def test_only_metrics_of_decisions_get_a_rule(task: str, metric: str, rule: str | None) -> None:
    assert rule_for(make_problem(task, metric, rows=60)) == rule


def test_a_hundred_classes_share_one_number() -> None:
    """Rare classes are held back by the prior in the predictions: one power of it lets them go."""
    draw = np.random.default_rng(0)
    share = np.geomspace(1, 0.02, 60)
    share /= share.sum()
    truth = draw.choice(60, 6000, p=share)
    seen = 2.5 * np.eye(60)[truth] + draw.normal(size=(6000, 60)) + np.log(share)
    predictions = np.exp(seen) / np.exp(seen).sum(axis=1, keepdims=True)
    problem = Problem(
        names=("only",),
        predictions=predictions[None].astype(np.float32),
        truth=truth,
        folds=np.arange(6000) % 3,
        task="multiclass",
        metric=get_metric("balanced_accuracy"),
    )
    whole, by_fold = fit_decisions(problem, predictions, "class_weights", 0)
    nested = problem.metric.score(truth, decide_nested(problem, predictions, by_fold))
    assert nested > problem.metric.score(truth, predictions) + 0.02
    found = np.log(whole.numbers)
    assert np.corrcoef(found, np.log(share))[0, 1] < -0.99
