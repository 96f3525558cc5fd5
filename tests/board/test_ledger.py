"""The ledger: entered once, scored, never silently replaced by garbage."""

from pathlib import Path

import pytest

from harness.board.ledger import Ledger
from harness.errors import WorkspaceError
from harness.workspace.submissions import Sidecar

SIDECAR = Sidecar(
    ensemble="e",
    method="mean",
    metric="log_loss",
    nested=0.5,
    low=0.4,
    high=0.6,
    members=("a", "b"),
    folds="f",
    rows=3,
    prior_rows=(),
    seconds=1.5,
    budget_seconds=None,
    inputs="i",
)


def test_a_submission_is_entered_once_and_scored(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "board.sqlite")
    assert ledger.entries() == []
    assert ledger.record("one", "digest", SIDECAR)
    before = (tmp_path / "board.sqlite").read_bytes()
    assert not ledger.record("one", "digest", SIDECAR)
    assert (tmp_path / "board.sqlite").read_bytes() == before
    ledger.record_score("one", 0.45)
    ledger.record_score("unknown", 0.1)
    (entry,) = ledger.entries()
    assert entry.local_score == 0.45
    assert entry.members == "a b"


def test_a_new_file_of_the_same_name_loses_the_old_score(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "board.sqlite")
    ledger.record("one", "digest", SIDECAR)
    ledger.record_score("one", 0.45)
    assert ledger.record("one", "other digest", SIDECAR)
    assert ledger.entries()[0].local_score is None


def test_a_damaged_ledger_is_named_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "board.sqlite"
    path.write_bytes(b"this is no database, and it is long enough to be looked at" * 20)
    with pytest.raises(WorkspaceError, match="is no sound ledger"):
        Ledger(path).entries()
    assert path.read_bytes().startswith(b"this is no")
