"""Networks over many images: in batches, with a bar, stopping where asked to."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.backbone import Network
from harness.data.images import ImageCache
from harness.display import Display
from harness.model import ModelSection
from harness.predict.engine import BATCH, choose_device, predict_batch
from harness.predict.head import activate
from harness.train.interrupt import Stopped, Stopping

Rows = NDArray[np.intp]
Outputs = NDArray[np.float32]


@dataclass(frozen=True)
class Passes:
    """Passes without gradients, in the precision that the model predicts in."""

    model: ModelSection
    task: str
    targets: int
    display: Display
    stopping: Stopping

    def predict(self, network: Network, images: ImageCache, rows: Rows) -> Outputs:
        """Predictions (rows, targets) by one fold model; there may be no row."""
        if not len(rows):
            return np.empty((0, self.targets), np.float32)
        return activate(self.through(network, images, rows, "predicting"), self.task)

    def through(self, network: Network, images: ImageCache, rows: Rows, what: str) -> Outputs:
        """The network's outputs (rows, outputs) for those rows of the images."""
        device = choose_device(self.model.precision)
        device.place(network).eval()
        return self.in_batches(
            lambda batch: predict_batch(network, images.pixels[batch], device), rows, what
        )

    def in_batches(self, predict: Callable[[Rows], Outputs], rows: Rows, what: str) -> Outputs:
        """What ``predict`` says of all rows; Stopped if the process was asked to stop."""
        outputs = []
        with self.display.progress(f"{self.model.name} {what}", len(rows)) as advance:
            for start in range(0, len(rows), BATCH):
                if self.stopping():
                    raise Stopped
                batch = rows[start : start + BATCH]
                outputs.append(predict(batch))
                advance(start + len(batch), "")
        return np.concatenate(outputs)
