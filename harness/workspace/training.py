"""The training rows as every stage after ``fold`` sees them: table and folds, joined by id."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.table import read_table
from harness.decision import Decision, plain_decision
from harness.errors import WorkspaceError
from harness.files import digest
from harness.workspace import Workspace
from harness.workspace.folds import Folds, read_folds


@dataclass(frozen=True)
class TrainingRows:
    """Rows sorted by id, with their targets (see harness.metrics) and folds.

    ``assignment`` (rows, repeats) holds fold numbers; −1 marks the holdout. ``groups`` are those
    that the folds were made with, duplicates among them. ``decision`` is what becomes of any
    model's predictions before they are scored: a cell for all labels is not left empty if no row's
    is (or as [data] allow_empty says), and values stay within the range of the rows in folds.
    """

    ids: NDArray[np.object_]
    target: NDArray[Any]
    targets: tuple[str, ...]
    assignment: NDArray[np.int16]
    groups: NDArray[np.object_] | None
    task: str
    folds: Folds
    decision: Decision

    @property
    def rows_in_folds(self) -> NDArray[np.intp]:
        """Indices of the rows that are not in the holdout."""
        return np.flatnonzero(self.assignment[:, 0] >= 0)

    @property
    def holdout_rows(self) -> NDArray[np.intp]:
        """Indices of the rows that no model is trained on."""
        return np.flatnonzero(self.assignment[:, 0] < 0)

    @cached_property
    def target_digest(self) -> str:
        """Changes when a label changes, and not with the order of the table's rows."""
        return digest(*self.targets, np.ascontiguousarray(self.target).tobytes())


def read_training(workspace: Workspace) -> TrainingRows:
    """Join the training table and folds/; a WorkspaceError if they hold other ids or
    folds/ was made by other rules than [folds] has."""
    competition = workspace.competition
    table = read_table(competition, workspace.root)
    folds = read_folds(workspace.folds)
    folds.require_rows(workspace.folds)
    # copies that `audit` found make groups of their own, which `fold` knows
    own = competition.folds.group_duplicates and folds.groups is not None
    grouped = table.groups is not None or own
    folds.require_rules(workspace.folds, competition.folds.model_dump(), grouped=grouped)
    order = np.argsort(table.ids, kind="stable")
    ids = table.ids[order]
    if len(ids) != len(folds.ids) or (ids != folds.ids).any():
        odd = sorted(set(ids) ^ set(folds.ids))
        raise WorkspaceError(
            workspace.folds / "folds.csv",
            f"{len(odd)} id(s) are not in both it and {table.source.name}, the first is {odd[0]!r}",
            "run `python -m harness fold`, which places new rows and moves no old one",
        )
    target = table.target[order]
    allow_empty = competition.data.allow_empty
    if allow_empty is None:
        allow_empty = target.ndim == 2 and not target.any(axis=1).all()
    decision = plain_decision(
        competition.task,
        competition.metric.needs,
        target[folds.assignment[:, 0] >= 0],
        len(table.targets),
        at_least_one=table.in_one_cell and not allow_empty,
    )
    return TrainingRows(
        ids,
        target,
        table.targets,
        folds.assignment,
        folds.groups,
        competition.task,
        folds,
        decision,
    )
