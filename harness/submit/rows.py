"""The rows to predict, and their predictions as the text of a checked submission."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.images import USUAL, find_images
from harness.data.metadata import encode
from harness.data.sample import Sample, read_sample, read_test_ids
from harness.data.table import read_metadata
from harness.errors import WorkspaceError
from harness.submit.check import check_submission
from harness.submit.forms import require_columns
from harness.submit.table import make_submission
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble
from harness.workspace.runs import read_run, retrain


@dataclass(frozen=True)
class TestRows:
    """``ids`` (rows,), the ``paths`` of their images, ``metadata`` (rows, columns) if used."""

    __test__ = False  # no test case, whatever its name makes pytest think

    ids: NDArray[np.object_]
    paths: list[Path]
    sample: Sample | None
    metadata: NDArray[np.float32] | None

    def metadata_of(self, rows: NDArray[np.intp]) -> NDArray[np.float32] | None:
        """The metadata of these rows, if there is any."""
        return None if self.metadata is None else self.metadata[rows]


def read_test_rows(workspace: Workspace, ensemble: Ensemble) -> TestRows:
    """What is to be predicted; images may be missing, but not all of them."""
    competition, root = workspace.competition, workspace.root
    _require_same_rendering(workspace, ensemble)
    if sample := read_sample(competition, root):
        require_columns(competition, sample.target_columns, ensemble.targets)
    ids = read_test_ids(competition, root)
    names = [column.name for column in ensemble.metadata]
    texts = read_metadata(competition, root, ids, names, test=True)
    return TestRows(
        ids,
        find_images(competition, root, ids, test=True, tolerate_missing=True),
        sample,
        encode(ensemble.metadata, texts),
    )


def _require_same_rendering(workspace: Workspace, ensemble: Ensemble) -> None:
    """A WorkspaceError if a member was trained on pictures that were decoded in another way."""
    asked = vars(workspace.competition.data.rendering)
    for name in ensemble.members:
        folder = workspace.models / name
        if not (folder / "run.json").exists():
            continue  # another tool's
        identity = read_run(folder)["identity"]
        for key, value in asked.items():
            if (trained := identity.get(key, vars(USUAL)[key])) != value:
                raise WorkspaceError(
                    folder,
                    f"was trained with {key} = {trained}, and competition.toml says {value}",
                    f"set it back, or {retrain(folder)}",
                )


def submission_text(
    workspace: Workspace,
    path: Path,
    rows: TestRows,
    ensemble: Ensemble,
    predictions: NDArray[Any],
) -> str:
    """The CSV for an ensemble's predictions (rows, targets) as they were decided.

    A DataError says what a grader would refuse.
    """
    competition, sample = workspace.competition, rows.sample
    frame = make_submission(competition, sample, rows.ids, ensemble.targets, predictions)
    id_column = sample.id_column if sample else competition.data.id
    columns = sample.target_columns if sample else tuple(frame.columns.drop(id_column))
    ids, allowed = rows.ids, not ensemble.decision.at_least_one
    check_submission(path, frame, competition, id_column, columns, ids, allow_empty=allowed)
    if sample and (spelled := sample.spelled):
        frame = frame.rename(columns=spelled).map(lambda cell: spelled.get(cell, cell))
    return str(frame.to_csv(index=False, lineterminator="\n"))
