"""A model soup: one network with the mean of several networks' weights. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Weights = Mapping[str, NDArray[Any]]


def average_weights(models: Sequence[Weights]) -> dict[str, NDArray[Any]]:
    """The mean of each tensor (Wortsman et al. 2022); counters are the first model's.

    ValueError if the models do not have the same tensors.
    """
    first = models[0]
    shapes = [{name: array.shape for name, array in weights.items()} for weights in models]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("only models of the same architecture can be averaged")
    soup: dict[str, NDArray[Any]] = {}
    for name, array in first.items():
        if array.dtype.kind == "f":
            mean = np.mean([weights[name] for weights in models], axis=0, dtype=np.float64)
            soup[name] = mean.astype(array.dtype)
        else:  # a counter: of batches seen, say
            soup[name] = array
    return soup
