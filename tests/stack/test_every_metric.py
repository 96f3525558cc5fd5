"""Every metric goes all the way through stacking, for every task that it fits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stack.problems import make_problem
from stack.test_weights import every_metric

from harness.consent import allow
from harness.metrics.custom import custom_metric
from harness.predict.plan import Costs
from harness.stack.chosen import combiner
from harness.stack.decide import rule_for
from harness.stack.honest import choose, evaluate, member_scores, score_of_choice
from harness.stack.methods import METHODS
from harness.stack.priced import Purchase
from harness.stack.problem import Problem
from harness.stack.scored import Judge
from harness.stack.select import Selection

QUICK = ("geometric_mean", "rank_mean", "vote", "temperature", "weighted", "ridge")
OWN = "def score(truth, predictions):\n    return (predictions.argmax(axis=1) == truth).mean()\n"


def stacked(problem: Problem) -> None:
    """Scores, a choice, and a plan that knows no better than they do."""
    scores = evaluate(problem, ("weighted", "greedy"), seed=0, bootstrap=60)
    chosen = choose(scores)
    believed = score_of_choice(problem, scores, seed=0, bootstrap=30)
    assert believed.low <= believed.value <= believed.high
    for score in scores:
        assert score.nested.low <= score.nested.value <= score.nested.high
        decided = score.decision.apply(score.blend.apply(problem.predictions))
        assert problem.metric.score(problem.truth, decided) == pytest.approx(score.in_sample)
        expected = problem.metric.score(problem.truth, score.predictions)
        assert expected == pytest.approx(score.nested.value, abs=1e-6)
    purchases = [
        Purchase(name, "e", 32, 1, False, 0.1, 0.01 * (i + 1), {1: name})
        for i, name in enumerate(problem.names)
    ]
    costs = Costs(0.5, 0.1, ((32, 0.001),))
    selection = Selection(problem, purchases, costs, 100, learn=False)
    cascades = [selection.cascade(0.0), selection.cascade(3600.0)]
    judge = Judge(selection, rule_for(problem))
    scores, _ = judge.scores(cascades)
    for one, score in zip(cascades, scores, strict=True):
        plan = judge.plan(one, score)
        assert np.isfinite([plan.score, plan.error, *plan.prefix_scores]).all()
        assert plan.greater_is_better == problem.metric.greater_is_better
    seen = problem.predictions[[problem.names.index(stage.member) for stage in plan.stages]]
    decided = chosen.decision.apply(combiner(plan)(range(len(plan.stages)), seen))
    loss = problem.metric.loss(problem.truth, decided)
    nothing = plan.prefix_scores[0] * (-1 if plan.greater_is_better else 1)
    assert loss < nothing  # all members are better than the prior


@every_metric
def test_every_metric_is_stacked(task: str, metric: str) -> None:
    stacked(make_problem(task, metric, rows=160, members=3))


@every_metric
def test_a_member_has_one_score(task: str, metric: str) -> None:
    """Its own is that of the method "best", even where its predictions are out of range."""
    problem = make_problem(task, metric, rows=160, members=3)
    if task == "regression":
        problem.predictions[:, 0] = problem.truth.max() + 5
    elif task == "multilabel":
        problem.predictions[:, 0] = 1 - problem.truth[0]
    else:
        problem.predictions[:, 0] = np.eye(problem.predictions.shape[2])[problem.truth[0] - 1]
    best, *_ = evaluate(problem, (), seed=0, bootstrap=10)
    (member,) = best.blend.members_used
    assert member_scores(problem)[member] == pytest.approx(best.in_sample, abs=1e-12)


@pytest.mark.parametrize("needs", ["probabilities", "labels"])
def test_a_users_own_is_stacked_as_the_known_one_is(tmp_path: Path, needs: str) -> None:
    (tmp_path / "own.py").write_text(OWN, encoding="utf-8")
    metric = custom_metric(
        "own:score", tmp_path, greater_is_better=True, needs=needs, task="multiclass"
    )
    allow(metric.name, metric.source)
    known = make_problem("multiclass", "accuracy", rows=160, members=3)
    own = replace(known, metric=metric)
    stacked(own)
    scores = [
        {score.method: score.nested for score in evaluate(one, ("weighted",), seed=0, bootstrap=40)}
        for one in (known, own)
    ]
    for method in ("best", "mean"):
        assert scores[0][method] == scores[1][method]
    assert ("best+class_weights" in scores[1]) == (needs == "labels")


@pytest.mark.parametrize(
    ("task", "metric"),
    [("multilabel", "f1_samples"), ("ordinal", "quadratic_weighted_kappa"), ("binary", "pf1")],
)
def test_every_method_serves_what_is_decided(task: str, metric: str) -> None:
    problem = make_problem(task, metric, rows=160, members=3)
    applying = [name for name in QUICK if METHODS[name].applies(task, problem.metric)]
    methods = [score.method for score in evaluate(problem, applying, seed=0, bootstrap=30)]
    assert len(methods) == 2 * len({"best", "mean", *applying})  # as it is, and with its rule
