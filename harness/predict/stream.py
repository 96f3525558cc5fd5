"""One pass over the test images: each is decoded once for all members."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.images import stream_images
from harness.errors import DataError
from harness.predict.engine import BATCH, Device, Predictor, predict_batch


@dataclass(frozen=True)
class Loaded:
    """A member ready to predict."""

    predictor: Predictor
    device: Device
    image_size: int


def predict_images(
    members: Mapping[str, Loaded],
    paths: Sequence[Path],
    targets: int,
    progress: Callable[[int], None],
) -> tuple[dict[str, NDArray[np.float32]], dict[int, DataError]]:
    """({member: probabilities (rows, targets)}, {row: why its image cannot be read}).

    A row without a readable image has NaN from every member.
    """
    predictions = {name: np.full((len(paths), targets), np.nan, np.float32) for name in members}
    broken: dict[int, DataError] = {}
    sizes = sorted({member.image_size for member in members.values()})
    for rows, pixels, errors in stream_images(paths, sizes, BATCH):
        good = np.array([error is None for error in errors])
        broken |= {rows.start + i: error for i, error in enumerate(errors) if error is not None}
        for name, member in members.items():
            if good.any():
                predicted = predict_batch(
                    member.predictor, pixels[member.image_size][good], member.device
                )
                predictions[name][rows][good] = predicted
        progress(rows.stop)
    return predictions, broken
