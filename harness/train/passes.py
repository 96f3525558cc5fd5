"""Networks over many images: in batches, with a bar, stopping where asked to."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from harness.backbone import Network
from harness.data.images import ImageCache, Pixels
from harness.display import Display, one_line
from harness.model import ModelSection
from harness.predict.engine import BATCH, Predictor, choose_device, predict_batch
from harness.predict.engines import ENGINES, why_missing
from harness.predict.engines.interface import in_full_batches
from harness.predict.stream import Loaded
from harness.predict.views import VIEWS, predict_views
from harness.train.interrupt import Stopped, Stopping

Rows = NDArray[np.intp]
Outputs = NDArray[np.float32]

CONVERTED = ENGINES["openvino-fp32"]
MANY = 1000
"""Images, times views, from which converting a network costs less time than it saves."""


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

    def features(
        self, network: Network, images: ImageCache, views: Sequence[str]
    ) -> Iterator[Outputs]:
        """Yield the features (rows, width) of all the images in each view."""
        rows = np.arange(len(images.pixels))
        run = self._runner(network, len(rows) * len(views))
        for view in views:
            yield self.in_batches(
                partial(_seen, run, images.pixels, VIEWS[view]), rows, f"features, {view}"
            )

    def _runner(self, network: Network, images: int) -> Callable[[Pixels], Outputs]:
        """Return the fastest way to run the network on so many images.

        In fp32 on a processor OpenVINO takes a third of PyTorch's time, and the same answers.
        """
        device = choose_device(self.model.precision)
        device.place(network).eval()
        plain = (device.torch.type, device.precision) == ("cpu", "fp32")
        if plain and images >= MANY and why_missing(CONVERTED, converting=True) is None:
            try:
                return self._converted(network)
            except Exception as error:  # exporters know only some networks, and raise anything
                why = one_line(error)[:200]
                self.display.say(f"{self.model.name}: PyTorch computes the features ({why})")
        return lambda pixels: predict_batch(network, pixels, device)

    def _converted(self, network: Network) -> Callable[[Pixels], Outputs]:
        from harness.predict.engines.with_openvino import OpenVINONetwork
        from harness.predict.engines.with_torch import export_network

        with TemporaryDirectory() as folder, self.display.working(f"{self.model.name}: converting"):
            file = Path(folder) / "graph.onnx"
            export_network(network, self.model.image_size, file)
            converted = OpenVINONetwork(CONVERTED, file, BATCH)

        def run(pixels: Pixels) -> Outputs:
            batches = list(in_full_batches(np.ascontiguousarray(pixels), BATCH))
            return np.concatenate(list(converted.run(batches)))[: len(pixels)]

        return run

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


def _seen(
    run: Callable[[Pixels], Outputs], pixels: Pixels, view: Callable[[Pixels], Pixels], rows: Rows
) -> Outputs:
    return run(view(pixels[rows]))
