"""Whether a model can predict all test images within the budget, judged by a few of its passes."""

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.backbone import build_classifier
from harness.model import ModelSection
from harness.predict.engine import choose_device, image_seconds

Kind = tuple[str, int, int]
"""A network's backbone, image size and channels."""


def kind_of(model: ModelSection) -> Kind:
    """What decides how long an image's way through the model takes."""
    return model.backbone, model.image_size, model.channels


def affordability(
    rows: int, seconds: float, targets: int, root: Path, measured: Mapping[Kind, float]
) -> Callable[[ModelSection], str | None]:
    """A function that says why a model cannot predict ``rows`` images in ``seconds``, or None.

    What counts is the forward pass of one fold model: seconds an image as ``measured``, else as
    training predicts with it, which is timed once.
    """
    known = dict(measured)

    def why_not(model: ModelSection) -> str | None:
        kind = kind_of(model)
        if kind not in known:
            size, channels = model.image_size, model.channels
            network = build_classifier(
                model.backbone, "none", targets, image_size=size, root=root, channels=channels
            )
            known[kind] = image_seconds(network, size, choose_device(model.precision))
        needed = rows * known[kind]
        if needed <= seconds:
            return None
        return f"{rows} images would take {needed:.0f} s of the {seconds:g} s that there are"

    return why_not
