"""What users can mend is one line and exit code 2, whatever is damaged, full, closed or odd."""

import json
import os
import shutil
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import CLASSES, edit

from harness.audit.look import cached_looks
from harness.audit.review import Review, ReviewServer
from harness.cli import main, steps
from harness.errors import as_user_error
from harness.kaggle.credentials import find_credentials
from harness.metrics import METRICS
from harness.predict.machine import fingerprint
from harness.workspace.ledger import Ledger, Upload

Harness = Callable[..., int]
Captured = pytest.CaptureFixture[str]
ROOT = str(Path(__file__).parents[2])


def told(capsys: Captured) -> str:
    """The only line on standard error."""
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def process(
    *arguments: object, folder: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """A command in a process of its own."""
    return subprocess.run(
        [os.fsencode(str(part)) for part in (sys.executable, "-m", "harness", *arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": ROOT, **environment},
        capture_output=True,
        check=False,
    )


@pytest.fixture
def folded(workspace: Path, harness: Harness, capsys: Captured) -> Path:
    assert harness("fold") == 0
    capsys.readouterr()
    return workspace


def write_member(path: Path, workspace: Path, **columns: object) -> None:
    """Predictions of another tool; ``columns`` take the place of its own."""
    rows = [line.split(",") for line in (workspace / "folds/folds.csv").read_text().split()[1:]]
    own: dict[str, object] = {"id": [row[0] for row in rows], "fold": [int(row[1]) for row in rows]}
    table = pa.table({**own, **dict.fromkeys(CLASSES, [1 / 3] * len(rows)), **columns})
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path)


@pytest.mark.parametrize("content", [b"", b"PAR1 no PAR1", b"\x00\x00\x00"])
def test_a_damaged_file_of_predictions(
    folded: Path, harness: Harness, capsys: Captured, content: bytes
) -> None:
    (folded / "oof").mkdir()
    (folded / "oof/tuned.parquet").write_bytes(content)
    for arguments in (["stack"], ["review", "--list"]):
        assert harness(*arguments) == 2
        assert "tuned.parquet: cannot be read (" in told(capsys)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"id": [["a"]] * 30}, "one of list<"),
        ({"id": [b"\xff"] * 30}, "Invalid UTF8"),
        ({"ant": [["a"]] * 30}, "two columns 'ant', or one of list<"),
    ],
)
def test_predictions_of_strange_types(
    folded: Path, harness: Harness, capsys: Captured, columns: dict[str, object], expected: str
) -> None:
    write_member(folded / "oof/mine.parquet", folded, **columns)
    assert harness("stack") == 2
    assert expected in told(capsys)


def test_a_note_in_predictions_that_is_no_text(
    folded: Path, harness: Harness, capsys: Captured
) -> None:
    path = folded / "oof/mine.parquet"
    write_member(path, folded)
    pq.write_table(pq.read_table(path).replace_schema_metadata({"harness.task": b"\xff"}), path)
    assert harness("stack") == 2
    assert "mine.parquet: cannot be read ('utf-8' codec" in told(capsys)


def test_folders_name_no_columns(workspace: Path, capsys: Captured) -> None:
    moved = Path(shutil.move(workspace, workspace.with_name("fold=1")))
    assert main(["fold", "-C", str(moved)]) == 0
    write_member(moved / "oof/mine.parquet", moved)
    assert main(["stack", "-C", str(moved)]) == 2
    assert "column 'ant' holds 0.3333 in every row" in told(capsys)


@pytest.mark.parametrize(
    "speed", ["fast", ["fp32"], {"x": 1}, {"precision": "fp99"}, {"pieces": "a"}, {"pieces": 0}]
)
def test_a_speed_that_is_none(
    folded: Path, harness: Harness, capsys: Captured, speed: object
) -> None:
    model = {"name": "tuned", "backbone": "test_resnet", "weights": "none", "image_size": 32}
    identity = {"model": model, "task": "multiclass", "targets": CLASSES, "folds": "x"}
    circumstances = {"fingerprint": fingerprint(), "speed": speed}
    path = folded / "models/tuned/run.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"identity": identity, "circumstances": circumstances}))
    for arguments in (["train", "--only", "tuned"], ["train", "--from", str(path)]):
        assert harness(*arguments) == 2
        assert "circumstances.speed: is damaged (" in (said := told(capsys))
        assert "remove it: it is measured again" in said


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no", None])
def test_what_the_audit_keeps_is_made_again(workspace: Path, damage: bytes | None) -> None:
    paths = sorted((workspace / "data/images").glob("*.png"))[:3]
    cache = workspace / ".cache/audit"
    first = cached_looks(paths, None, "", cache)
    (file,) = cache.glob("*.npz")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    again = cached_looks(paths, None, "", cache)
    assert all(
        np.array_equal(one, other)
        for one, other in zip(vars(first).values(), vars(again).values(), strict=True)
    )
    assert file.read_bytes() == whole


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("UPDATE upload SET public_score = 'x'", "public_score"),
        ("ALTER TABLE upload ADD COLUMN more TEXT", "more"),
        ("INSERT INTO standing VALUES ('now', 1, 2, 'no JSON')", "cannot be read (Expecting value"),
        ("INSERT INTO standing VALUES ('now', 1, 2, '[\"x\"]')", "scores"),
        ("DROP TABLE upload", "no such table"),
    ],
)
def test_a_ledger_that_holds_something_else(
    workspace: Path, harness: Harness, capsys: Captured, statement: str, expected: str
) -> None:
    path = workspace / "submissions/board.sqlite"
    Ledger(path).keep_uploads(Upload("digest", "name", "2026-01-01", "complete", 1, 0.5))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    assert harness("board") == 2
    assert expected in (said := told(capsys))
    assert "board.sqlite: " in said
    assert "move it away; a new one is begun" in said


def test_memory_that_is_used_up(
    workspace: Path, harness: Harness, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "fold", lambda *_, **__: np.empty(1 << 60, np.int8))
    assert harness("fold") == 2
    assert "memory: is used up (Unable to allocate 1.00 EiB" in told(capsys)


def test_a_reader_that_ends_too_early_is_no_wish_to_stop(
    harness: Harness, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Typer takes an EOFError, as of an empty file, for Ctrl-D."""

    def fold(*_: object, **__: object) -> None:
        raise EOFError("Ran out of input")

    monkeypatch.setattr(steps, "fold", fold)
    assert harness("fold") == 1
    assert "bug: EOFError: Ran out of input" in capsys.readouterr().err


def test_no_folder_for_temporary_files(
    harness: Harness, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/nowhere"])
    monkeypatch.setattr(steps, "fold", lambda *_, **__: tempfile.mkdtemp())
    assert harness("fold") == 2
    assert "set TMPDIR to a folder that can be written to" in told(capsys)
    monkeypatch.setattr(steps, "fold", lambda *_, **__: 1 // 0)
    assert harness("fold") == 1
    said = capsys.readouterr().err
    assert "in fold\n" in said
    assert said.splitlines()[-1].startswith("bug: ZeroDivisionError: ")


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    code = "import os, sys; os.rmdir(os.getcwd()); from harness.cli import main; sys.exit(main())"
    (gone := tmp_path / "gone").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, "fold"],
        cwd=gone,
        env={**os.environ, "PYTHONPATH": ROOT},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: ")


def test_nobody_knows_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name == "HOME" or name.startswith("KAGGLE"):
            monkeypatch.delenv(name)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as where no user is known
    with pytest.raises(Exception, match="there are no credentials"):
        find_credentials()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_without_our_letters(workspace: Path, encoding: str) -> None:
    for table in ("train", "sample_submission"):
        edit(workspace / f"data/{table}.csv", "ant", "→蟻")
    done = process("data", folder=workspace, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\\u2192\\u87fb" in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_path_that_is_no_utf_8(workspace: Path, capsys: Captured) -> None:
    moved = workspace.rename(os.fsdecode(os.fsencode(workspace) + b"\xff"))
    code = main(["fold", "-C", str(moved)])
    assert code in (0, 2)
    if code:
        assert "rename that file or folder" in told(capsys)
    with pytest.raises(UnicodeEncodeError) as raised:
        "a\udcff".encode()
    assert (
        str(as_user_error(raised.value))
        == "a\udcff: cannot be written as utf-8; rename that file or folder"
    )


def test_a_study_below_any_path(workspace: Path, tmp_path: Path) -> None:
    from harness.tune.study import _storage

    root = tmp_path / "a?b %20 {id} #x"
    root.mkdir()
    _storage("tune/study.sqlite", root)
    assert [path.name for path in root.rglob("*.sqlite")] == ["study.sqlite"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [root.name, workspace.name]


def test_suggested_commands_are_for_the_workspace_that_was_given(
    workspace: Path, capsys: Captured
) -> None:
    moved = Path(shutil.move(workspace, workspace.with_name("my data")))
    assert main(["train", "-C", str(moved)]) == 2
    assert f"run `python -m harness fold -C '{moved}'`" in told(capsys)
    text = "run `python -m harness train --retrain x`, then `python -m harness init DIR`"
    expected = "run `python -m harness train --retrain x -C w`, then `python -m harness init DIR`"
    assert steps.with_root(text, Path("w")) == expected
    assert steps.with_root(text, Path()) == text


def test_a_browser_that_goes_away(tmp_path: Path, capsys: Captured) -> None:
    """Its connection is reset in the middle of an answer; so is a nonsensical request answered."""
    server = ReviewServer(Review([], [], [], tmp_path / "corrections.csv"))
    with server, socket.create_connection(server.server_address[:2]) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        client.close()  # at once, with a reset
        server.handle_request()
        server.server_close()  # waits for the thread
    assert capsys.readouterr().err == ""


def test_a_score_that_is_none_is_said_in_words() -> None:
    metric = METRICS["roc_auc"]
    score = metric.score(np.zeros(4, int), np.full((4, 2), 0.5))
    assert metric.said(score) == (
        "no roc_auc (on these rows it has no value, as on rows of one class)"
    )
    assert metric.said(0.25) == "roc_auc 0.2500"
