"""Metrics against scikit-learn and worked examples, and what holds for each of them."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from harness.errors import ConfigError
from harness.metrics import METRICS, get_metric, guesses, metrics_for, score_bounds

Array = np.ndarray
TARGETS = {"binary": 2, "multiclass": 4, "ordinal": 4, "multilabel": 3, "regression": 1}
PAIRS = [(task, name.replace("@5", "@2")) for task in TARGETS for name in metrics_for(task)]
every_metric = pytest.mark.parametrize(("task", "name"), PAIRS)

TRUTH = np.array([0, 1, 2, 1])
PREDICTIONS = np.array(
    [[0.7, 0.2, 0.1], [0.1, 0.5, 0.4], [0.3, 0.4, 0.3], [0.6, 0.3, 0.1]], dtype=np.float32
)
LABELS = np.array([[0, 1], [1, 1], [1, 0], [0, 0]])
PROBABILITIES = np.array([[0.2, 0.9], [0.8, 0.4], [0.6, 0.1], [0.7, 0.3]])


def drawn(task: str, seed: int, rows: int = 40) -> tuple[Array, Array]:
    """Truth and predictions of a task; every class and label occurs."""
    draw, targets = np.random.default_rng(seed), TARGETS[task]
    if task == "regression":
        return draw.normal(size=rows), draw.normal(size=(rows, 1))
    if task == "multilabel":
        truth = (draw.random((rows, targets)) < 0.4).astype(np.int8)
        truth[:2] = [[0] * targets, [1] * targets]
        return truth, draw.random((rows, targets))
    truth = np.concatenate([np.arange(targets), draw.integers(0, targets, rows - targets)])
    return truth, draw.dirichlet(np.ones(targets), rows)


def perfect(task: str, truth: Array) -> Array:
    if task == "regression":
        return truth[:, None]
    return truth.astype(float) if task == "multilabel" else np.eye(TARGETS[task])[truth]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log_loss", -(np.log(0.7) + np.log(0.5) + np.log(0.3) + np.log(0.3)) / 4),
        ("accuracy", 0.5),
        ("balanced_accuracy", (1 + 0.5 + 0) / 3),
        # class 0: tp 1 fp 1 fn 0; class 1: tp 1 fp 1 fn 1; class 2: none right
        ("f1_macro", (2 / 3 + 1 / 2 + 0) / 3),
        ("f1_micro", 0.5),
        ("brier", (0.14 + 0.42 + 0.74 + 0.86) / 4),
        # disagreements 0, 0, 1, 1 over those expected: (1+1)·4 / Σ by margins
        ("quadratic_weighted_kappa", 1 - 2 / (1 * 2 * 1 + 2 * 2 * 1 + 1 * 2 * 4 + 1 * 2 * 1) * 4),
        # 2 right of 4; decided for 2 and 2 and 0, true are 1 and 2 and 1
        ("mcc", (2 * 4 - (2 * 1 + 2 * 2)) / np.sqrt((16 - 8) * (16 - 6))),
        # the true class is guessed first, first, third (0 before 2 in the tie) and second
        ("map@2", (1 + 1 + 0 + 1 / 2) / 4),
        ("map@3", (1 + 1 + 1 / 3 + 1 / 2) / 4),
        ("top_accuracy@2", 3 / 4),
        ("top_error@2", 1 / 4),
    ],
)
def test_worked_examples(name: str, expected: float) -> None:
    assert get_metric(name).score(TRUTH, PREDICTIONS) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("roc_auc", 0.75),  # of four pairs one is the wrong way round
        ("average_precision", (1 / 1 + 2 / 3) / 2),
        ("brier", (0.1**2 + 0.4**2 + 0.65**2 + 0.2**2) / 4),
        # probabilities of 1.15 on the two true ones, 1.65 in all
        ("pf1", 2 * 1.15 / (1.65 + 2)),
        ("f1", 2 / 3),  # one of the two found, none wrongly
        ("mcc", 1 / np.sqrt(3)),  # tp 1 fp 0 fn 1 tn 2: 1 · 2 / √(1 · 2 · 2 · 3)
    ],
)
def test_two_classes_by_hand(name: str, expected: float) -> None:
    truth, second = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    found = get_metric(name).score(truth, np.column_stack([1 - second, second]))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("log_loss", -np.log([[0.8, 0.9], [0.8, 0.4], [0.6, 0.9], [0.3, 0.7]]).mean()),
        ("brier", np.mean([[0.04, 0.01], [0.04, 0.36], [0.16, 0.01], [0.49, 0.09]])),
        ("accuracy", 6 / 8),
        ("f1_micro", 2 * 3 / (4 + 4)),
        ("f1_macro", (2 * 2 / (2 + 3) + 2 * 1 / (2 + 1)) / 2),
        ("f1_samples", (1 + 2 / 3 + 1 + 0) / 4),
        # first guesses: right; right and then right; right; nothing to find
        ("map@2", (1 + 1 + 1 + 0) / 4),
        ("map@1", (1 + 1 + 1 + 0) / 4),
    ],
)
def test_labels_by_hand(name: str, expected: float) -> None:
    assert get_metric(name).score(LABELS, PROBABILITIES) == pytest.approx(expected)


def test_a_row_without_labels_that_is_given_none_is_right() -> None:
    truth = np.array([[0, 0], [1, 0]])
    assert get_metric("f1_samples").score(truth, truth.astype(float)) == 1.0


def test_precision_of_guesses_counts_only_as_many_labels_as_can_be_guessed() -> None:
    truth = np.array([[1, 1, 1, 0]])
    predictions = np.array([[0.9, 0.2, 0.1, 0.8]])
    assert get_metric("map@2").score(truth, predictions) == pytest.approx(1 / 2)
    assert get_metric("map@3").score(truth, predictions) == pytest.approx((1 + 2 / 3) / 3)


def test_regression() -> None:
    truth, predictions = np.array([1.0, 2.0, 4.0]), np.array([[1.0], [4.0], [3.0]])
    assert METRICS["rmse"].score(truth, predictions) == pytest.approx(np.sqrt(5 / 3))
    assert METRICS["mae"].score(truth, predictions) == pytest.approx(1.0)


def _one_hot(truth: Array, predictions: Array) -> Array:
    return np.eye(predictions.shape[1])[truth]


@pytest.mark.parametrize(
    ("task", "name", "reference"),
    [
        ("multiclass", "log_loss", lambda t, p: sklearn.log_loss(t, p)),
        ("binary", "brier", lambda t, p: sklearn.brier_score_loss(t, p[:, 1])),
        ("multiclass", "brier", lambda t, p: sklearn.brier_score_loss(t, p)),
        ("binary", "roc_auc", lambda t, p: sklearn.roc_auc_score(t, p[:, 1])),
        ("multiclass", "roc_auc", lambda t, p: sklearn.roc_auc_score(t, p, multi_class="ovr")),
        ("multilabel", "roc_auc", lambda t, p: sklearn.roc_auc_score(t, p)),
        (
            "multiclass",
            "average_precision",
            lambda t, p: sklearn.average_precision_score(_one_hot(t, p), p),
        ),
        ("multilabel", "average_precision", lambda t, p: sklearn.average_precision_score(t, p)),
        ("multiclass", "accuracy", lambda t, p: sklearn.accuracy_score(t, p.argmax(1))),
        (
            "multiclass",
            "balanced_accuracy",
            lambda t, p: sklearn.balanced_accuracy_score(t, p.argmax(1)),
        ),
        ("binary", "f1", lambda t, p: sklearn.f1_score(t, p[:, 1] > 0.5)),
        ("multiclass", "f1_macro", lambda t, p: sklearn.f1_score(t, p.argmax(1), average="macro")),
        ("multiclass", "f1_micro", lambda t, p: sklearn.f1_score(t, p.argmax(1), average="micro")),
        ("multilabel", "f1_macro", lambda t, p: sklearn.f1_score(t, p > 0.5, average="macro")),
        ("multilabel", "f1_micro", lambda t, p: sklearn.f1_score(t, p > 0.5, average="micro")),
        (
            "multilabel",
            "f1_samples",
            lambda t, p: sklearn.f1_score(t, p > 0.5, average="samples", zero_division=1),
        ),
        ("multiclass", "mcc", lambda t, p: sklearn.matthews_corrcoef(t, p.argmax(1))),
        (
            "ordinal",
            "quadratic_weighted_kappa",
            lambda t, p: sklearn.cohen_kappa_score(t, p.argmax(1), weights="quadratic"),
        ),
        ("multiclass", "top_accuracy@2", lambda t, p: sklearn.top_k_accuracy_score(t, p, k=2)),
        ("multiclass", "top_error@3", lambda t, p: 1 - sklearn.top_k_accuracy_score(t, p, k=3)),
        # with one true class a row, and all of them guessed, both are the mean of 1 / rank
        (
            "multiclass",
            "map@4",
            lambda t, p: sklearn.label_ranking_average_precision_score(_one_hot(t, p), p),
        ),
        ("regression", "rmse", lambda t, p: sklearn.root_mean_squared_error(t, p)),
        ("regression", "mae", lambda t, p: sklearn.mean_absolute_error(t, p)),
    ],
)
def test_agrees_with_scikit_learn(
    task: str, name: str, reference: Callable[[Array, Array], float]
) -> None:
    for seed in range(5):
        truth, predictions = drawn(task, seed)
        found = get_metric(name).score(truth, predictions)
        assert found == pytest.approx(reference(truth, predictions), abs=1e-12)


def test_every_metric_is_held_against_something() -> None:
    """A new metric needs an example or a reference of its own."""
    tried = set()
    for test in (
        test_worked_examples,
        test_two_classes_by_hand,
        test_labels_by_hand,
        test_agrees_with_scikit_learn,
    ):
        for mark in test.pytestmark:  # type: ignore[attr-defined]
            tried |= {part for case in mark.args[1] for part in case if isinstance(part, str)}
    families = {name.partition("@")[0] for name in tried}
    assert {name.partition("@")[0] for _, name in PAIRS} - families <= set()


@every_metric
@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_rows_does_not_matter_and_perfection_is_best(
    task: str, name: str, seed: int
) -> None:
    metric = get_metric(name)
    truth, predictions = drawn(task, seed)
    order = np.random.default_rng(seed).permutation(len(truth))
    score = metric.score(truth, predictions)
    assert metric.score(truth[order], predictions[order]) == pytest.approx(score)
    lowest, highest = score_bounds(name)
    best = metric.score(truth, perfect(task, truth))
    assert all(lowest <= one <= highest for one in (score, best))
    assert not metric.better(score, best)
    assert metric.loss(truth, perfect(task, truth)) <= metric.loss(truth, predictions)


@every_metric
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(task: str, name: str, odd: float) -> None:
    truth, predictions = drawn(task, 0)
    predictions[3, 0] = odd
    with pytest.raises(ValueError, match="NaN or infinity"):
        get_metric(name).score(truth, predictions)


def test_columns_that_cannot_be_ranked_are_left_out() -> None:
    truth, predictions = drawn("multilabel", 0)
    expected = [sklearn.roc_auc_score(truth[:, i], predictions[:, i]) for i in (0, 2)]
    truth[:, 1] = 0
    assert get_metric("roc_auc").score(truth, predictions) == pytest.approx(np.mean(expected))
    assert np.isnan(get_metric("roc_auc").score(np.zeros(4, int), np.eye(2)[[0, 1, 0, 1]]))


def test_probabilities_of_zero_cost_much_but_not_infinity() -> None:
    loss = METRICS["log_loss"].score(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert 5 < loss < 50


def test_guesses_of_equal_probability_come_in_the_classes_order() -> None:
    assert guesses(np.array([[0.2, 0.3, 0.3, 0.2]]), 3).tolist() == [[1, 2, 0]]


def test_unknown_metric_suggests_a_near_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'log_loss'"):
        get_metric("logloss")
    with pytest.raises(ConfigError, match="did you mean 'map@5'"):
        get_metric("mapp@5")


@pytest.mark.parametrize("name", ["map", "map@", "map@0", "map@five", "map@-1", "map@101", "map@²"])
def test_guesses_must_be_a_number(name: str) -> None:
    with pytest.raises(ConfigError, match="map@5, or another number from 1 to 100"):
        get_metric(name)


def test_only_metrics_of_several_guesses_take_a_number() -> None:
    with pytest.raises(ConfigError, match="not a known metric"):
        get_metric("accuracy@3")
