"""What every method has to keep, whatever it does inside."""

import json
from functools import cache

import numpy as np
import pytest
from stack.problems import TASKS, make_problem, permute_members, permute_rows

from harness.errors import WorkspaceError
from harness.metrics import get_metric
from harness.stack.blend import Blend, blend_from_json
from harness.stack.methods import METHODS
from harness.stack.problem import Problem

BAGGED = ("bagged_weighted",)  # the wrapper is the same for all: one is enough on every task
PAIRS = [
    (name, task)
    for task, (metric, _) in TASKS.items()
    for name, method in METHODS.items()
    if method.applies(task, get_metric(metric))
    and (not name.startswith("bagged_") or name in BAGGED or task == "binary")
]
every_method = pytest.mark.parametrize(("name", "task"), PAIRS)


@cache
def fitted(name: str, task: str) -> tuple[Problem, Blend]:
    problem = make_problem(task, metadata=True)
    return problem, METHODS[name].fit(problem, slice(None), 0)


@every_method
def test_a_row_does_not_depend_on_the_rows_beside_it(name: str, task: str) -> None:
    problem, blend = fitted(name, task)
    rows = np.array([250, 3, 77])
    whole = blend.apply(problem.predictions, problem.metadata)
    part = blend.apply(problem.predictions[:, rows], problem.metadata_of(rows))
    np.testing.assert_allclose(part, whole[rows], rtol=1e-5, atol=1e-6)


@every_method
def test_predictions_are_of_the_tasks_kind(name: str, task: str) -> None:
    problem, blend = fitted(name, task)
    predictions = blend.apply(problem.predictions, problem.metadata)
    assert predictions.shape == problem.predictions.shape[1:]
    assert np.isfinite(predictions).all()
    if problem.kind != "values":
        assert predictions.min() > 0
    if problem.kind == "classes":
        np.testing.assert_allclose(predictions.sum(axis=1), 1, atol=1e-12)
    worst_member = max(problem.metric.loss(problem.truth, one) for one in problem.predictions)
    slack = 1.6 if name in ("vote", "ridge", "bagged_ridge") else 1.0  # not made for log loss
    assert problem.metric.loss(problem.truth, predictions) < slack * abs(worst_member)


@every_method
def test_a_stored_blend_is_the_same_blend(name: str, task: str) -> None:
    problem, blend = fitted(name, task)
    stored = json.loads(json.dumps(blend.to_json(), allow_nan=False))
    again = blend_from_json(stored)
    assert again.to_json() == blend.to_json()
    assert again.members_used == blend.members_used
    np.testing.assert_array_equal(
        again.apply(problem.predictions, problem.metadata),
        blend.apply(problem.predictions, problem.metadata),
    )


@every_method
def test_unused_members_are_never_read(name: str, task: str) -> None:
    problem, blend = fitted(name, task)
    masked = np.full_like(problem.predictions, np.nan)
    used = list(blend.members_used)
    masked[used] = problem.predictions[used]
    np.testing.assert_array_equal(
        blend.apply(masked, problem.metadata), blend.apply(problem.predictions, problem.metadata)
    )


@every_method
def test_the_order_of_members_is_irrelevant(name: str, task: str) -> None:
    problem, blend = fitted(name, task)
    turned = permute_members(problem, np.array([2, 0, 3, 1]))
    other = METHODS[name].fit(turned, slice(None), 0)
    np.testing.assert_allclose(
        other.apply(turned.predictions, turned.metadata),
        blend.apply(problem.predictions, problem.metadata),
        atol=2e-3,
    )


# bags draw rows by their number: another order draws others
@pytest.mark.parametrize(("name", "task"), [p for p in PAIRS if not p[0].startswith("bagged_")])
def test_the_order_of_rows_is_irrelevant(name: str, task: str) -> None:
    problem, blend = fitted(name, task)
    order = np.random.default_rng(5).permutation(len(problem.truth))
    turned = permute_rows(problem, order)
    other = METHODS[name].fit(turned, slice(None), 0)
    np.testing.assert_allclose(
        other.apply(problem.predictions, problem.metadata),
        blend.apply(problem.predictions, problem.metadata),
        atol=2e-3,
    )


@every_method
def test_only_the_given_rows_are_seen(name: str, task: str) -> None:
    problem = make_problem(task)
    inside = problem.folds != 0
    spoilt = make_problem(task)
    spoilt.truth[~inside] = problem.truth[~inside][::-1]
    spoilt.predictions[:, ~inside] = problem.predictions[:, ~inside][:, ::-1]
    one = METHODS[name].fit(problem, inside, 0)
    other = METHODS[name].fit(spoilt, inside, 0)
    assert one.to_json() == other.to_json()


@every_method
def test_one_member_alone_is_kept(name: str, task: str) -> None:
    problem = make_problem(task, members=1)
    blend = METHODS[name].fit(problem, slice(None), 0)
    loss = problem.metric.loss(problem.truth, blend.apply(problem.predictions))
    alone = problem.metric.loss(problem.truth, problem.predictions[0])
    assert loss < alone + 0.35


def test_methods_that_make_no_sense_do_not_apply() -> None:
    assert not METHODS["vote"].applies("regression", get_metric("rmse"))
    assert not METHODS["logistic"].applies("regression", get_metric("rmse"))
    assert not METHODS["temperature"].applies("binary", get_metric("accuracy"))
    assert METHODS["temperature"].applies("binary", get_metric("log_loss"))


def test_a_vote_is_the_mode_and_ties_go_to_the_larger_mean() -> None:
    draw = np.random.default_rng(0)
    predictions = draw.dirichlet(np.ones(4), size=(5, 2000)).astype(np.float32)
    problem = make_problem("ordinal", members=5)
    voted = METHODS["vote"].fit(problem, slice(None), 0).apply(predictions)
    votes = (predictions.argmax(axis=2)[:, :, None] == np.arange(4)).sum(axis=0)
    expected = np.lexsort((predictions.mean(axis=0), votes), axis=1)[:, -1]
    np.testing.assert_array_equal(voted.argmax(axis=1), expected)


def test_a_label_is_voted_for_from_one_half() -> None:
    problem = make_problem("multilabel", members=3)
    voted = METHODS["vote"].fit(problem, slice(None), 0).apply(problem.predictions)
    np.testing.assert_array_equal(voted >= 0.5, (problem.predictions >= 0.5).sum(axis=0) >= 2)


def test_rank_mean_does_not_mind_monotone_distortions() -> None:
    problem, distorted = (make_problem("binary", "roc_auc", rows=2000) for _ in range(2))
    squeezed = problem.predictions[:2, :, 1] ** 5
    distorted.predictions[:2] = np.stack([1 - squeezed, squeezed], axis=2)
    areas = [
        one.metric.score(
            one.truth, METHODS["rank_mean"].fit(one, slice(None), 0).apply(one.predictions)
        )
        for one in (problem, distorted)
    ]
    assert areas[0] == pytest.approx(areas[1], abs=1e-4)


def test_metadata_reaches_the_meta_learners() -> None:
    without, given = make_problem(rows=1500), make_problem(rows=1500, metadata=True)
    for name in ("logistic", "lightgbm"):
        plain = METHODS[name].fit(without, slice(None), 0).apply(without.predictions)
        informed = METHODS[name].fit(given, slice(None), 0).apply(given.predictions, given.metadata)
        loss = given.metric.loss
        assert loss(given.truth, informed) < loss(given.truth, plain) - 0.005
        with pytest.raises((ValueError, WorkspaceError), match="metadata"):
            METHODS[name].fit(given, slice(None), 0).apply(given.predictions)
