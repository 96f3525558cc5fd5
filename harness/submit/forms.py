"""The forms that a submission's cells can have, and predictions as text in that form. Pure."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.competition import Competition
from harness.errors import DataError
from harness.metrics import decide, guesses

Form = Literal["probabilities", "probability", "label", "guesses", "labels", "values"]
"""A column a class or label; the second class's probability; one label; the first guesses, and
all labels of a row, joined by spaces; a number."""


def form_of(competition: Competition, columns: Sequence[str]) -> Form:
    """What stands in the submission's ``columns`` (without the id)."""
    if competition.task == "regression":
        return "values"
    if len(columns) > 1:
        return "probabilities"
    if competition.metric.needs == "guesses":
        return "guesses"
    if competition.task == "multilabel":
        return "probabilities" if columns[0] in competition.data.labels else "labels"
    return "label" if competition.metric.names_labels else "probability"


def default_columns(competition: Competition, targets: Sequence[str]) -> tuple[str, ...]:
    """The columns to submit where no sample submission says: one, or a column a target."""
    metric, task = competition.metric, competition.task
    if (
        metric.needs == "guesses"
        or task == "binary"
        or (metric.names_labels and task != "multilabel")
    ):
        return (competition.data.label or "label",)
    return tuple(targets)


def cells(
    competition: Competition,
    columns: Sequence[str],
    targets: Sequence[str],
    predictions: NDArray[Any],
) -> NDArray[np.object_]:
    """(rows, columns) text for decided predictions (rows, targets).

    DataError where labels are to be joined by spaces and one of them has a space in it.
    """
    form = form_of(competition, columns)
    names = np.array(targets, dtype=object)
    match form:
        case "probabilities":
            if competition.task != "multilabel":  # whoever made them: rows sum to one
                predictions = predictions / predictions.sum(axis=1, keepdims=True, dtype=float)
            place = {name: i for i, name in enumerate(targets)}
            return _text(predictions[:, [place[name] for name in columns]])
        case "probability":
            return _text(predictions[:, [1]])
        case "label":
            return names[decide(predictions)][:, None]
        case "guesses":
            first = names[guesses(predictions, competition.metric.k or 1)]
        case "labels":
            first = [names[row >= 0.5] for row in predictions]
        case "values":
            return _text(predictions)
    spaced = next((name for name in targets if len(name.split()) != 1), None)
    if spaced is not None:
        raise DataError(
            "submission",
            f"joins labels by spaces, and {spaced!r} has one in it",
            "rename the label in the tables",
        )
    return np.array([[" ".join(row)] for row in first], dtype=object)


def _text(values: NDArray[Any]) -> NDArray[np.object_]:
    """Numbers as text of nine digits: rows that sum to 1 still do so to within 1e-6."""
    return np.array([[f"{value:.9g}" for value in row] for row in values], dtype=object)
