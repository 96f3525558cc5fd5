"""An engine is acceptable only if the metric finds its answers no worse than the reference."""

import numpy as np
import pytest

from harness.metrics import get_metric
from harness.predict.guard import agreement, standard_error

RANDOM = np.random.default_rng(0)
ROWS = 2000
TRUTH = RANDOM.integers(0, 3, ROWS)
LOGITS = RANDOM.normal(size=(ROWS, 3)) + 1.5 * np.eye(3)[TRUTH]


def probabilities(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits)
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


REFERENCE = probabilities(LOGITS)


@pytest.mark.parametrize("metric", ["log_loss", "accuracy", "roc_auc", "quadratic_weighted_kappa"])
def test_rounding_is_accepted_and_damage_is_not(metric: str) -> None:
    rounded = probabilities(LOGITS.astype(np.float16).astype(np.float64))
    accepted = agreement(get_metric(metric), TRUTH, REFERENCE, rounded)
    assert accepted.acceptable
    assert accepted.standard_error > 0
    noisy = probabilities(LOGITS + RANDOM.normal(size=LOGITS.shape))
    assert not agreement(get_metric(metric), TRUTH, REFERENCE, noisy).acceptable


def test_the_border_is_a_tenth_of_the_standard_error() -> None:
    metric = get_metric("accuracy")  # 0.1 × the error is one or two rows of 2,000
    error = standard_error(metric, TRUTH, REFERENCE)
    right = np.flatnonzero(REFERENCE.argmax(axis=1) == TRUTH)
    for rows, acceptable in ((0, True), (1, True), (4, False)):
        assert (rows / ROWS <= 0.1 * error) is acceptable
        changed = REFERENCE.copy()
        changed[right[:rows]] = np.roll(changed[right[:rows]], 1, axis=1)
        assert agreement(metric, TRUTH, REFERENCE, changed).acceptable is acceptable


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_better_than_the_reference_is_acceptable_and_the_reverse_is_not(metric: str) -> None:
    """Networks that were trained and scored in bf16 are better in fp32."""
    sharper = probabilities(1.3 * LOGITS + 0.5 * np.eye(3)[TRUTH])
    assert agreement(get_metric(metric), TRUTH, REFERENCE, sharper).acceptable
    assert not agreement(get_metric(metric), TRUTH, sharper, REFERENCE).acceptable


def test_nan_is_never_acceptable() -> None:
    broken = REFERENCE.copy()
    broken[7] = np.nan
    assert not agreement(get_metric("log_loss"), TRUTH, REFERENCE, broken).acceptable


def test_standard_error_is_the_textbook_one() -> None:
    right = float(np.mean(REFERENCE.argmax(axis=1) == TRUTH))
    expected = np.sqrt(right * (1 - right) / ROWS)
    assert standard_error(get_metric("accuracy"), TRUTH, REFERENCE) == pytest.approx(expected, 0.3)


def test_rows_of_a_group_are_not_independent() -> None:
    metric, groups = get_metric("accuracy"), np.arange(ROWS) % 500
    truth, predictions = TRUTH[groups], REFERENCE[groups]  # every row four times
    alone = standard_error(metric, truth, predictions)
    grouped = standard_error(metric, truth, predictions, groups)
    assert grouped == pytest.approx(2 * alone, rel=0.4)
