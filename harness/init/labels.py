"""What kind of question a label column asks. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.competition import Task
from harness.text import number

_SCALE = re.compile(r"grade|level|stage|severity|diagnosis|score|rating|degree", re.I)
_SEPARATORS = (" | ", "|", ", ", ",", "; ", ";", " ")
_NO_AND_YES = (
    *(("0", "1"), ("0.0", "1.0"), ("false", "true"), ("no", "yes"), ("n", "y"), ("f", "t")),
    *(("negative", "positive"), ("neg", "pos")),
)
MOST_STEPS = 12
"""An ordinal scale has hardly more."""


@dataclass(frozen=True)
class Question:
    """The task, why, and what could not be decided; ``separator`` joins the labels of a cell."""

    task: Task
    why: str
    doubt: str | None = None
    separator: str = " "


def question_of(column: str, texts: NDArray[Any], asked: Sequence[str] | None) -> Question:
    """What a single label column asks.

    ``texts`` (rows,) are its cells that are not blank; ``asked`` are the sample submission's cells
    for it, None if the sample has a column a class or there is none.
    """
    values = sorted(set(texts.tolist()))
    if not values:
        return Question("multiclass", f"{column!r} is blank", "what is asked?")
    for separator in _SEPARATORS:
        if joined := _joined(values, separator):
            why = f"cells such as {joined!r} join labels with {separator!r}"
            return Question("multilabel", why, separator=separator)
    if len(values) == 2:
        return Question("binary", f"{column!r} is {values[0]!r} or {values[1]!r}")
    numbers = _numbers(values)
    if numbers is None:
        odd = next((value for value in values if re.search("[|;]", value)), None)
        doubt = f"does {odd!r} join labels? then task = 'multilabel', with their separator"
        said = f"{column!r} holds {len(values)} different texts"
        return Question("multiclass", said, doubt if odd else None)
    whole = bool((numbers == np.round(numbers)).all())
    steps = whole and set(numbers) == set(np.arange(numbers.min(), numbers.max() + 1))
    wanted = _numbers(asked) if asked is not None else None
    if wanted is not None and (wanted != np.round(wanted)).any():
        return Question("regression", f"{column!r} is a number, in the sample not a whole one")
    if not whole or (not steps and len(values) > MOST_STEPS):
        return Question(
            "regression",
            f"{column!r} holds {len(values)} numbers from {numbers.min():g} to {numbers.max():g}",
            None if not whole else "are they the numbers of classes? then task = 'multiclass'",
        )
    said = f"{column!r} holds the whole numbers {numbers.min():g} to {numbers.max():g}"
    if len(values) > MOST_STEPS:
        return Question("multiclass", said, "is it an amount? then task = 'regression'")
    if asked is None:
        return Question("multiclass", said)
    if _SCALE.search(column):
        return Question("ordinal", f"{said}, and its name is a scale's", "if not, 'multiclass'")
    return Question("multiclass", said, "are they steps of a scale? then task = 'ordinal'")


def is_marks(texts: NDArray[Any]) -> bool:
    """Return whether all cells are 0 or 1, or words for them."""
    return set(map(number, set(texts.tolist()))) <= {0, 1}


def is_yes_or_no(classes: Sequence[str]) -> bool:
    """Whether the second of two classes is the yes to the first's no."""
    return tuple(name.lower() for name in classes) in _NO_AND_YES


def _joined(values: Sequence[str], separator: str) -> str | None:
    """A cell that joins labels, if there are such: most of its kind's words stand alone, too, as
    the words of a name do not."""
    several = [value for value in values if separator in value.strip()]
    words = {word for value in several for word in value.split(separator) if word}
    if several and len(words & set(values)) > len(words) / 2:
        return min(several, key=len)
    return None


def _numbers(texts: Sequence[str]) -> NDArray[np.float64] | None:
    try:
        numbers = np.array([float(text) for text in texts])
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None
