"""Scores under counts are the scores of the rows repeated so often."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.problems import make_problem
from stack.test_weights import every_metric

from harness.stack.resample import bootstrap_counts, bootstrap_scores, scorer


@every_metric
@settings(max_examples=15)
@given(seed=st.integers(0, 100), coarse=st.booleans())
def test_counts_stand_for_repeated_rows(task: str, metric: str, seed: int, coarse: bool) -> None:
    problem = make_problem(task, metric, rows=80, seed=seed)
    predictions = problem.predictions[0].astype(np.float64)
    if coarse:
        predictions = (np.round(predictions * 4) + 0.5) / 8
    score = scorer(problem.metric, problem.truth, predictions)
    once = score(np.ones((1, 80), dtype=np.float32))[0]
    assert once == pytest.approx(problem.metric.score(problem.truth, predictions), abs=1e-6)
    (counts,) = bootstrap_counts(80, None, 3, seed)
    for row, found in zip(counts, score(counts), strict=True):
        drawn = np.repeat(np.arange(80), row.astype(int))
        expected = problem.metric.score(problem.truth[drawn], predictions[drawn])
        assert found == pytest.approx(expected, abs=1e-6)


def test_groups_are_drawn_together() -> None:
    groups = np.array([7, 7, 3, 3, 3, 9])
    for counts in bootstrap_counts(6, groups, 200, 0):
        assert (counts[:, 0] == counts[:, 1]).all()
        assert (counts[:, 2] == counts[:, 4]).all()
        assert ((counts[:, [0, 2, 5]]).sum(axis=1) == 3).all()


def test_samples_without_a_class_are_left_out() -> None:
    problem = make_problem("binary", "roc_auc", rows=40)
    problem.truth[:] = 0
    problem.truth[3] = 1
    _, samples = bootstrap_scores(problem, [problem.predictions[0]], slice(None), 300, 0)
    assert 120 < len(samples) < 250  # a given row is in 63 % of the samples
    assert np.isfinite(samples).all()


def test_the_spread_is_that_of_the_mean() -> None:
    problem = make_problem(rows=2000)
    whole, samples = bootstrap_scores(problem, [problem.predictions[0]], slice(None), 1000, 0)
    chosen = problem.predictions[0][np.arange(2000), problem.truth]
    losses = -np.log(chosen / problem.predictions[0].sum(axis=1))
    assert samples.std() == pytest.approx(losses.std() / np.sqrt(2000), rel=0.1)
    assert samples.mean() == pytest.approx(whole[0], abs=0.003)
