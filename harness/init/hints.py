"""What columns that nobody asked for may be good for: groups, metadata. And the metric. Pure."""

import re
from collections.abc import Container, Iterable, Sequence

from harness.competition import Task
from harness.init.records import Columns, Setting

MOST_CATEGORIES = 50
"""harness.data.metadata refuses a column of text with more."""
_ENTITY = re.compile(
    r"(patient|subject|person|individual|lesion|animal|specimen|donor|slide|series|session|"
    r"video|camera|study)s?([ _-]?(instance|id|uid|no|nr|num|number|name|key|code|hash))*$",
    re.I,
)
"""Something seen more than once, and no property of it such as patient_age."""
_PLACE = re.compile("site|location|group|scene", re.I)


def usual_metric(task: Task, *, column_a_class: bool, guesses: int = 1) -> Setting:
    """A guess, marked as one.

    ``column_a_class``: whether the submission has a column a class; ``guesses``: how many classes
    it names in a cell.
    """
    doubt = "what does the competition's page say?"
    if task == "multiclass" and guesses > 1:
        return Setting(f"map@{guesses}", f"a guess: the sample has {guesses} guesses a row", doubt)
    metric = {
        "binary": "roc_auc",
        "multiclass": "log_loss" if column_a_class else "accuracy",
        "multilabel": "roc_auc" if column_a_class else "f1_micro",
        "ordinal": "quadratic_weighted_kappa",
        "regression": "rmse",
    }[task]
    return Setting(metric, f"a guess: usual for {task}", doubt)


def guesses_in(cells: Iterable[str], classes: Container[str]) -> int:
    """How many classes each of the sample submission's cells names; 1 if that is not certain."""
    several = [cell.split() for cell in cells]
    (most, *others) = {len(words) for words in several}
    known = all(word in classes for words in several for word in words)
    return most if known and not others else 1


def group_candidates(columns: Columns, unused: Sequence[str], fewest: int) -> tuple[Setting, ...]:
    """Columns that may name what several images share, the likeliest first.

    What is called like something seen more than once is doubted only if it has blank cells or
    fewer than ``fewest`` values; other text, if it has neither and a value for every twenty rows.
    """
    found = []
    for name in unused:
        cells = columns[name].tolist()
        blank, values = cells.count(""), set(cells) - {""}
        several = len(values)
        if not 1 < several < len(cells) - blank:
            continue
        why, doubt = f"{several} values for {len(cells)} rows", None
        if _ENTITY.search(name):
            why = f"its name is that of something seen more than once: {why}"
            if several < fewest:
                doubt = f"{several} values for {fewest} folds: fewer folds?"
            elif blank:
                doubt = f"{blank} row(s) have none: give each a name of its own"
            found.append((0 if doubt is None else 1, -several, Setting(name, why, doubt)))
        elif (
            not blank
            and several >= max(fewest, len(cells) / 20)
            and (_PLACE.search(name) or not _are_numbers(cells))
        ):
            found.append((2, -several, Setting(name, why, "do its rows belong together?")))
    return tuple(setting for *_, setting in sorted(found, key=lambda one: one[:2]))


def metadata_candidates(train: Columns, test: Columns, unused: Sequence[str]) -> tuple[str, ...]:
    """Columns of both tables that say something, can become numbers and name no entity."""
    return tuple(
        name
        for name in unused
        if name in test
        and not _ENTITY.search(name)
        and (values := set(train[name]))
        and len(values) > 1
        and (len(values) <= MOST_CATEGORIES or _are_numbers(train[name]))
    )


def _are_numbers(cells: Iterable[str]) -> bool:
    try:
        return bool([float(cell) for cell in cells if cell])
    except ValueError:
        return False
