"""Whether a model can predict all test images within the budget, judged by a few of its passes."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from harness.backbone import build_classifier
from harness.model import ModelSection
from harness.predict.engine import BATCH, choose_device, predict_batch

PASSES = 3

Kind = tuple[str, int, int]
"""A network's backbone, image size and channels."""


def kind_of(model: ModelSection) -> Kind:
    """What decides how long an image's way through the model takes."""
    return model.backbone, model.image_size, model.channels


def affordability(
    rows: int,
    seconds: float,
    targets: int,
    root: Path,
    measured: Mapping[Kind, float],
    clock: Callable[[], float] = time.perf_counter,
) -> Callable[[ModelSection], str | None]:
    """A function that says why a model cannot predict ``rows`` images in ``seconds``, or None.

    What counts is the forward pass of one fold model: seconds an image as ``measured``, else as
    training predicts with it, which is timed once.
    """
    known = dict(measured)

    def why_not(model: ModelSection) -> str | None:
        kind = kind_of(model)
        if kind not in known:
            known[kind] = _image_seconds(model, targets, root, clock)
        needed = rows * known[kind]
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
