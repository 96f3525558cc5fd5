"""What a metric is."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.files import digest

Array = NDArray[Any]
Needs = Literal["probabilities", "ranks", "labels", "guesses", "values"]


@dataclass(frozen=True)
class Metric:
    """A named score with its direction.

    ``needs`` says what the function looks at: ``probabilities`` (their values matter), ``ranks``
    (only the order of the rows), ``labels`` (only what is decided for), ``guesses`` (only the ``k``
    most probable classes, in order) or ``values`` (regression). ``tasks`` are those it fits.
    ``bounds`` are the lowest and highest score that there can be. ``squared``: it is best for the
    mean of what can happen, so that training minimises squared errors. ``source`` is the digest of
    the file that a user's own metric stands in.
    """

    name: str
    function: Callable[[Array, Array], float]
    greater_is_better: bool
    needs: Needs
    tasks: frozenset[str]
    k: int | None = None
    bounds: tuple[float, float] = (0.0, 1.0)
    squared: bool = False
    source: str = ""

    @property
    def family(self) -> str:
        """The name without its number of guesses."""
        return self.name.partition("@")[0]

    @property
    def names_labels(self) -> bool:
        """Whether a submission names labels, in one column, rather than giving numbers."""
        return self.needs in ("labels", "guesses")

    @property
    def digest(self) -> str:
        """Changes with all that decides what is best: a user's own metric can be edited."""
        return digest(self.name, f"{self.greater_is_better} {self.needs} {self.source}")

    def score(self, truth: Array, predictions: Array) -> float:
        """The score in the competition's own direction; NaN where ``truth`` leaves it undefined.

        ValueError if ``predictions`` hold NaN or infinity.
        """
        if not np.isfinite(predictions).all():
            raise ValueError(f"{self.name}: predictions hold NaN or infinity")
        return float(self.function(truth, predictions))

    def said(self, score: float, digits: int = 4) -> str:
        """Return the score with the metric's name, or in words that there is none."""
        if math.isnan(score):
            return f"no {self.name} (on these rows it has no value, as on rows of one class)"
        return f"{self.name} {score:.{digits}f}"

    def loss(self, truth: Array, predictions: Array) -> float:
        """The score turned so that lower is better."""
        score = self.score(truth, predictions)
        return -score if self.greater_is_better else score

    def better(self, score: float, other: float) -> bool:
        """Whether ``score`` beats ``other``."""
        return score > other if self.greater_is_better else score < other
