"""What a runtime must offer: one network that takes batches of uint8 images."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data.images import Pixels

Outputs = NDArray[np.float32]


class Network(ABC):
    """One network on one runtime: batches of uint8 images → (rows, heads, targets)."""

    @abstractmethod
    def run(self, batches: Sequence[Pixels]) -> Iterator[Outputs]:
        """The outputs of each batch, in order.

        Batches are C-contiguous, of the number of rows that the network was laid out for.
        """
