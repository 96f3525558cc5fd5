"""What becomes of an ensemble's predictions before they are scored or written.

Made by ``harness.stack.decide``, stored with the ensemble, applied to every submission.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Rule = Literal["as_they_are", "class_weights", "cut_points", "thresholds", "range"]


@dataclass(frozen=True)
class Decision:
    """(rows, targets) → (rows, targets); certain (0 and 1) where a rule decides.

    ``class_weights``: for the class whose probability times its number is greatest.
    ``cut_points`` (classes − 1,), ascending: for the class whose code is how many of them the
    expected code reaches. ``thresholds`` (labels,): for every label whose probability reaches its
    own; with ``at_least_one`` for the nearest one where none does. ``range``: values are clipped
    to (lowest, highest). ``as_they_are``: nothing is done; whoever needs a class takes the most
    probable one.
    """

    rule: Rule = "as_they_are"
    numbers: tuple[float, ...] = ()
    at_least_one: bool = False

    def apply(self, predictions: Array) -> Array:
        """The predictions (rows, targets) as the rule has them; ValueError on wrong shapes."""
        if not self.fits(predictions.shape[1]):
            raise ValueError(
                f"{self.rule} {self.numbers} are not for {predictions.shape[1]} targets"
            )
        numbers = np.array(self.numbers)
        match self.rule:
            case "as_they_are":
                return predictions
            case "range":
                return np.clip(predictions, *numbers)
            case "class_weights":
                return _certain((predictions * numbers).argmax(axis=1), predictions.shape)
            case "cut_points":
                expected = predictions @ np.arange(predictions.shape[1])
                codes = np.searchsorted(numbers, expected, side="right")
                return _certain(codes, predictions.shape)
            case "thresholds":
                decided = (predictions >= numbers).astype(np.float64)
                if self.at_least_one:
                    none = ~decided.any(axis=1)
                    nearest = (predictions[none] / np.maximum(numbers, 1e-12)).argmax(axis=1)
                    decided[np.flatnonzero(none), nearest] = 1
                return decided

    def fits(self, targets: int) -> bool:
        """Whether the numbers are as many as so many targets need."""
        needed = {
            "as_they_are": 0,
            "class_weights": targets,
            "cut_points": targets - 1,
            "thresholds": targets,
            "range": 2,
        }
        return len(self.numbers) == needed[self.rule]

    def sentence(self, targets: tuple[str, ...]) -> str | None:
        """What it does, for people; None where it does nothing."""
        numbers = [f"{number:.3g}" for number in self.numbers]
        named = [f"{number} {name}" for number, name in zip(numbers, targets, strict=False)]
        listed = ", ".join(named[:12]) + (", …" if len(named) > 12 else "")
        match self.rule:
            case "as_they_are":
                return None
            case "range":
                return f"Values are clipped to {numbers[0]} – {numbers[1]}, the range in training."
            case "class_weights":
                return f"Decides for the greatest probability × weight: {listed}."
            case "cut_points":
                return f"Decides by the expected class, cut at {', '.join(numbers)}."
            case "thresholds":
                return f"Decides for labels from these probabilities on: {listed}."


def plain_decision(
    task: str, needs: str, truth: Array, targets: int, *, at_least_one: bool = False
) -> Decision:
    """Return what is done in any case: labels from one half on, values within the training range.

    ``needs`` is what the metric looks at (see ``harness.metrics.Metric``), ``truth`` that of all
    rows in folds. ``at_least_one``: rows must not go without a label.
    """
    if task == "regression":
        return Decision("range", (float(truth.min()), float(truth.max())))
    if task == "multilabel" and needs == "labels":
        return Decision("thresholds", (0.5,) * targets, at_least_one)
    return Decision()


def _certain(codes: Array, shape: tuple[int, ...]) -> Array:
    decided = np.zeros(shape)
    decided[np.arange(len(codes)), codes] = 1
    return decided
