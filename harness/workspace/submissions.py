"""submissions/<name>.csv with its sidecar <name>.json."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from harness.errors import WorkspaceError
from harness.estimate import Estimate
from harness.files import digest, write_text
from harness.metrics import score_bounds
from harness.records import read_record, write_json
from harness.workspace.ensemble import Ensemble


@dataclass(frozen=True)
class Sidecar:
    """Where a submission came from. ``seconds`` count from the start of the process.

    ``nested``, ``low`` and ``high`` are what was believed of the ensemble, the choice of it nested;
    ``expected_low`` and ``expected_high`` bound 95 % of what it scores on so many new ``rows``.
    ``prior_rows`` are the ids whose image could not be read and that got the prior. Without
    ``member_sets`` all others were predicted by every one of ``members``; with them, the test
    table's row i by ``member_sets[row_sets[i]]``, and an empty set is the prior. ``completed``:
    all was done that was planned. ``spent`` and ``predicted`` are seconds by what they go into
    (start, load, predict, write), where there was a plan, whose work was done at ``planned_at``;
    what followed was for time that was left. ``averaging`` says how many fold models were planned
    and what that is expected to gain, which ``nested`` does not know of. ``inputs`` is the digest
    of all that it came from, ``file`` that of the CSV that it describes.
    """

    ensemble: str
    method: str
    metric: str
    nested: float
    low: float
    high: float
    expected_low: float
    expected_high: float
    members: tuple[str, ...]
    folds: str
    rows: int
    prior_rows: tuple[str, ...]
    seconds: float
    budget_seconds: float | None
    inputs: str
    completed: bool = True
    member_sets: tuple[tuple[str, ...], ...] = ()
    row_sets: tuple[int, ...] = ()
    spent: dict[str, float] = field(default_factory=dict)
    predicted: dict[str, float] = field(default_factory=dict)
    planned_at: float | None = None
    averaging: str = ""
    file: str = ""

    def __post_init__(self) -> None:
        if not set(self.row_sets) <= set(range(len(self.member_sets))):
            raise ValueError("a row has members that are not noted")

    @property
    def answered(self) -> bool:
        """Whether a model predicted every row, though maybe fewer models than were planned."""
        noted = bool(self.row_sets) and all(self.member_sets[one] for one in self.row_sets)
        return (self.completed or noted) and not self.prior_rows


def new_sidecar(
    ensemble: Ensemble,
    believed: Estimate,
    rows: int,
    *,
    inputs: str,
    budget_seconds: float | None = None,
) -> Sidecar:
    """Of so many rows that all have the ensemble's members, without a second spent yet."""
    bounds = score_bounds(ensemble.metric)
    believed = believed.within(*bounds)
    expected = believed.for_new_rows(ensemble.rows, rows).within(*bounds)
    return Sidecar(
        ensemble=ensemble.digest,
        method=ensemble.method,
        metric=ensemble.metric,
        nested=believed.value,
        low=believed.low,
        high=believed.high,
        expected_low=expected.low,
        expected_high=expected.high,
        members=ensemble.used,
        folds=ensemble.folds,
        rows=rows,
        prior_rows=(),
        seconds=0.0,
        budget_seconds=budget_seconds,
        inputs=inputs,
    )


def write_submission(path: Path, csv: str, sidecar: Sidecar) -> None:
    """Replace the CSV, then the sidecar; until then the old one does not fit and is not read."""
    write_text(path, csv)
    write_sidecar(path, replace(sidecar, file=digest(csv)))


def write_sidecar(path: Path, sidecar: Sidecar) -> None:
    """Write the sidecar of a submission CSV."""
    rows = json.dumps(sidecar.row_sets)  # a number for each row: not a line, nor a copy, for each
    values = asdict(replace(sidecar, row_sets=()))
    del values["row_sets"]
    text = json.dumps(values, indent=2, ensure_ascii=False)[:-2]
    write_json(sidecar_path(path), f'{text},\n  "row_sets": {rows}}}')


def read_sidecar(path: Path) -> Sidecar | None:
    """The sidecar of a submission CSV; None where there is no sound one of this very file."""
    try:
        sidecar = read_record(Sidecar, sidecar_path(path), missing="is missing", fix="")
        return sidecar if path.is_file() and sidecar.file == digest(path.read_bytes()) else None
    except (WorkspaceError, OSError):
        return None


def sidecar_path(path: Path) -> Path:
    """<name>.json beside <name>.csv."""
    return path.with_suffix(".json")
