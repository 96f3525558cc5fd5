"""Adversarial validation: told apart where the sides differ, and only there."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from harness.audit.drift import area, find_drift
from harness.audit.probe import linear, trees


def sides(shift: float, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    is_test = np.arange(rows) >= rows // 2
    columns = random.normal(size=(rows, 4)).astype(np.float32)
    columns[is_test, 2] += shift
    return columns, is_test


@pytest.mark.parametrize("classifier", [linear, trees])
def test_a_shifted_column_is_found(classifier) -> None:
    columns, is_test = sides(1.5)
    drift = find_drift(columns, ["a", "b", "c", "d"], is_test, classifier)
    assert drift.telling
    assert drift.low < drift.area < drift.high
    assert drift.columns[0][0] == "c"
    assert all(is_test[row] for row, _ in drift.rows)


def test_equal_sides_are_not_told_apart() -> None:
    columns, is_test = sides(0.0)
    assert not find_drift(columns, [], is_test, linear).telling


def test_the_area_is_scikit_learns() -> None:
    random = np.random.default_rng(4)
    truth, score = random.integers(0, 2, 50), random.integers(0, 9, 50)
    assert area(truth, score) == pytest.approx(roc_auc_score(truth, score))
