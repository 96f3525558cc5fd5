"""Test-time views: pictures mirrored and turned, and predictions averaged over them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.data.images import Pixels
from harness.errors import ConfigError, nearest

View = Callable[[Pixels], Pixels]

VIEWS: Mapping[str, View] = {
    "identity": lambda images: images,
    "hflip": lambda images: images[:, :, ::-1],
    "vflip": lambda images: images[:, ::-1],
    "rot180": lambda images: images[:, ::-1, ::-1],
    "transpose": lambda images: images.swapaxes(1, 2),
    "rot90": lambda images: images.swapaxes(1, 2)[:, ::-1],
    "rot270": lambda images: images.swapaxes(1, 2)[:, :, ::-1],
    "transverse": lambda images: images.swapaxes(1, 2)[:, ::-1, ::-1],
}
"""Square images (rows, size, size, 3) → the same shape; turns are counter-clockwise."""


class Predicts(Protocol):
    """Whatever turns uint8 images (rows, size, size, 3) into probabilities (rows, targets)."""

    def predict(self, pixels: Pixels) -> NDArray[np.float32]:
        """Probabilities of the images."""


def predict_views(
    engine: Predicts, pixels: Pixels, views: Sequence[str] = ("identity",)
) -> NDArray[np.float32]:
    """The mean of the engine's probabilities over the views; a ConfigError for an unknown view."""
    for view in views:
        if view not in VIEWS:
            raise ConfigError("views", f"{view!r} is not a view", nearest(view, VIEWS))
    predictions = [engine.predict(VIEWS[view](pixels)) for view in views]
    return np.mean(predictions, axis=0, dtype=np.float32)
