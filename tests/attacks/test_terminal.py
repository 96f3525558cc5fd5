"""What data say reaches the terminal as text; the review page's secret reaches no command line."""

import io
import json
import sqlite3
import stat
import webbrowser
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import pytest
from board.test_tables import ENTRY
from rich.table import Table
from stack.test_make import bring
from tiny import edit

from harness.audit.review import ReviewServer
from harness.cli import audit
from harness.display import Display, PlainConsole
from harness.workspace import Workspace
from harness.workspace.ledger import Ledger, Upload, _replace

Harness = Callable[..., int]

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"


def harmless(text: str) -> bool:
    return all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize("terminal", [True, False])
def test_no_table_carries_an_escape_to_the_terminal(terminal: bool) -> None:
    table = Table(ESCAPES, title=ESCAPES)
    table.add_row(ESCAPES)
    table.add_row("[link=http://x]:cat:[/]")  # neither markup nor an emoji
    table.add_row("[/x]")  # which would be an error
    lines = io.StringIO()
    display = Display(
        PlainConsole(file=lines, width=200, force_terminal=terminal, color_system=None)
    )
    display.show(table)
    display.say(ESCAPES)
    with display.progress(ESCAPES, 2) as advance:
        advance(1, ESCAPES)
    text = lines.getvalue()
    assert not any(part in text for part in ("\x1b]", "\x07", "\x1b[2J", "\x9b", "\u202e"))
    assert "\\x1b]0;owned\\x07" in text
    assert "[link=http://x]:cat:[/]" in text
    if not terminal:
        assert harmless(text)


def test_the_name_of_an_oof_file(
    workspace: Path, harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(workspace / "competition.toml", '"mean", "weighted"', '"mean"')
    assert harness("fold") == 0
    for seed, name in enumerate(("plain", ESCAPES)):
        bring(workspace, name, seed=seed)
    capsys.readouterr()
    assert harness("stack", "--all") == 0
    said = capsys.readouterr()
    assert "x1b]0;owned" in "".join(said.out.split("\n"))
    assert harmless(said.out + said.err)


@pytest.mark.parametrize("options", [[], ["--csv"], ["--json"]])
@pytest.mark.parametrize("uploaded", [True, False])
def test_a_name_in_the_ledger(
    workspace: Path,
    harness: Harness,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    uploaded: bool,
) -> None:
    ledger = Ledger(Workspace.open(workspace).board)
    ledger.keep_uploads(*[Upload("digest", ESCAPES, "now", "error", 1, error=ESCAPES)] * uploaded)
    with closing(sqlite3.connect(ledger.path)) as connection, connection:
        _replace(connection, "submission", {**vars(ENTRY), "name": ESCAPES})
    assert harness("board", *options) == 0
    said = capsys.readouterr()
    assert "owned" in said.out
    assert harmless(said.out + said.err)
    if options == ["--json"]:
        assert json.loads(said.out)["rows"][0]["name"] == ESCAPES


def test_the_secret_of_the_review_page_is_on_no_command_line(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doubts = SimpleNamespace(members=(), doubted=1, rows=1, wrong=0, found=(1,), labels=())
    monkeypatch.setattr("harness.audit.suspects.read_doubts", lambda *_, **__: doubts)
    monkeypatch.setattr("harness.audit.suspects.image_paths", lambda *_: ())
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)

    def serve(server: ReviewServer) -> None:
        (address,) = opened
        assert server.token not in address
        page = Path(unquote(urlsplit(address).path))
        assert f"url={server.address}" in page.read_text(encoding="utf-8")
        assert stat.S_IMODE(page.parent.stat().st_mode) == 0o700

    monkeypatch.setattr(ReviewServer, "serve_forever", serve)
    audit.review(Workspace.open(workspace), Display(), most=1, show=True, table=False)
    assert not Path(unquote(urlsplit(opened[0]).path)).exists()
