"""Whether a model can predict all test images within the budget, judged by a few of its passes."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.backbone import build_classifier
from harness.model import ModelSection
from harness.predict.engine import BATCH, choose_device, predict_batch

PASSES = 3


def affordability(
    rows: int,
    seconds: float,
    targets: int,
    root: Path,
    clock: Callable[[], float] = time.perf_counter,
) -> Callable[[ModelSection], str | None]:
    """A function that says why a model cannot predict ``rows`` images in ``seconds``, or None.

    What counts is the forward pass of one fold model as training predicts with it; another engine
    (see `cost`) may be faster. Each backbone and size is timed once.
    """
    known: dict[tuple[str, int, int], float] = {}

    def why_not(model: ModelSection) -> str | None:
        key = (model.backbone, model.image_size, model.channels)
        if key not in known:
            known[key] = _image_seconds(model, targets, root, clock)
        needed = rows * known[key]
        if needed <= seconds:
            return None
        return f"{rows} images would take {needed:.0f} s of the {seconds:g} s that there are"

    return why_not


def _image_seconds(
    model: ModelSection, targets: int, root: Path, clock: Callable[[], float]
) -> float:
    """Seconds an image, the fastest of a few batches."""
    device = choose_device(model.precision)
    network = build_classifier(
        model.backbone,
        "none",
        targets,
        image_size=model.image_size,
        root=root,
        channels=model.channels,
    )
    device.place(network).eval()
    pixels = np.zeros((BATCH, model.image_size, model.image_size, 3), np.uint8)
    spent = []
    for _ in range(1 + PASSES):  # the first one warms up
        begun = clock()
        predict_batch(network, pixels, device)
        spent.append(clock() - begun)
    return min(spent[1:]) / BATCH
