"""Grids and priors."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model import ModelSection
from harness.space import Axis, TuneSection
from harness.tune.methods import decoded, distribution, encode
from harness.tune.spaces import draw, grid, grid_of

MODEL = ModelSection(name="x", backbone="resnet18")


def axis_of(name: str, **axis: Any) -> Axis:
    return TuneSection.model_validate({"space": {name: axis}}).space[name]


def drawn(axis: Axis, count: int = 4000) -> np.ndarray:
    generator = np.random.default_rng(5)
    return np.array([draw(axis, generator) for _ in range(count)])


def test_linear_and_logarithmic_steps() -> None:
    assert grid_of(axis_of("drop_path", low=0, high=0.6), 4) == (0.0, 0.2, 0.4, 0.6)
    assert grid_of(axis_of("lr", low=1e-4, high=1e-1, log=True), 4) == (0.0001, 0.001, 0.01, 0.1)
    assert grid_of(axis_of("image_size", low=32, high=64, step=16), 9) == (32, 48, 64)


def test_a_grid_with_conditions_holds_each_point_once() -> None:
    axes = TuneSection.model_validate(
        {
            "space": {
                "mode": {"choices": ["probe", "finetune"]},
                "epochs": {"low": 2, "high": 4, "when": {"mode": "finetune"}},
                "augment": {"choices": ["none", "light"], "when": {"epochs": [3, 4]}},
            }
        }
    ).axes
    points = [tuple(point.values()) for point in grid(axes, MODEL, 3)]
    fine = [(2,), (3, "none"), (3, "light"), (4, "none"), (4, "light")]
    # a probe keeps the model's ten epochs, so that augment does not apply
    assert points == [("probe",), *(("finetune", *rest) for rest in fine)]


def test_the_normal_prior_has_low_and_high_at_three_deviations() -> None:
    values = drawn(axis_of("drop_path", low=0.2, high=0.8, normal=[0.5]))
    assert values.mean() == pytest.approx(0.5, abs=0.005)
    assert values.std() == pytest.approx(0.1, abs=0.005)
    assert 0.2 <= values.min() <= values.max() <= 0.8


def test_the_normal_prior_in_log_space() -> None:
    values = np.log10(drawn(axis_of("lr", low=1e-5, high=1e-1, log=True, normal=[1e-3])))
    assert values.mean() == pytest.approx(-3, abs=0.05)
    assert values.std() == pytest.approx(4 / 6, abs=0.03)


def test_log_uniform_draws_decades_alike() -> None:
    values = drawn(axis_of("lr", low=1e-4, high=1e-1, log=True))
    shares = np.histogram(np.log10(values), bins=[-4, -3, -2, -1])[0] / len(values)
    assert shares == pytest.approx([1 / 3] * 3, abs=0.03)


def test_steps_are_drawn_alike() -> None:
    values = drawn(axis_of("image_size", low=32, high=64, step=16))
    assert {int(value) for value in values} == {32, 48, 64}
    assert np.mean(values == 32) == pytest.approx(1 / 3, abs=0.03)
    steps = drawn(axis_of("drop_path", low=0, high=0.75, step=0.25))
    assert np.mean(steps == 0.75) == pytest.approx(1 / 4, abs=0.03)


@given(
    st.one_of(
        st.builds(
            lambda low, width, log: axis_of("mixup", low=low, high=low + width, log=log),
            st.floats(1e-4, 1e2),
            st.floats(1e-2, 1e2),
            st.booleans(),
        ),
        st.builds(
            lambda low, count, step: axis_of("epochs", low=low, high=low + count * step, step=step),
            st.integers(1, 50),
            st.integers(1, 9),
            st.integers(1, 7),
        ),
        st.just(axis_of("augment", choices=["light", ["hflip", "crop"]])),
    ),
    st.integers(0, 2**32 - 1),
)
def test_what_is_drawn_or_on_the_grid_is_in_optunas_distribution(axis: Axis, seed: int) -> None:
    """And a choice that is a list comes back from a storage as it was."""
    values = [draw(axis, np.random.default_rng(seed)), *grid_of(axis, 5)]
    known = distribution(axis)
    for value in values:
        stored = encode(axis, value)
        assert known._contains(known.to_internal_repr(stored))
        assert decoded({"x": axis}, {"x": stored}) == {"x": value}
        if not axis.integer and axis.numeric:
            assert math.isfinite(value)
