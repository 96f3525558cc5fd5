"""From features to predictions: a linear layer and what follows it, in fp32. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


@dataclass(frozen=True)
class Heads:
    """The last layers of models that share their features.

    ``weight``: (models, targets, width), ``bias``: (models, targets).
    """

    weight: Values
    bias: Values

    def only(self, models: Sequence[int]) -> "Heads":
        """The layers of the models at those positions."""
        return Heads(self.weight[list(models)], self.bias[list(models)])

    @np.errstate(invalid="ignore", over="ignore")
    def predict(self, features: Values, task: str) -> Values:
        """Predictions (rows, models, targets) for features (rows, width)."""
        outputs = features @ self.weight.reshape(-1, self.weight.shape[2]).T
        return activate(outputs.reshape(-1, *self.bias.shape) + self.bias, task)


@np.errstate(invalid="ignore", over="ignore")
def activate(outputs: Values, task: str) -> Values:
    """Predictions (see harness.metrics) from the outputs (…, targets) of a linear layer.

    Outputs that are not finite give NaN, or a certain label.
    """
    if task == "regression":
        return outputs
    if task == "multilabel":
        return np.exp(-np.logaddexp(0, -outputs))
    exponentials = np.exp(outputs - outputs.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)
