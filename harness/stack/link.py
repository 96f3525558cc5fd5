"""Between probabilities and the unbounded scale on which linear models and temperatures work.

By kind of prediction: ``classes`` log probabilities ↔ softmax, ``labels`` log odds ↔ sigmoid,
``values`` unchanged.
"""

import numpy as np

from harness.predict.plan import Kind
from harness.stack.problem import Array

FLOOR = 1e-7
"""The least probability: about float32's resolution near 1, so no log loss is ever infinite."""


def to_logits(kind: Kind, predictions: Array) -> Array:
    """Log probabilities or log odds (…, targets) of probabilities; values as they are."""
    if kind == "values":
        return predictions
    bounded = np.clip(predictions, FLOOR, 1 - FLOOR)
    if kind == "labels":
        return np.log(bounded / (1 - bounded))
    return np.log(bounded)


def from_logits(kind: Kind, logits: Array) -> Array:
    """The inverse of ``to_logits``; for classes any constant per row may have been added."""
    if kind == "values":
        return logits
    if kind == "labels":
        return 1 / (1 + np.exp(-logits))
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def finish(kind: Kind, raw: Array) -> Array:
    """Float64 probabilities, none of them zero; class rows sum to one. Values as they are."""
    raw = raw.astype(np.float64)
    if kind == "values":
        return raw
    if kind == "labels":
        return np.clip(raw, FLOOR, 1 - FLOOR)
    raw = np.maximum(raw, FLOOR)
    return raw / raw.sum(axis=-1, keepdims=True)
