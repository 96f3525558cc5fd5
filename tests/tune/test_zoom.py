"""Zoom: by hand, on landscapes, and wherever it was cut short."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from harness.model import ModelSection
from harness.space import TuneSection, Values
from harness.tune.spaces import Axes
from harness.tune.zoom import Tried, finer, next_point

MODEL = ModelSection(name="x", backbone="resnet18")


def axes_of(**space: dict[str, Any]) -> Axes:
    return TuneSection.model_validate({"space": space}).axes


def searched(
    axes: Axes, loss: Callable[[Values], float], steps: int = 4, rounds: int = 3
) -> list[Tried]:
    tried: list[Tried] = []
    while (point := next_point(axes, MODEL, tried, steps, rounds)) is not None:
        tried.append(Tried(point, loss(point)))
    return tried


def test_the_textbook_case_by_hand() -> None:
    """Of 0.001, 0.01 and 0.1 the first two are best: then steps of 0.001 between them."""
    axes = axes_of(lr={"low": 0.001, "high": 0.1, "grid": [0.001, 0.01, 0.1]})
    tried = searched(axes, lambda values: abs(values["lr"] - 0.0042), steps=10, rounds=2)
    rates = [one.values["lr"] for one in tried]
    assert rates[:3] == [0.001, 0.01, 0.1]
    assert rates[3:] == [0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.009]
    assert min(tried, key=lambda one: one.loss or 0.0).values["lr"] == 0.004


def test_a_logarithmic_axis_is_divided_by_factors() -> None:
    axis = axes_of(lr={"low": 1e-4, "high": 1e-1, "log": True})["lr"]
    losses = {0.0001: 3.0, 0.001: 1.0, 0.01: 2.0, 0.1: 4.0}
    assert finer(axis, list(losses), losses, 3) == (0.001, pytest.approx(math.sqrt(1e-5)), 0.01)


def test_the_best_at_the_edge_has_one_neighbour() -> None:
    axis = axes_of(lr={"low": 1.0, "high": 3.0})["lr"]
    assert finer(axis, (1.0, 2.0, 3.0), {1.0: 0.0, 2.0: 1.0, 3.0: 0.5}, 2) == (1.0, 2.0)


def test_whole_numbers_are_not_split() -> None:
    axes = axes_of(epochs={"low": 1, "high": 9})
    tried = searched(axes, lambda values: abs(values["epochs"] - 4), steps=3, rounds=9)
    assert [one.values["epochs"] for one in tried] == [1, 5, 9, 3, 4]


def test_of_choices_the_best_one_stays() -> None:
    axes = axes_of(augment={"choices": ["none", "light", "heavy"]}, lr={"low": 0.0625, "high": 1.0})

    def loss(values: Values) -> float:
        return float((values["augment"] != "light") + (values["lr"] - 0.5) ** 2)

    tried = searched(axes, loss, steps=3)
    assert len(tried) == 3 * 3 + 1 + 1
    assert {one.values["augment"] for one in tried[9:]} == {"light"}


def test_an_axis_that_does_not_apply_is_left_out() -> None:
    axes = axes_of(
        mode={"choices": ["probe", "finetune"]},
        lr={"low": 0.1, "high": 1.0, "when": {"mode": "finetune"}},
    )
    tried = searched(axes, lambda values: values.get("lr", 2.0), steps=2, rounds=1)
    assert [dict(one.values) for one in tried] == [
        {"mode": "probe"},
        {"mode": "finetune", "lr": 0.1},
        {"mode": "finetune", "lr": 1.0},
    ]


def test_a_round_waits_for_the_losses_of_the_one_before() -> None:
    axes = axes_of(lr={"low": 1.0, "high": 3.0})
    tried = [Tried({"lr": 1.0}, 0.0), Tried({"lr": 3.0}, None)]
    assert next_point(axes, MODEL, tried, 2, 2) is None
    assert next_point(axes, MODEL, tried, 3, 2) == {"lr": 2.0}


def test_what_failed_is_the_worst() -> None:
    axes = axes_of(lr={"low": 1.0, "high": 3.0})
    tried = searched(axes, lambda values: math.inf if values["lr"] > 2 else 0.0, steps=3, rounds=2)
    assert [one.values["lr"] for one in tried] == [1.0, 2.0, 3.0, 1.5]
