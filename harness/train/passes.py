"""Networks over many images: in batches, with a bar, stopping where asked to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.backbone import Network
from harness.data.images import ImageCache
from harness.display import Display
from harness.model import ModelSection
from harness.predict.engine import BATCH, Predictor, choose_device, predict_batch
from harness.predict.stream import Loaded
from harness.predict.views import VIEWS, predict_views
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

    def predict(
        self, network: Network, images: ImageCache, rows: Rows, views: Sequence[str]
    ) -> Outputs:
        """Predictions (rows, targets) by one fold model, means over views; there may be no row."""
        if not len(rows):
            return np.empty((0, self.targets), np.float32)
        device = choose_device(self.model.precision)
        predictor = Predictor(network, None, self.task).eval()
        device.place(predictor)
        loaded = Loaded(predictor, device, self.model.image_size)
        return self.in_batches(
            lambda batch: predict_views(loaded, images.pixels[batch], views), rows, "predicting"
        )

    def features(self, network: Network, images: ImageCache, view: str) -> Outputs:
        """Features (rows, width) of all the images in one view."""
        device = choose_device(self.model.precision)
        device.place(network).eval()
        return self.in_batches(
            lambda batch: predict_batch(network, VIEWS[view](images.pixels[batch]), device),
            np.arange(len(images.pixels)),
            f"features, {view}",
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
