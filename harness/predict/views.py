"""Test-time views: pictures mirrored, turned or enlarged, and predictions averaged over them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.competition import Competition
from harness.data.images import Pixels
from harness.errors import ConfigError, nearest
from harness.views import View, allowed_views

ZOOM = 7 / 8
"""The part of each side that ``zoom`` enlarges: the usual centre crop, 224 of 256 pixels."""


def _zoomed(images: Pixels) -> Pixels:
    size = images.shape[1]
    margin = size * (1 - ZOOM) / 2
    box = (margin, margin, size - margin, size - margin)
    enlarged = np.empty_like(images)
    for image, out in zip(images, enlarged, strict=True):
        picture = Image.fromarray(image)
        out[:] = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return enlarged


VIEWS: Mapping[str, Callable[[Pixels], Pixels]] = {
    "identity": lambda images: images,
    "hflip": lambda images: images[:, :, ::-1],
    "vflip": lambda images: images[:, ::-1],
    "rot180": lambda images: images[:, ::-1, ::-1],
    "transpose": lambda images: images.swapaxes(1, 2),
    "rot90": lambda images: images.swapaxes(1, 2)[:, ::-1],
    "rot270": lambda images: images.swapaxes(1, 2)[:, :, ::-1],
    "transverse": lambda images: images.swapaxes(1, 2)[:, ::-1, ::-1],
    "zoom": _zoomed,
}
"""Square images (rows, size, size, 3) → the same shape; turns are counter-clockwise."""


def plan_views(competition: Competition) -> tuple[View, ...]:
    """Return the views in the order that plans buy them: those that every model predicts in
    without a budget, then the others that the invariances allow."""
    allowed = allowed_views(competition.data.invariances)
    return tuple(dict.fromkeys((*competition.views, *allowed)))


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
