"""The forms that a submission's cells can have, and predictions as text in that form. Pure."""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from harness.competition import Competition
from harness.errors import ConfigError, DataError, WorkspaceError
from harness.metrics import decide, guesses

Form = Literal["probabilities", "probability", "label", "guesses", "labels", "values"]
"""A column a class or label; the second class's probability; one label; the first guesses, or
all labels of a row, in one cell; a number."""


def form_of(competition: Competition, columns: Sequence[str]) -> Form:
    """What stands in the submission's ``columns`` (without the id).

    ConfigError where the metric asks for more than one column can say.
    """
    metric, task = competition.metric, competition.task
    if task == "regression":
        return "values"
    if len(columns) > 1 or columns[0] in competition.data.labels:
        return "probabilities"
    if metric.needs == "guesses":
        return "guesses"
    if task == "multilabel":
        if metric.needs != "labels":
            raise ConfigError(
                "competition.toml [competition]",
                f"metric {metric.name!r} needs a column a label, and the submission has only "
                f"{columns[0]!r}",
                'check the metric; one of your own may say needs = "labels"',
            )
        return "labels"
    return "label" if metric.names_labels else "probability"


def default_columns(competition: Competition, targets: Sequence[str]) -> tuple[str, ...]:
    """The columns to submit where no sample submission says: one, or a column a target.

    ConfigError where a class is called as the id column is.
    """
    metric, task = competition.metric, competition.task
    decided = metric.names_labels and task != "multilabel"
    if decided or metric.needs == "guesses" or task == "binary":
        return (competition.data.label_name,)
    if competition.data.id in targets:
        found = f"the class {competition.data.id!r} would share its column's name with the ids"
        raise ConfigError("competition.toml [data]", found, "set sample_submission, or another id")
    return tuple(targets)


def require_columns(
    competition: Competition, columns: Sequence[str], targets: Sequence[str]
) -> None:
    """Raise a WorkspaceError unless the ensemble's ``targets`` fill the submission's columns."""
    if form_of(competition, columns) != "probabilities":
        return
    lacking = [name for name in columns if name not in targets]
    spare = [name for name in targets if name not in columns and competition.task != "multilabel"]
    if odd := [*lacking, *spare]:
        found = "lacks the class" if lacking else "has a class that is no column of the sample:"
        fix = "run `python -m harness data`, then `train` and `stack`"
        raise WorkspaceError("models/ensemble", f"{found} {odd[0]!r}", fix)


def cells(
    competition: Competition,
    columns: Sequence[str],
    targets: Sequence[str],
    predictions: NDArray[Any],
    shown: Collection[str] = (),
) -> NDArray[np.object_]:
    """(rows, columns) text for decided predictions (rows, targets).

    ``shown`` are the sample's cells, whose way of writing single labels is followed. DataError
    where a label that is to be joined with others has the separator in it.
    """
    require_columns(competition, columns, targets)
    names = np.array(targets, dtype=object)
    match form_of(competition, columns):
        case "probabilities":
            if competition.task != "multilabel":  # whoever made them: rows sum to one
                predictions = predictions / predictions.sum(axis=1, keepdims=True, dtype=float)
            place = {name: i for i, name in enumerate(targets)}
            return _text(predictions[:, [place[name] for name in columns]])
        case "probability":
            return _text(predictions[:, [1]])
        case "label":
            return np.array(written(targets, shown), dtype=object)[decide(predictions)][:, None]
        case "values":
            return _text(predictions)
        case "guesses":
            chosen = list(names[guesses(predictions, competition.metric.k or 1)])
        case "labels":
            chosen = [names[row >= 0.5] for row in predictions]
    return _joined(chosen, targets, competition.data.separator)


def written(classes: Sequence[str], shown: Collection[str]) -> tuple[str, ...]:
    """Classes as the sample writes them: where it shows whole numbers and they are none, as such.

    >>> written(["0.0", "1.0"], {"0"}), written(["cat", "dog"], {"0", "1"})
    (('0', '1'), ('0', '1'))
    >>> written(["cat", "dog"], {"cat"}), written(["ant", "bee", "cat"], {"0"})
    (('cat', 'dog'), ('ant', 'bee', 'cat'))
    """
    if not shown or not all(map(str.isdecimal, shown)) or set(shown) & set(classes):
        return tuple(classes)
    numbers = [re.sub(r"\.0*$", "", name) for name in classes]
    if all(map(str.isdecimal, numbers)) and len(set(numbers)) == len(classes):
        return tuple(numbers)
    return ("0", "1") if len(classes) == 2 and set(shown) <= {"0", "1"} else tuple(classes)


def _joined(
    chosen: Iterable[Iterable[str]], targets: Sequence[str], separator: str
) -> NDArray[np.object_]:
    if odd := [name for name in targets if separator in name]:
        raise DataError(
            "competition.toml [data]",
            f"labels are joined by {separator!r}, and {odd[0]!r} has one in it",
            "set another 'separator', or rename the label",
        )
    return np.array([[separator.join(row)] for row in chosen], dtype=object)


def _text(values: NDArray[Any]) -> NDArray[np.object_]:
    """Numbers as text of nine digits: rows that sum to 1 still do so to within 1e-6."""
    return np.array([[f"{value:.9g}" for value in row] for row in values], dtype=object)
