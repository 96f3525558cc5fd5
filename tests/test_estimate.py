"""Figures that are not known exactly."""

import pytest

from harness.estimate import Estimate


def test_a_score_on_few_new_rows_is_less_certain() -> None:
    estimate = Estimate(0.5, 0.4, 0.7)
    few = estimate.for_new_rows(300, 100)
    assert (few.value, few.low, few.high) == pytest.approx((0.5, 0.3, 0.9))


def test_nothing_impossible_is_expected() -> None:
    assert Estimate(0.95, 0.87, 1.03).within(0, 1) == Estimate(0.95, 0.87, 1.0)
    assert Estimate(0.2, -0.1, 0.5).within(0, float("inf")) == Estimate(0.2, 0.0, 0.5)


def test_whether_there_may_be_nothing() -> None:
    assert Estimate(0.1, -0.1, 0.3).includes_zero
    assert not Estimate(0.2, 0.1, 0.3).includes_zero
