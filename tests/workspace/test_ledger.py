"""The ledger: entered once, scored, never silently replaced by garbage."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import WorkspaceError
from harness.workspace.ledger import Ledger, Standing, Upload
from harness.workspace.submissions import Sidecar

SIDECAR = Sidecar(
    ensemble="e",
    method="mean",
    metric="log_loss",
    nested=0.5,
    low=0.4,
    high=0.6,
    expected_low=0.3,
    expected_high=0.7,
    members=("a", "b"),
    folds="f",
    rows=3,
    prior_rows=(),
    seconds=1.5,
    budget_seconds=None,
    inputs="i",
)


LAYOUT_1 = """
CREATE TABLE submission (
    name TEXT PRIMARY KEY, recorded TEXT NOT NULL, file_digest TEXT NOT NULL,
    ensemble TEXT NOT NULL, folds TEXT NOT NULL, method TEXT NOT NULL, members TEXT NOT NULL,
    metric TEXT NOT NULL, nested REAL NOT NULL, low REAL NOT NULL, high REAL NOT NULL,
    rows INTEGER NOT NULL, seconds REAL NOT NULL, budget_seconds REAL, local_score REAL
)
"""


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


@pytest.mark.parametrize(
    ("score", "place"), [(0.5, "inside"), (0.3, "inside"), (0.29, "below"), (0.71, "above")]
)
def test_where_a_score_lies(score: float, place: str, tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "board.sqlite")
    ledger.record("one", "digest", SIDECAR)
    assert ledger.entries()[0].place is None
    ledger.record_score("one", score)
    assert ledger.entries()[0].place == place


def test_a_ledger_of_layout_1_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "board.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(LAYOUT_1)
        connection.execute(
            "INSERT INTO submission VALUES ('old', '2026-01-01', 'd', 'e', 'f', 'mean', 'a b', "
            "'log_loss', 0.5, 0.4, 0.6, 3, 1.5, NULL, NULL)"
        )
        connection.execute("PRAGMA user_version = 1")
    (old,) = Ledger(path).entries()
    assert old.name == "old"
    assert old.expected is None
    Ledger(path).record_score("old", 0.5)
    Ledger(path).record("newer", "digest", SIDECAR)
    old, newer = Ledger(path).entries()
    assert old.local_score == 0.5
    assert old.place is None
    assert newer.expected == (0.3, 0.7)


def test_a_ledger_of_layout_2_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "board.sqlite"
    Ledger(path).record("old", "digest", SIDECAR)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE upload")
        connection.execute("DROP TABLE standing")
        connection.execute("PRAGMA user_version = 2")
    assert Ledger(path).uploads() == []
    assert Ledger(path).standing() is None
    assert [entry.name for entry in Ledger(path).entries()] == ["old"]


def test_uploads_and_the_standing_are_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "board.sqlite")
    assert ledger.uploads() == []
    sent = Upload("digest", "one", "2026-01-01", "pending", 7)
    ledger.keep_uploads(sent)
    ledger.keep_uploads(scored := replace(sent, status="complete", public_score=0.4))
    assert ledger.uploads() == [scored]
    ledger.forget_uploads("digest")
    assert ledger.uploads() == []
    for allowed in (5, 4):
        standing = Standing("2026-01-01", 5 - allowed, allowed, (0.9, 0.8))
        ledger.keep_standing(standing)
    assert ledger.standing() == standing


def test_what_was_uploaded_keeps_its_row(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "board.sqlite")
    ledger.record("one", "digest", SIDECAR)
    ledger.keep_uploads(Upload("digest", "one", "2026-01-01", "pending", 7))
    ledger.record("one", "other digest", SIDECAR)
    uploaded, newer = sorted(ledger.entries(), key=lambda entry: entry.file_digest)
    assert uploaded.name.startswith("one@")
    assert newer.name == "one"


def test_a_damaged_ledger_is_named_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "board.sqlite"
    path.write_bytes(b"this is no database, and it is long enough to be looked at" * 20)
    with pytest.raises(WorkspaceError, match="is no sound ledger"):
        Ledger(path).entries()
    assert path.read_bytes().startswith(b"this is no")
