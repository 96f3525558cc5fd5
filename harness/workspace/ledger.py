"""The ledger: every submission, what was believed of it and what it scored (SQLite)."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter

from harness.errors import WorkspaceError
from harness.files import database_to_write
from harness.records import reading
from harness.workspace.submissions import Sidecar

SCHEMA_VERSION = 3
_FIX = "move it away; a new one is begun"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS submission (
    name           TEXT PRIMARY KEY,
    recorded       TEXT NOT NULL,  -- UTC, ISO 8601
    file_digest    TEXT NOT NULL,
    ensemble       TEXT NOT NULL,
    folds          TEXT NOT NULL,
    method         TEXT NOT NULL,
    members        TEXT NOT NULL,  -- joined by spaces
    metric         TEXT NOT NULL,
    nested         REAL NOT NULL,
    low            REAL NOT NULL,
    high           REAL NOT NULL,
    rows           INTEGER NOT NULL,
    seconds        REAL NOT NULL,
    budget_seconds REAL,
    local_score    REAL,           -- by `grade`, against a solution on this machine
    expected_low   REAL,           -- 95 % of scores on so many new rows; none from layout 1
    expected_high  REAL
)
"""
_UPLOAD = """
CREATE TABLE IF NOT EXISTS upload (
    digest        TEXT PRIMARY KEY,  -- the file's; stands in the message at Kaggle, too
    name          TEXT NOT NULL,
    made          TEXT NOT NULL,     -- UTC, ISO 8601
    status        TEXT NOT NULL,     -- unconfirmed, pending, complete, error
    ref           INTEGER,           -- Kaggle's number; NULL while nobody knows of one
    public_score  REAL,
    private_score REAL,
    error         TEXT NOT NULL
)
"""
_STANDING = """
CREATE TABLE IF NOT EXISTS standing (
    taken   TEXT NOT NULL,           -- UTC, ISO 8601
    today   INTEGER NOT NULL,
    allowed INTEGER NOT NULL,
    scores  TEXT NOT NULL            -- of all teams, a JSON list, the best first
)
"""
_FROM_LAYOUT_2 = (_UPLOAD, _STANDING)
_FROM_LAYOUT_1 = (
    "ALTER TABLE submission ADD COLUMN expected_low REAL",
    "ALTER TABLE submission ADD COLUMN expected_high REAL",
    *_FROM_LAYOUT_2,
)
_MIGRATIONS = {0: (_SCHEMA, *_FROM_LAYOUT_2), 1: _FROM_LAYOUT_1, 2: _FROM_LAYOUT_2}


@dataclass(frozen=True)
class Entry:
    """One submission; the fields are the table's columns."""

    name: str
    recorded: str
    file_digest: str
    ensemble: str
    folds: str
    method: str
    members: str
    metric: str
    nested: float
    low: float
    high: float
    rows: int
    seconds: float
    budget_seconds: float | None
    local_score: float | None
    expected_low: float | None
    expected_high: float | None

    @property
    def expected(self) -> tuple[float, float] | None:
        """95 % of scores on so many new rows; None if that is not known."""
        if self.expected_low is None or self.expected_high is None:
            return None
        return self.expected_low, self.expected_high

    @property
    def place(self) -> str | None:
        """Whether the local score is "inside", "below" or "above" what was expected."""
        if self.local_score is None or self.expected is None:
            return None
        low, high = self.expected
        if low <= self.local_score <= high:
            return "inside"
        return "below" if self.local_score < low else "above"


Row = TypeVar("Row")

UNCONFIRMED = "unconfirmed"
"""The status of an upload that nobody knows to have arrived."""


@dataclass(frozen=True)
class Upload:
    """A submission at Kaggle; the fields are the table's columns.

    ``digest`` is that of the submission's file, or "ref:<number>" of one made without the harness.
    """

    digest: str
    name: str
    made: str
    status: str
    ref: int | None = None
    public_score: float | None = None
    private_score: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Standing:
    """The competition as last seen: submissions made and left today, all teams' scores."""

    taken: str
    today: int
    allowed: int
    scores: tuple[float, ...]


def utc_now() -> str:
    """Now, as the ledger writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


class Ledger:
    """submissions/board.sqlite; ``wait`` seconds for a process that locks it, then an error."""

    def __init__(self, path: Path, wait: float = 5.0) -> None:
        self.path, self.wait = path, wait

    def record(self, name: str, file_digest: str, sidecar: Sidecar) -> bool:
        """Enter a submission; False, and nothing changes, if it stands there already."""
        with self._connect() as connection:
            old = connection.execute(
                "SELECT file_digest FROM submission WHERE name = ?", (name,)
            ).fetchone()
            if old == (file_digest,):
                return False
            entry = Entry(
                name=name,
                recorded=utc_now(),
                file_digest=file_digest,
                ensemble=sidecar.ensemble,
                folds=sidecar.folds,
                method=sidecar.method,
                members=" ".join(sidecar.members),
                metric=sidecar.metric,
                nested=sidecar.nested,
                low=sidecar.low,
                high=sidecar.high,
                rows=sidecar.rows,
                seconds=sidecar.seconds,
                budget_seconds=sidecar.budget_seconds,
                local_score=None,
                expected_low=sidecar.expected_low,
                expected_high=sidecar.expected_high,
            )
            # what Kaggle has keeps its row, under a name that tells it from the new file's
            connection.execute(
                "UPDATE submission SET name = name || '@' || recorded WHERE name = ? "
                "AND file_digest IN (SELECT digest FROM upload)",
                (name,),
            )
            _replace(connection, "submission", vars(entry))
            return True

    def record_score(self, name: str, score: float) -> None:
        """Note a submission's local score, if the ledger knows the submission."""
        if not self.path.exists():
            return
        with self._connect() as connection:
            connection.execute(
                "UPDATE submission SET local_score = ?1 WHERE name = ?2 AND local_score IS NOT ?1",
                (score, name),
            )

    def entries(self) -> list[Entry]:
        """All submissions, the oldest first."""
        return self._rows(Entry, "submission ORDER BY recorded, name")

    def keep_uploads(self, *uploads: Upload) -> None:
        """Enter what is known of uploads, in place of what was known before: of all or of none."""
        with self._connect() as connection:
            for upload in uploads:
                _replace(connection, "upload", vars(upload))

    def forget_uploads(self, *digests: str) -> None:
        """Strike out uploads that are known not to have been made."""
        with self._connect() as connection:
            for digest in digests:
                connection.execute("DELETE FROM upload WHERE digest = ?", (digest,))

    def uploads(self) -> list[Upload]:
        """All uploads, the oldest first."""
        return self._rows(Upload, "upload ORDER BY made, ref, digest")

    def keep_standing(self, standing: Standing) -> None:
        """Enter how the competition stands, in place of how it stood before."""
        with self._connect() as connection:
            connection.execute("DELETE FROM standing")
            values = vars(standing) | {"scores": json.dumps(standing.scores)}
            _replace(connection, "standing", values)

    def standing(self) -> Standing | None:
        """How the competition was last seen to stand; None if it never was."""
        return next(iter(self._rows(Standing, "standing")), None)

    def _rows(self, kind: type[Row], table: str) -> list[Row]:
        """The table's rows, checked: SQLite keeps anything in any column."""
        if not self.path.exists():
            return []
        with self._connect() as connection, reading(self.path, _FIX):
            connection.row_factory = sqlite3.Row
            rows = [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]
            for row in rows:
                row |= {"scores": tuple(json.loads(row["scores"]))} if "scores" in row else {}
            every = TypeAdapter(list[kind])  # type: ignore[valid-type]
            return every.validate_json(json.dumps(rows), strict=True, extra="forbid")

    @contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """A connection with its transaction: all of what happens in it, or nothing."""
        path = database_to_write(self.path)
        try:
            with closing(sqlite3.connect(path, timeout=self.wait)) as connection, connection:
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version in _MIGRATIONS:
                    for statement in _MIGRATIONS[version]:
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
                elif version != SCHEMA_VERSION:
                    raise WorkspaceError(
                        self.path, f"has the layout {version}", "use the harness that wrote it"
                    )
                yield connection
        except sqlite3.DatabaseError as error:
            found, fix = f"is no sound ledger ({error})", _FIX
            # a full disk, another process's lock; what SQL itself refuses is a table's damage
            passing = error.sqlite_errorcode != sqlite3.SQLITE_ERROR
            if isinstance(error, sqlite3.OperationalError) and passing:
                found, fix = (
                    f"cannot be used ({error})",
                    "the submission stands; run it again later",
                )
            raise WorkspaceError(self.path, found, fix) from error


def _replace(connection: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    names = ", ".join(values)
    marks = ", ".join(f":{column}" for column in values)
    connection.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", values)
