"""What columns that nobody asked for may be good for: groups, metadata. And the metric. Pure."""

import re
from collections.abc import Iterable, Sequence

from harness.competition import Task
from harness.init.records import Columns, Setting

MOST_METADATA = 20
MOST_CATEGORIES = 50
"""harness.data.metadata refuses a column of text with more."""
_ENTITY = re.compile(
    r"patient|subject|person|individual|lesion|animal|specimen|donor|slide|series|session|"
    r"camera|scene|video|site|location|group",
    re.I,
)


def usual_metric(task: Task, *, column_a_class: bool) -> Setting:
    """A guess, marked as one; ``column_a_class``: whether the submission has a column a class."""
    metric = {
        "binary": "roc_auc",
        "multiclass": "log_loss" if column_a_class else "accuracy",
        "multilabel": "roc_auc" if column_a_class else "f1_micro",
        "ordinal": "quadratic_weighted_kappa",
        "regression": "rmse",
    }[task]
    return Setting(metric, f"a guess: usual for {task}", "what does the competition's page say?")


def group_candidates(columns: Columns, unused: Sequence[str], fewest: int) -> tuple[Setting, ...]:
    """Columns that may name what several images share, the likeliest first.

    There are at least ``fewest`` different groups, and one for every twenty rows.
    """
    found = []
    for name in unused:
        cells = columns[name].tolist()
        several = len(set(cells))
        if several < len(cells) and several >= max(fewest, len(cells) / 20) and "" not in cells:
            why = f"{several} values for {len(cells)} rows"
            if _ENTITY.search(name):
                why = f"its name is that of something seen more than once: {why}"
                found.append((0, -several, Setting(name, why)))
            elif not _are_numbers(cells):
                doubt = "do its rows belong together?"
                found.append((1, -several, Setting(name, why, doubt)))
    return tuple(setting for *_, setting in sorted(found, key=lambda one: one[:2]))


def metadata_candidates(train: Columns, test: Columns, unused: Sequence[str]) -> tuple[str, ...]:
    """Columns of both tables that say something and can become numbers."""
    fit = [
        name
        for name in unused
        if name in test
        and (values := set(train[name]))
        and len(values) > 1
        and (len(values) <= MOST_CATEGORIES or _are_numbers(train[name]))
    ]
    return tuple(fit[:MOST_METADATA])


def _are_numbers(cells: Iterable[str]) -> bool:
    try:
        return bool([float(cell) for cell in cells if cell])
    except ValueError:
        return False
