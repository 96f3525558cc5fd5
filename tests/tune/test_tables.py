"""What people read of a search."""

import math

from harness.space import TuneSection
from harness.tune.tables import Row, slices


def row(lr: float, loss: float, folds: float) -> Row:
    return Row(0, "run", "pruned", {"lr": lr}, loss, folds, 1.0, "")


def test_a_trial_that_ended_halfway_counts_as_poor_whatever_its_loss() -> None:
    axes = TuneSection.model_validate({"space": {"lr": {"low": 0.1, "high": 0.2}}}).axes
    rows = [row(0.1, 0.5, 3), row(0.1, 0.6, 0.5), row(0.2, 0.4, 0.5), row(0.2, math.nan, 0)]
    assert slices("lr", axes, rows) == [("0.1", [0.5, math.inf]), ("0.2", [math.inf])]
