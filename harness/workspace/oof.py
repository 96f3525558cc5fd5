"""oof/<run>.parquet: out-of-fold predictions, written by train or by any other tool."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from harness.errors import WorkspaceError
from harness.records import read_parquet, write_parquet
from harness.workspace.folds import describe_difference
from harness.workspace.runs import noted_views, retrain
from harness.workspace.training import TrainingRows

PREFIX = b"harness."
OWN_COLUMNS = ("id", "fold")
TARGET = "target:"
"""Stands before a target's name where that is one of ``OWN_COLUMNS``."""
SUM_TOLERANCE = 1e-3

_PROBABILITIES = "class probabilities lie between 0 and 1 and sum to 1 in each row"
_WANTED = {
    "binary": _PROBABILITIES,
    "multiclass": _PROBABILITIES,
    "ordinal": _PROBABILITIES,
    "multilabel": "probabilities lie between 0 and 1",
    "regression": "every row needs a number",
}


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
    for column, name in enumerate(target_columns(training.targets)):
        columns[name] = pa.array(predictions[:, column], pa.float32())
    table = pa.table(columns).replace_schema_metadata(
        {PREFIX + key.encode(): value.encode() for key, value in sorted(metadata.items())}
    )
    write_parquet(path, table)


def target_columns(targets: Sequence[str], others: Sequence[str] = OWN_COLUMNS) -> tuple[str, ...]:
    """Return the column of each target: its name, unless it is that of one of the ``others``.

    >>> target_columns(["cat", "id", "target:id"])
    ('cat', 'target:id', 'target:target:id')
    """
    return tuple(TARGET * (name in others or name.startswith(TARGET)) + name for name in targets)


def read_oof(path: Path, training: TrainingRows) -> OutOfFold:
    """Read and check a member; a WorkspaceError says in what it does not fit task or folds."""
    table = _read(path)
    metadata = _metadata(table)
    columns = target_columns(training.targets)
    fix = "make it again, or remove the file"
    if "config" in metadata:
        fix = f"{retrain(path.with_suffix(''))}, or remove the file"
    if (task := metadata.get("task", training.task)) != training.task:
        found = f"was made for task {task!r}, and competition.toml says {training.task!r}"
        raise WorkspaceError(path, found, fix)
    _require_columns(path, table, (*OWN_COLUMNS, *columns))
    if "config" in metadata and (odd := {*table.column_names} - {*OWN_COLUMNS, *columns}):
        found = f"has a column for {min(odd)!r}, which is no class now"
        raise WorkspaceError(path, found, fix)
    ids, fold = _ids(path, table), table["fold"].to_numpy()
    rows = training.rows_in_folds
    training.folds.require_same(path, metadata.get("folds"), ids, fold)
    order = np.argsort(ids, kind="stable")
    if len(ids) != len(rows) or (ids[order] != training.ids[rows]).any():
        found = describe_difference(ids, fold, training.folds) or "an id stands there twice"
        raise WorkspaceError(path, f"holds other ids than the folds: {found}", fix)
    predictions = _matrix(path, table, columns)[order]
    _require_sound(path, predictions, training.ids[rows], training.targets, training.task)
    _require_varied(path, predictions, training)
    return OutOfFold(path.stem, predictions, metadata)


def oof_views(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Return the test-time views that a run's OOF predictions are means over.

    A file from before views were noted has the picture as it is.
    """
    return tuple(metadata.get("views", "identity").split(","))


def views_of_run(path: Path, folder: Path) -> dict[Path, tuple[str, ...]]:
    """Return {file: views} of the OOF file at ``path`` and of its fold models' predictions."""
    files = sorted(folder.glob("fold*.oof.safetensors"))
    return {path: oof_views(oof_metadata(path)), **{file: noted_views(file) for file in files}}


def given_file(folder: Path, name: str, rows: Literal["test", "holdout"]) -> Path:
    """Where another tool puts its predictions for the test or holdout rows: beside its OOF file."""
    return folder / f"{name}.{rows}.parquet"


def oof_files(folder: Path) -> list[Path]:
    """The OOF files in order of name; a WorkspaceError if there is none."""
    beside = (".test", ".holdout")
    files = sorted(path for path in folder.glob("*.parquet") if not path.stem.endswith(beside))
    if not files:
        raise WorkspaceError(folder, "holds no OOF file", "run `python -m harness train`")
    return files


def read_predictions(
    path: Path, ids: NDArray[np.object_], targets: tuple[str, ...], task: str
) -> NDArray[np.float32]:
    """Another tool's predictions (rows, targets) for ``ids``, joined by id; others are left out."""
    table = _read(path)
    plain = TARGET + "fold" not in table.column_names  # no folds here: it may be the class
    columns = target_columns(targets, ("id",) if plain else OWN_COLUMNS)
    _require_columns(path, table, ("id", *columns))
    given = _ids(path, table)
    place = {id_: row for row, id_ in enumerate(given)}
    if len(place) < len(given):
        repeated = next(id_ for row, id_ in enumerate(given) if place[id_] != row)
        raise WorkspaceError(path, f"holds id {repeated!r} more than once", "give it one row an id")
    if missing := [id_ for id_ in ids if id_ not in place]:
        raise WorkspaceError(
            path, f"lacks {len(missing)} id(s), the first is {missing[0]!r}", "predict all"
        )
    predictions = _matrix(path, table, columns)[[place[id_] for id_ in ids]]
    _require_sound(path, predictions, ids, targets, task)
    return predictions


def _read(path: Path) -> Any:
    try:
        return read_parquet(path)
    except (OSError, ValueError) as error:
        reason = [*str(error).splitlines(), type(error).__name__][0]
        fix = "remove it, or mend it; `python -m harness train` makes a run's again"
        raise WorkspaceError(path, f"cannot be read ({reason})", fix) from error


def _require_columns(path: Path, table: Any, names: tuple[str, ...]) -> None:
    if missing := [name for name in names if name not in table.column_names]:
        raise WorkspaceError(path, f"has no column {missing[0]!r}", "mend or remove the file")


def _require_sound(
    path: Path,
    predictions: NDArray[np.float32],
    ids: NDArray[np.object_],
    targets: tuple[str, ...],
    task: str,
) -> None:
    """Every number finite; unless they are values, probabilities that sum to one where they must.

    The error names the first row at fault.
    """
    odd, found = ~np.isfinite(predictions), "NaN or infinity"
    if not odd.any() and task != "regression":
        odd, found = (predictions < 0) | (predictions > 1), "which is no probability"
    if odd.any():
        row, column = map(int, np.argwhere(odd)[0])
        value = f"{predictions[row, column]:.4g}, " if found.startswith("which") else ""
        raise WorkspaceError(
            path,
            f"row of id {ids[row]!r}, column {targets[column]!r} holds {value}{found}",
            f"mend the file: {_WANTED[task]}",
        )
    if task in ("binary", "multiclass", "ordinal"):
        total = predictions.sum(axis=1)
        if (off := np.abs(total - 1) > SUM_TOLERANCE).any():
            row = int(off.argmax())
            raise WorkspaceError(
                path,
                f"row of id {ids[row]!r} sums to {total[row]:.4g}",
                f"mend the file: {_WANTED[task]}",
            )


def _require_varied(path: Path, predictions: NDArray[np.float32], training: TrainingRows) -> None:
    """A WorkspaceError if a column is the same in every row, as its target is not."""
    truth = training.target[training.rows_in_folds]
    if truth.ndim == 1 and truth.dtype.kind != "f":
        truth = truth[:, None] == np.arange(len(training.targets))
    truth = truth.reshape(len(truth), -1)
    alike = predictions.min(axis=0) == predictions.max(axis=0)
    alike &= truth.min(axis=0) != truth.max(axis=0)
    if alike.any():
        column = int(alike.argmax())
        raise WorkspaceError(
            path,
            f"column {training.targets[column]!r} holds {predictions[0, column]:.4g} in every row",
            "train that member again, or remove the file",
        )


def _ids(path: Path, table: Any) -> NDArray[np.object_]:
    if table["id"].null_count:
        raise WorkspaceError(path, "has a row without an id", "give each row its id")
    return np.asarray(table["id"].cast(pa.string()).to_numpy(zero_copy_only=False), dtype=object)


def _matrix(path: Path, table: Any, targets: tuple[str, ...]) -> NDArray[np.float32]:
    columns = []
    for name in targets:
        try:
            columns.append(table[name].to_numpy().astype(np.float32))
        except (TypeError, ValueError) as error:
            raise WorkspaceError(
                path, f"column {name!r} holds more than numbers", "mend or remove the file"
            ) from error
    return np.column_stack(columns)


def oof_metadata(path: Path) -> dict[str, str]:
    """What the writer noted in the file: run, folds digest, task, metric, views, config.

    A WorkspaceError if the file is damaged.
    """
    return _metadata(_read(path))


def _metadata(table: Any) -> dict[str, str]:
    stored = table.schema.metadata or {}
    return {
        key.removeprefix(PREFIX).decode(errors="replace"): value.decode(errors="replace")
        for key, value in stored.items()
        if key.startswith(PREFIX)
    }
