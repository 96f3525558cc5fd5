"""The mean of weights."""

import numpy as np
import pytest

from harness.train.soup import average_weights


def test_tensors_are_averaged_and_counters_are_not() -> None:
    models = [
        {"w": np.full((2, 2), value, np.float32), "batches": np.array(3 + i)}
        for i, value in enumerate((1.0, 2.0, 6.0))
    ]
    soup = average_weights(models)
    assert soup["w"].dtype == np.float32
    assert soup["w"].tolist() == [[3, 3], [3, 3]]
    assert soup["batches"] == 3


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="same architecture"):
        average_weights([{"w": np.zeros(2)}, {"w": np.zeros(3)}])
    with pytest.raises(ValueError, match="same architecture"):
        average_weights([{"w": np.zeros(2)}, {"v": np.zeros(2)}])
