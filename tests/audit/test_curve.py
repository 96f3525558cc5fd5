"""Learning curves: a power law is recovered and continued."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.audit.curve import (
    Curve,
    fit,
    forecast,
    gain_of_doubling,
    hungry_classes,
    measure,
    nested_order,
    value,
)

ROWS = np.array([50, 100, 150, 200, 300, 500])


@pytest.mark.parametrize("law", [(0.1, 2.0, 0.5), (0.0, 1.5, 0.3), (0.05, 30.0, 1.2)])
def test_a_power_law_is_recovered(law: tuple[float, float, float]) -> None:
    fitted = fit(ROWS, value(law, ROWS))
    assert np.allclose(value(fitted, 2000), value(law, 2000), rtol=0.03)


def test_a_flat_curve_foretells_no_gain() -> None:
    assert value(fit(ROWS, np.full(6, 0.2)), 10_000) == pytest.approx(0.2)


def test_the_forecast_holds_for_noisy_curves() -> None:
    law, held = (0.08, 2.5, 0.6), 0
    for seed in range(20):
        noise = np.random.default_rng(seed).normal(0, 0.015, (8, 6))
        found = forecast(ROWS[:4], (value(law, ROWS) + noise)[:, :4], 500, seed)
        assert found.low <= found.value <= found.high
        held += found.low <= value(law, 500) <= found.high
    assert held >= 17


def test_doubling_is_worth_what_the_law_says() -> None:
    law = (0.1, 2.0, 0.5)
    noise = np.random.default_rng(0).normal(0, 0.004, (8, 6))
    curve = Curve(ROWS, value(law, ROWS) + noise, np.zeros((8, 6, 2)))
    gain, truth = gain_of_doubling(curve), float(value(law, 500) - value(law, 1000))
    assert gain.low <= truth <= gain.high
    assert gain.value == pytest.approx(truth, abs=0.01)


def test_the_class_that_still_improves_is_the_hungry_one() -> None:
    by_class = np.zeros((2, 6, 3))
    by_class[:, :, 1] = np.linspace(0.5, 0.1, 6)
    curve = Curve(ROWS, by_class.mean(axis=2), by_class)
    assert hungry_classes(curve, ("ant", "bee", "cat")) == ["bee"]


@given(
    counts=st.lists(st.integers(1, 40), min_size=2, max_size=4),
    shares=st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)),
)
def test_shares_are_nested_and_stratified(counts: list[int], shares: tuple[float, float]) -> None:
    target = np.repeat(np.arange(len(counts)), counts)
    joins = nested_order(target, np.random.default_rng(0))
    small, large = sorted(shares)
    assert (joins < 1).all()
    assert set(np.flatnonzero(joins < small)) <= set(np.flatnonzero(joins < large))
    for code, count in enumerate(counts):
        there = np.count_nonzero(joins[target == code] < small)
        assert there >= 1
        assert abs(there - small * count) <= 1


def test_measuring_sees_errors_fall() -> None:
    random = np.random.default_rng(5)
    target = np.repeat(np.arange(3), 60)
    columns = (random.normal(size=(180, 20)) + 0.8 * np.eye(20)[target]).astype(np.float32)
    curve = measure(columns, target, 3, seeds=3)
    assert curve.errors.shape == (3, len(curve.rows))
    assert curve.rows[-1] == 144
    assert curve.errors[:, 0].mean() > curve.errors[:, -1].mean()
