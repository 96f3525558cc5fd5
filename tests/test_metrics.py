"""Metrics against worked examples, and what holds for each of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.metrics import METRICS, Metric, get_metric

TRUTH = np.array([0, 1, 2, 1])
PREDICTIONS = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.3, 0.4, 0.3], [0.6, 0.3, 0.1]], dtype=np.float32
)
CLASSES = [metric for metric in METRICS.values() if metric.needs != "values"]
VALUES = [metric for metric in METRICS.values() if metric.needs == "values"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log_loss", -(np.log(0.7) + np.log(0.5) + np.log(0.3) + np.log(0.3)) / 4),
        ("accuracy", 0.5),
        ("balanced_accuracy", (1 + 0.5 + 0) / 3),
        # class 0: tp 1 fp 1 fn 0; class 1: tp 1 fp 1 fn 1; class 2: none right
        ("f1_macro", (2 / 3 + 1 / 2 + 0) / 3),
        ("brier", (0.14 + 0.42 + 0.74 + 0.86) / 4),
        # disagreements 0, 0, 1, 1 over those expected: (1+1)·4 / Σ by margins
        ("quadratic_weighted_kappa", 1 - 2 / (1 * 2 * 1 + 2 * 2 * 1 + 1 * 2 * 4 + 1 * 2 * 1) * 4),
    ],
)
def test_worked_examples(name: str, expected: float) -> None:
    assert METRICS[name].score(TRUTH, PREDICTIONS) == pytest.approx(expected, abs=1e-6)


def test_roc_auc_of_two_classes_counts_ordered_pairs() -> None:
    truth, second = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    predictions = np.column_stack([1 - second, second])
    assert METRICS["roc_auc"].score(truth, predictions) == pytest.approx(0.75)


def test_multilabel_scores_are_means_over_columns() -> None:
    truth = np.array([[0, 1], [1, 1], [1, 0], [0, 0]])
    predictions = np.array([[0.2, 0.9], [0.8, 0.4], [0.6, 0.1], [0.7, 0.3]])
    columns = [
        -np.mean(np.log(np.where(t == 1, p, 1 - p)))
        for t, p in zip(truth.T, predictions.T, strict=True)
    ]
    assert METRICS["log_loss"].score(truth, predictions) == pytest.approx(np.mean(columns))
    assert METRICS["accuracy"].score(truth, predictions) == pytest.approx(6 / 8)


def test_regression() -> None:
    truth, predictions = np.array([1.0, 2.0, 4.0]), np.array([[1.0], [4.0], [3.0]])
    assert METRICS["rmse"].score(truth, predictions) == pytest.approx(np.sqrt(5 / 3))
    assert METRICS["mae"].score(truth, predictions) == pytest.approx(1.0)


@pytest.mark.parametrize("metric", CLASSES, ids=lambda metric: metric.name)
@settings(deadline=None, derandomize=True, max_examples=25)
@given(data=st.data())
def test_order_of_rows_does_not_matter_and_perfection_is_best(
    metric: Metric, data: st.DataObject
) -> None:
    seed = data.draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    truth = np.concatenate([np.arange(3), random.integers(0, 3, 20)])
    predictions = random.dirichlet(np.ones(3), len(truth))
    order = random.permutation(len(truth))
    score = metric.score(truth, predictions)
    assert metric.score(truth[order], predictions[order]) == pytest.approx(score)
    perfect = metric.score(truth, np.eye(3)[truth])
    assert not metric.better(score, perfect)
    assert metric.loss(truth, np.eye(3)[truth]) <= metric.loss(truth, predictions)


@pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)
def test_nan_is_refused(metric: Metric) -> None:
    with pytest.raises(ValueError, match="NaN"):
        metric.score(TRUTH, np.where(PREDICTIONS > 0.5, np.nan, PREDICTIONS))


def test_probabilities_of_zero_cost_much_but_not_infinity() -> None:
    loss = METRICS["log_loss"].score(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert 5 < loss < 50


def test_unknown_metric_suggests_a_near_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'log_loss'"):
        get_metric("logloss")
