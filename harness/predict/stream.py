"""One pass over the test images: each is decoded once for all members."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.competition import Rendering
from harness.data.images import USUAL, Pixels
from harness.errors import DataError
from harness.predict.pixels import PixelStore
from harness.predict.views import predict_views

if TYPE_CHECKING:  # engines other than PyTorch's do without the seconds that importing it takes
    from harness.predict.engine import Device, Predictor


class Member(Protocol):
    """What a pass needs of a member; ``harness.predict.engines.Engine`` is one."""

    @property
    def image_size(self) -> int:
        """The side of the images that it takes."""

    @property
    def chunk(self) -> int:
        """How many rows it likes to have at once."""

    def predict(self, pixels: Pixels) -> NDArray[np.float32]:
        """Probabilities (rows, targets) of uint8 images (rows, size, size, 3)."""


@dataclass(frozen=True)
class Loaded:
    """A member on plain PyTorch, ready to predict."""

    predictor: "Predictor"
    device: "Device"
    image_size: int
    chunk: int = 64

    def predict(self, pixels: Pixels) -> NDArray[np.float32]:
        """Probabilities (rows, targets) of uint8 images (rows, size, size, 3)."""
        from harness.predict.engine import BATCH, predict_batch

        return np.concatenate(
            [
                predict_batch(self.predictor, pixels[start : start + BATCH], self.device)
                for start in range(0, len(pixels), BATCH)
            ]
        )


def predict_images(
    members: Mapping[str, Member],
    paths: Sequence[Path],
    targets: int,
    progress: Callable[[int], None],
    *,
    rendering: Rendering = USUAL,
    views: Sequence[str] = ("identity",),
) -> tuple[dict[str, NDArray[np.float32]], dict[int, DataError]]:
    """({member: probabilities (rows, targets)}, {row: why its image cannot be read}).

    Probabilities are means over ``views`` (see harness.predict.views).
    A row without a readable image has NaN from every member. Threads decode the next chunk while
    the members predict this one; memory does not grow with the number of rows.
    """
    predictions = {name: np.full((len(paths), targets), np.nan, np.float32) for name in members}
    sizes = {member.image_size for member in members.values()}
    chunk = max(member.chunk for member in members.values())
    a_chunk = chunk * sum(3 * size**2 for size in sizes)
    with PixelStore(paths, sizes, limit=a_chunk, ahead=chunk, rendering=rendering) as store:
        for start in range(0, len(paths), chunk):
            rows = np.arange(start, min(start + chunk, len(paths)))
            read = {size: store.read(rows, size) for size in sizes}
            store.prefetch(range(rows[-1] + 1, min(rows[-1] + 1 + chunk, len(paths))))
            for name, member in members.items():
                pixels, good = read[member.image_size]
                if good.any():
                    predictions[name][rows[good]] = predict_views(member, pixels[good], views)
            store.forget(rows)
            progress(int(rows[-1]) + 1)
        return predictions, store.errors
