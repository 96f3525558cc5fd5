"""The interface of a runtime: one network from batches of uint8 images to features.

A runtime computes in the precision that is asked of it. What follows the features is a small
product, done in fp32 by harness.predict.head for all of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data.images import Pixels

Features = NDArray[np.float32]


class Network(ABC):
    """One network on one runtime: batches of uint8 images → features (rows, width)."""

    @abstractmethod
    def run(self, batches: Sequence[Pixels]) -> Iterator[Features]:
        """The features of each batch, in order.

        Batches are C-contiguous, of the number of rows that the network was laid out for.
        """
