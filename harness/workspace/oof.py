"""oof/<run>.parquet: out-of-fold predictions, written by train or by any other tool."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from harness.errors import WorkspaceError
from harness.files import replacing
from harness.workspace.training import TrainingRows

PREFIX = b"harness."


@dataclass(frozen=True)
class OutOfFold:
    """A member's predictions (rows, targets) for the training rows in ``TrainingRows`` order."""

    name: str
    predictions: NDArray[np.float32]
    metadata: dict[str, str]


def write_oof(
    path: Path,
    training: TrainingRows,
    predictions: NDArray[np.float32],
    metadata: dict[str, str],
) -> None:
    """Write predictions (rows, targets) of every row that is in a fold."""
    rows = training.rows_in_folds
    columns: dict[str, Any] = {
        "id": pa.array(training.ids[rows], pa.string()),
        "fold": pa.array(training.assignment[rows, 0], pa.int16()),
    }
    for column, name in enumerate(training.targets):
        columns[name] = pa.array(predictions[:, column], pa.float32())
    table = pa.table(columns).replace_schema_metadata(
        {PREFIX + key.encode(): value.encode() for key, value in sorted(metadata.items())}
    )
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def read_oof(path: Path, training: TrainingRows) -> OutOfFold:
    """Read and check a member; a WorkspaceError says in what it does not fit the folds."""
    table = _read(path)
    _require_columns(path, table, ("id", "fold", *training.targets))
    fix = "train that member again, or remove the file"
    metadata = oof_metadata(path)
    ids = table["id"].cast(pa.string()).to_numpy(zero_copy_only=False)
    rows = training.rows_in_folds
    training.folds.require_same(path, metadata.get("folds"), ids, table["fold"].to_numpy())
    order = np.argsort(ids, kind="stable")
    if len(ids) != len(rows) or (ids[order] != training.ids[rows]).any():
        raise WorkspaceError(path, "holds other ids than the folds", fix)
    predictions = _matrix(table, training.targets)[order]
    if not np.isfinite(predictions).all():
        raise WorkspaceError(path, "holds NaN or infinite predictions", fix)
    if training.task in ("binary", "multiclass", "ordinal"):
        worst = float(np.abs(predictions.sum(axis=1) - 1).max())
        if worst > 1e-3 or predictions.min() < 0:
            raise WorkspaceError(
                path, f"has rows that are no probabilities (off by {worst:.2g})", fix
            )
    return OutOfFold(path.stem, predictions, metadata)


def read_test_predictions(
    path: Path, ids: NDArray[np.object_], targets: tuple[str, ...]
) -> NDArray[np.float32]:
    """oof/<run>.test.parquet: another tool's predictions (rows, targets) for the test ``ids``."""
    table = _read(path)
    _require_columns(path, table, ("id", *targets))
    given = table["id"].cast(pa.string()).to_numpy(zero_copy_only=False)
    place = {id_: row for row, id_ in enumerate(given)}
    if missing := [id_ for id_ in ids if id_ not in place]:
        raise WorkspaceError(
            path, f"lacks {len(missing)} test id(s), the first is {missing[0]!r}", "predict all"
        )
    predictions = _matrix(table, targets)[[place[id_] for id_ in ids]]
    if not np.isfinite(predictions).all():
        raise WorkspaceError(path, "holds NaN or infinite predictions", "mend the file")
    return predictions


def _read(path: Path) -> Any:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0]
        raise WorkspaceError(path, f"cannot be read ({reason})", "remove it, or mend it") from error


def _require_columns(path: Path, table: Any, names: tuple[str, ...]) -> None:
    if missing := [name for name in names if name not in table.column_names]:
        raise WorkspaceError(path, f"has no column {missing[0]!r}", "mend or remove the file")


def _matrix(table: Any, targets: tuple[str, ...]) -> NDArray[np.float32]:
    return np.column_stack([table[name].to_numpy().astype(np.float32) for name in targets])


def oof_metadata(path: Path) -> dict[str, str]:
    """What the writer noted in the file: run, folds digest, task, metric, seconds, config."""
    stored = pq.read_schema(path).metadata or {}
    return {
        key.removeprefix(PREFIX).decode(): value.decode()
        for key, value in stored.items()
        if key.startswith(PREFIX)
    }
