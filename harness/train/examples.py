"""The images and targets that one fold model learns from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.images import Pixels

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Examples:
    """Sources of pixels (rows, size, size, 3), one after the other, with targets for all of them.

    ``rows`` count through the sources: the labelled images first, then others that are only
    trained on. ``targets`` (all rows, targets) may be what other models say, ``weights`` (all
    rows,) are what a row counts. ``inner`` rows are not trained on but watched, to stop early.
    """

    sources: tuple[Pixels, ...]
    targets: NDArray[np.float32]
    weights: NDArray[np.float32]
    rows: Rows
    inner: Rows

    def gather(self, rows: Rows) -> Pixels:
        """The pixels of those rows, as a copy in memory."""
        first = self.sources[0]
        if len(self.sources) == 1:
            return np.ascontiguousarray(first[rows])
        pixels = np.empty((len(rows), *first.shape[1:]), np.uint8)
        start = 0
        for source in self.sources:
            here = (rows >= start) & (rows < start + len(source))
            pixels[here] = source[rows[here] - start]
            start += len(source)
        return pixels
