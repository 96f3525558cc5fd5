"""Test-time views: pictures mirrored and turned, and predictions averaged over them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.data.images import Pixels
from harness.errors import ConfigError, nearest
from harness.model import Invariance

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


def allowed_views(invariances: Sequence[Invariance]) -> tuple[str, ...]:
    """The views that change no label, where those changes do not: all that they lead to."""
    stated = set(invariances)
    if "rot90" in stated:
        turns = ("identity", "rot180", "rot90", "rot270")
        return tuple(VIEWS) if len(stated) > 1 else turns
    both = ("rot180",) if len(stated) == 2 else ()
    return ("identity", *(name for name in VIEWS if name in stated), *both)


class Predicts(Protocol):
    """Whatever turns uint8 images (rows, size, size, 3) into predictions (rows, targets)."""

    def predict(self, pixels: Pixels) -> NDArray[np.float32]:
        """Predictions of the images."""


@dataclass(frozen=True)
class InViews:
    """Engines of equal weight, whose predictions are averaged over several views."""

    engines: Sequence[Predicts]
    views: Sequence[str]

    def predict(self, pixels: Pixels) -> NDArray[np.float32]:
        """Predictions (rows, targets) of uint8 images (rows, size, size, 3)."""
        found = [predict_views(engine, pixels, self.views) for engine in self.engines]
        return np.mean(found, axis=0, dtype=np.float32)


def predict_views(
    engine: Predicts, pixels: Pixels, views: Sequence[str] = ("identity",)
) -> NDArray[np.float32]:
    """The mean of the engine's predictions over the views; a ConfigError for an unknown view."""
    for view in views:
        if view not in VIEWS:
            raise ConfigError("views", f"{view!r} is not a view", nearest(view, VIEWS))
    predictions = [engine.predict(VIEWS[view](pixels)) for view in views]
    return np.mean(predictions, axis=0, dtype=np.float32)
