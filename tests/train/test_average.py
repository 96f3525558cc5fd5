"""Averages of weights."""

import pytest
import torch
from torch import nn

from harness.train.average import WeightAverage


def network(value: float) -> nn.Module:
    layer = nn.BatchNorm1d(2)
    with torch.no_grad():
        layer.weight.fill_(value)
        layer.num_batches_tracked.fill_(int(value))
    return layer


def test_without_a_decay_it_is_the_mean_of_all_it_saw() -> None:
    average = WeightAverage(network(9.0), None)
    for value in (1.0, 2.0, 6.0):
        average.update(network(value))
    assert average.weights["weight"] == pytest.approx(3.0)
    assert average.weights["num_batches_tracked"] == 6


def test_the_moving_average_forgets_where_it_began_and_follows_slowly() -> None:
    average = WeightAverage(network(100.0), 0.9)
    for _ in range(200):
        average.update(network(5.0))
    assert average.weights["weight"] == pytest.approx(5.0)
    average.update(network(15.0))
    assert average.weights["weight"] == pytest.approx(6.0)
