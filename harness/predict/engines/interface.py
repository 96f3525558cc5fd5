"""The one interface of all engines: uint8 images in, predictions out."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.images import Pixels
from harness.predict.engines.convert import converted_file, read_heads
from harness.predict.engines.kinds import Kind, cores
from harness.predict.engines.network import Network
from harness.predict.engines.parts import Part, Run, parts
from harness.predict.head import Heads

Probabilities = NDArray[np.float32]


class Engine:
    """Some models of a run, ready to predict: the mean of their predictions."""

    def __init__(
        self,
        kind: Kind,
        run: Run,
        batch: int,
        networks: Sequence[tuple[Network, Heads]],
    ) -> None:
        self.kind, self.run, self.batch = kind, run, batch
        self._networks = networks

    @property
    def image_size(self) -> int:
        """The side of the images that it takes."""
        return self.run.model.image_size

    @property
    def chunk(self) -> int:
        """Rows to hand over at once: where batches run side by side, a few for each core."""
        return self.batch * (4 * cores() if self.kind.asynchronous else 1)

    def warm_up(self) -> None:
        """Do what the first call would do besides: compile, lay out memory."""
        self.predict(np.zeros((self.chunk, self.image_size, self.image_size, 3), np.uint8))

    def predict(self, pixels: Pixels) -> Probabilities:
        """Predictions (rows, targets) of uint8 images (rows, size, size, 3), any number of rows.

        Where they are probabilities of classes every row sums to 1.
        """
        if not len(pixels):
            return np.zeros((0, self.run.targets), np.float32)
        batches = list(in_full_batches(np.ascontiguousarray(pixels), self.batch))
        predictions = []
        for network, heads in self._networks:
            features = np.concatenate(list(network.run(batches)))[: len(pixels)]
            predictions.append(heads.predict(features, self.run.task))
        return np.concatenate(predictions, axis=1).mean(axis=1)


def load_engine(kind: Kind, run: Run, weights: Sequence[str], cache: Path, *, batch: int) -> Engine:
    """Load those models of the run (names of their files in its folder); converts nothing.

    ``cache`` is the folder that ``convert`` wrote to. A WorkspaceError says that the converted
    network is missing, stale or damaged.
    """
    networks = []
    for part in parts(run, weights):
        network, heads = _load(kind, part, cache, batch)
        networks.append((network, heads.only(part.wanted)))
    return Engine(kind, run, batch, networks)


def _load(kind: Kind, part: Part, cache: Path, batch: int) -> tuple[Network, Heads]:
    if kind.converted is None:
        from harness.predict.engines.with_torch import load_torch

        return load_torch(kind, part, batch)
    file = converted_file(kind, part, cache)
    heads = read_heads(file.parent)
    if kind.runtime == "openvino":
        from harness.predict.engines.with_openvino import OpenVINONetwork

        return OpenVINONetwork(kind, file, batch), heads
    from harness.predict.engines.with_onnxruntime import ONNXRuntimeNetwork

    return ONNXRuntimeNetwork(file), heads


def in_full_batches(pixels: Pixels, batch: int) -> Iterator[Pixels]:
    """Yield pieces of exactly ``batch`` rows; the last is filled up with its own first row."""
    for start in range(0, len(pixels), batch):
        piece = pixels[start : start + batch]
        if len(piece) < batch:
            full = np.empty((batch, *pixels.shape[1:]), np.uint8)
            full[: len(piece)], full[len(piece) :] = piece, piece[0]
            piece = full
        yield piece
