"""The one interface of all engines: uint8 images in, predictions out."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.images import Pixels
from harness.predict.engines.convert import converted_file
from harness.predict.engines.kinds import Kind, cores
from harness.predict.engines.network import Network
from harness.predict.engines.parts import Part, Run, parts

Probabilities = NDArray[np.float32]


class Engine:
    """Some models of a run, ready to predict: the mean of their predictions."""

    def __init__(self, kind: Kind, run: Run, batch: int, networks: Sequence[tuple[Part, Network]]):
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
        batches = list(_batches(np.ascontiguousarray(pixels), self.batch))
        total = np.zeros((len(pixels), self.run.targets), np.float32)
        for part, network in self._networks:
            outputs = np.concatenate(list(network.run(batches)))[: len(pixels)]
            total += outputs[:, part.wanted].sum(axis=1)
        if self.run.task in ("multilabel", "regression"):
            return total / np.float32(sum(len(part.wanted) for part, _ in self._networks))
        # half precision leaves the sums of the softmax a little off
        return total / total.sum(axis=1, keepdims=True)


def load_engine(kind: Kind, run: Run, weights: Sequence[str], cache: Path, *, batch: int) -> Engine:
    """Load those models of the run (names of their files in its folder); converts nothing.

    ``cache`` is the folder that ``convert`` wrote to. A WorkspaceError says that the converted
    network is missing, stale or damaged.
    """
    networks = [(part, _load(kind, part, cache, batch)) for part in parts(run, weights)]
    return Engine(kind, run, batch, networks)


def _load(kind: Kind, part: Part, cache: Path, batch: int) -> Network:
    if kind.runtime == "openvino":
        from harness.predict.engines.with_openvino import OpenVINONetwork

        return OpenVINONetwork(kind, converted_file(kind, part, cache), batch)
    if kind.runtime == "onnxruntime":
        from harness.predict.engines.with_onnxruntime import ONNXRuntimeNetwork

        return ONNXRuntimeNetwork(converted_file(kind, part, cache))
    from harness.predict.engines.with_torch import load_torch

    return load_torch(kind, part, batch)


def _batches(pixels: Pixels, batch: int) -> Iterator[Pixels]:
    """Pieces of exactly ``batch`` rows; the last is filled up with its own first row."""
    for start in range(0, len(pixels), batch):
        piece = pixels[start : start + batch]
        if len(piece) < batch:
            full = np.empty((batch, *pixels.shape[1:]), np.uint8)
            full[: len(piece)], full[len(piece) :] = piece, piece[0]
            piece = full
        yield piece
