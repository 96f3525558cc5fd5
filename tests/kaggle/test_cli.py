"""The verbs against the contract server, and the official command line against the same."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
from contract_server import KEY, TOKEN
from contract_server import Kaggle as Server
from test_download import zipped
from tiny import edit

from harness.cli import main
from harness.files import file_digest, write_text
from harness.kaggle.kernel import Kernel, notebook, write_metadata
from harness.workspace.ledger import Ledger
from harness.workspace.submissions import Sidecar, write_submission

Harness = Callable[..., int]
CSV = "id,ant,bee,cat\n" + "".join(f"0{i},0.2,0.3,0.5\n" for i in range(30, 39))
SIDECAR = Sidecar(
    "e", "mean", "log_loss", 0.5, 0.4, 0.6, 0.3, 0.7, ("a",), "f", 9, (), 1.5, None, ""
)


@pytest.fixture
def entered(workspace: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace of the server's competition with a submission, which `submit` finds made."""
    edit(workspace / "competition.toml", 'name = "tiny"', 'name = "tiny"\nkaggle = "leaves"')
    path = workspace / "submissions/first.csv"
    write_submission(path, CSV, SIDECAR)
    Ledger(workspace / "submissions/board.sqlite").record("first", file_digest(path), SIDECAR)
    monkeypatch.setattr("harness.cli.steps.submit", lambda *_: (path, False))
    monkeypatch.setattr("time.sleep", lambda _: None)
    return workspace


def test_data_comes_from_kaggle(
    entered: Path, server: Server, harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {p.relative_to(entered / "data"): p.read_bytes() for p in entered.rglob("data/**/*.*")}
    server.archive = zipped({path.as_posix(): content for path, content in files.items()})
    server.files = {path.as_posix(): len(content) for path, content in files.items()}
    for path in files:
        (entered / "data" / path).unlink()
    assert harness("data", "--kaggle") == 0
    assert "fetched the files of leaves" in capsys.readouterr().out
    assert harness("data", "--kaggle") == 0
    assert "unchanged: the files of leaves" in capsys.readouterr().out


def test_a_submission_goes_to_kaggle_and_its_score_comes_back(
    entered: Path, server: Server, harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    server.score = lambda _: {"status": "COMPLETE", "publicScore": "0.48"}
    server.teams = [0.1, 0.2, 0.47, 0.6, 0.7]
    assert harness("submit", "--kaggle", "--wait") == 0
    out = capsys.readouterr().out
    assert "submitted first (number 1000)" in out
    assert "first scores public 0.48000" in out
    assert harness("submit", "--kaggle") == 0
    assert "unchanged: Kaggle has first" in capsys.readouterr().out
    assert len(server.submissions) == 1
    assert harness("board", "sync") == 0
    assert "1 submissions, 1 of them scored; 5 teams" in capsys.readouterr().out
    assert harness("board") == 0
    table = capsys.readouterr().out
    assert "0.4800" in table
    assert "4 submissions left today, 1 made" in table
    assert harness("board", "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["rank"], row["medal"], row["ref"]) == (4, None, 1000)
    assert harness("board", "--csv") == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("first,")


def test_a_failed_submission_says_why(
    entered: Path, server: Server, harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    server.score = lambda _: {"status": "ERROR", "errorDescription": "Submission must have 9 rows"}
    assert harness("submit", "--kaggle", "--wait") == 2
    assert "first failed: Submission must have 9 rows" in capsys.readouterr().err


def test_without_credentials_or_a_slug_one_line_says_what_to_do(
    entered: Path,
    harness: Harness,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("KAGGLE_KEY")
    assert harness("submit", "--kaggle") == 2
    assert "there are no credentials; make an API token" in capsys.readouterr().err
    edit(entered / "competition.toml", '\nkaggle = "leaves"', "")
    assert harness("board", "sync") == 2
    assert 'add kaggle = "its-slug" under [competition]' in capsys.readouterr().err


def test_two_processes_do_not_submit_at_once(
    entered: Path, server: Server, harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    from filelock import FileLock

    with FileLock(entered / "submissions/.kaggle.lock"):
        assert harness("submit", "--kaggle") == 2
    assert "another process is submitting" in capsys.readouterr().err
    assert server.submissions == []


def test_no_secret_is_told(
    entered: Path,
    server: Server,
    harness: Harness,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VERBOSE", "true")  # the official client prints its requests then
    server.faults["CreateSubmission"] = ["reset before"]
    assert harness("submit", "--kaggle", "--verbose") == 2
    monkeypatch.setenv("KAGGLE_API_TOKEN", TOKEN)
    server.faults["PUT"] = ["500"] * 9
    assert harness("submit", "--kaggle", "--verbose") == 2
    told = "".join(capfd.readouterr())
    assert "Traceback" in told
    for secret in (KEY, TOKEN, "Authorization", "blob/"):
        assert secret not in told


def test_the_official_command_line_finds_the_server_as_it_finds_kaggle(
    server: Server, tmp_path: Path
) -> None:
    server.teams = [0.9]
    server.archive = zipped({"train.csv": b"id,label\n1,a"})
    path = tmp_path / "submission.csv"
    path.write_text("id,label\n1,a\n", encoding="utf-8")

    def official(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "kaggle", "competitions", *arguments],
            env={**os.environ, "no_proxy": "", "NO_PROXY": ""},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "Successfully submitted" in official(
        "submit", "leaves", "-f", str(path), "-m", "by the official client"
    )
    assert server.submissions[0]["description"] == "by the official client"
    assert "0.9" in official("leaderboard", "leaves", "--show")
    official("download", "leaves", "-p", str(tmp_path / "there"))
    assert (tmp_path / "there/leaves.zip").read_bytes() == server.archive
    assert server.submissions[0]["totalBytes"] == path.stat().st_size


def test_board_sync_enters_what_others_submitted(
    entered: Path, server: Server, harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    server.submissions.append(
        {"ref": 7, "date": "2026-01-01T00:00:00Z", "description": "by hand", "fileName": "b.csv"}
    )
    assert harness("board", "sync") == 0
    (upload,) = Ledger(entered / "submissions/board.sqlite").uploads()
    assert (upload.digest, upload.name, upload.made[:10]) == ("ref:7", "b.csv", "2026-01-01")
    assert main(["board", "-C", str(entered)]) == 0
    assert "b.csv" in capsys.readouterr().out


def test_a_kernel_goes_to_kaggle_and_its_version_is_submitted(
    entered: Path, server: Server, harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel = Kernel(entered / "kernel/code", entered / "kernel/data", "ann/leaves-harness", "ann/d")
    write_metadata(kernel, "leaves", gpu=True)
    write_text(kernel.code / "notebook.ipynb", json.dumps(notebook('"""About."""\nprint()\n')))
    write_text(kernel.data / "workspace.zip", "weights")
    assert harness("submit", "--kernel") == 2
    assert "nothing was pushed yet; run `python -m harness kernel push" in capsys.readouterr().err
    assert harness("kernel", "push") == 0
    assert "pushed ann/leaves-harness, version 1" in capsys.readouterr().out
    server.kernel_runs = [{"status": "RUNNING"}, {"status": "RUNNING"}, {"status": "COMPLETE"}]
    assert harness("submit", "--kernel") == 2
    assert "ann/leaves-harness is running; wait, or say --wait" in capsys.readouterr().err
    write_text(entered / "kernel/build.json", json.dumps(asdict(SIDECAR)))
    assert harness("kernel", "status", "--wait") == 0
    server.score = lambda _: {"status": "COMPLETE", "publicScore": "0.5"}
    assert harness("submit", "--kernel", "--wait") == 0
    assert "leaves-harness-v1 scores public 0.50000" in capsys.readouterr().out
    assert harness("submit", "--kernel") == 0
    assert len(server.submissions) == 1
    entries = {e.name: e for e in Ledger(entered / "submissions/board.sqlite").entries()}
    assert entries["leaves-harness-v1"].nested == SIDECAR.nested
    server.kernel_output, server.kernel_log = {"submission.csv": b"id\n"}, "done"
    assert harness("kernel", "output") == 0
    assert (entered / "kernel/output/submission.csv").read_bytes() == b"id\n"
    server.kernel_runs = [{"status": "ERROR", "failureMessage": "out of memory"}]
    assert harness("kernel", "status") == 2
    assert "ended with error (out of memory)" in capsys.readouterr().err
