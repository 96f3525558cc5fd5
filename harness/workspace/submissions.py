"""submissions/<name>.csv with its sidecar <name>.json."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import WorkspaceError
from harness.files import write_text


@dataclass(frozen=True)
class Sidecar:
    """Where a submission came from. ``seconds`` count from the start of the process.

    ``prior_rows`` are the ids whose image could not be read and that got the prior; all others
    were predicted by every one of ``members``. ``inputs`` is the digest of all that it came from.
    """

    ensemble: str
    method: str
    metric: str
    nested: float
    low: float
    high: float
    members: tuple[str, ...]
    folds: str
    rows: int
    prior_rows: tuple[str, ...]
    seconds: float
    budget_seconds: float | None
    inputs: str


def write_submission(path: Path, csv: str, sidecar: Sidecar) -> None:
    """Write the CSV, then the sidecar, which says that it is whole."""
    sidecar_path(path).unlink(missing_ok=True)  # it described the file that goes now
    write_text(path, csv)
    text = json.dumps(asdict(sidecar), indent=2, ensure_ascii=False)
    write_text(sidecar_path(path), text + "\n")


def read_sidecar(path: Path) -> Sidecar | None:
    """The sidecar of a submission CSV; None where there is none."""
    note = sidecar_path(path)
    try:
        values: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
        for name in ("members", "prior_rows"):
            values[name] = tuple(values[name])
        return Sidecar(**values)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(note, f"is damaged ({error})", "remove it and submit again") from error


def sidecar_path(path: Path) -> Path:
    """<name>.json beside <name>.csv."""
    return path.with_suffix(".json")
