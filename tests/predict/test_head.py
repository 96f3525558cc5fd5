"""From features to predictions."""

import numpy as np
import pytest
from scipy.special import expit, softmax

from harness.predict.head import Heads, activate

OUTPUTS = np.array([[0, 1, -2], [200, -200, 0]], np.float32)


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("multiclass", softmax(OUTPUTS, axis=1)),
        ("binary", softmax(OUTPUTS, axis=1)),
        ("ordinal", softmax(OUTPUTS, axis=1)),
        ("multilabel", expit(OUTPUTS)),
        ("regression", OUTPUTS),
    ],
)
def test_activation(task: str, expected: np.ndarray) -> None:
    predictions = activate(OUTPUTS, task)
    assert predictions.dtype == np.float32
    assert predictions == pytest.approx(expected, abs=1e-6)


def test_outputs_that_are_no_numbers_are_told_by_the_predictions() -> None:
    assert (
        np.isnan(activate(np.array([[np.inf, 0], [np.nan, 0]], np.float32), "multiclass"))
        .any(1)
        .all()
    )


def test_the_models_that_are_wanted() -> None:
    draw = np.random.default_rng(0)
    features = draw.normal(size=(5, 7)).astype(np.float32)
    heads = Heads(
        draw.normal(size=(3, 2, 7)).astype(np.float32), draw.normal(size=(3, 2)).astype(np.float32)
    )
    predictions = heads.only((2, 0)).predict(features, "regression")
    expected = [features @ heads.weight[i].T + heads.bias[i] for i in (2, 0)]
    assert predictions == pytest.approx(np.stack(expected, axis=1), abs=1e-5)
