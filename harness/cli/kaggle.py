"""What the verbs do with Kaggle: each step calls harness.kaggle and says what came of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.display import Display, harmless_lines

if TYPE_CHECKING:
    from harness.kaggle.seam import Kaggle
    from harness.kaggle.submission import Parcel
    from harness.workspace import Workspace
    from harness.workspace.ledger import Upload


def fetch(workspace: "Workspace", display: Display) -> None:
    """Download the competition's files into data/."""
    from harness.kaggle.download import fetch_data

    slug, kaggle = open_kaggle(workspace, display)
    folder = workspace.data_to_fill()
    made = fetch_data(kaggle, slug, folder, workspace.cache / "kaggle", display)
    display.say(f"data: {'fetched' if made else 'unchanged:'} the files of {slug} in {folder}")


def submit_file(workspace: "Workspace", display: Display, path: Path, *, wait: bool) -> None:
    """Submit a CSV file that the harness has written."""
    from harness.files import file_digest
    from harness.kaggle.submission import Parcel

    submit(workspace, display, Parcel(path.stem, file_digest(path), path), wait=wait)


def sync(workspace: "Workspace", display: Display) -> None:
    """Note the submissions' scores, the quota and the leaderboard."""
    from harness.kaggle.leaderboard import sync as sync_ledger
    from harness.workspace.ledger import Ledger

    slug, kaggle = open_kaggle(workspace, display)
    with _alone(workspace):
        found = sync_ledger(
            kaggle,
            Ledger(workspace.board),
            slug,
            greater_is_better=workspace.competition.metric.greater_is_better,
        )
    display.say(
        f"board: {found.submissions} submissions, {found.scored} of them scored; "
        f"{found.teams} teams"
    )
    for name in found.never_arrived:
        display.say(f"board: {name} never arrived at Kaggle: submit it again")


def board(
    workspace: "Workspace", display: Display, *, csv: bool, json: bool, plot: Path | None
) -> None:
    """The ledger: as tables and sentences, or all of it as CSV or JSON; and as a picture."""
    from harness.board.export import season_csv, season_json
    from harness.board.season import season
    from harness.board.tables import ledger_table, season_table
    from harness.workspace.ledger import Ledger, utc_now

    ledger, competition = Ledger(workspace.board), workspace.competition
    entries, uploads = ledger.entries(), ledger.uploads()
    found = season(
        [entry for entry in entries if entry.metric == competition.metric.name],
        uploads,
        ledger.standing(),
        _likeness(workspace),
        greater_is_better=competition.metric.greater_is_better,
        public_share=competition.competition.public_share,
        test_rows=competition.budget.test_rows,
        today=utc_now()[:10],
    )
    if plot:
        from harness.board.plot import plot_season

        plot_season(found, competition.metric.name, plot)
    if csv:
        print(harmless_lines(season_csv(found)), end="")
    elif json:
        print(season_json(found), end="")
    elif not found.rows:
        display.say("board: no submission yet")
    elif not uploads:
        display.show(ledger_table(entries, display.console.width))
    else:
        display.show(season_table(found.rows, display.console.width))
        for note in found.notes:
            display.say(note)
    if plot:
        display.say(f"board: wrote {plot}")


def _likeness(workspace: "Workspace") -> Callable[[str, str], float | None]:
    """How alike two submissions are, by their digests; None where a file is not there any more."""
    from functools import cache

    from harness.board.relation import similarity
    from harness.data.frame import read_frame
    from harness.files import file_digest

    @cache
    def files() -> dict[str, Path]:
        return {file_digest(path): path for path in workspace.submissions.glob("*.csv")}

    def likeness(one: str, other: str) -> float | None:
        if one not in files() or other not in files():
            return None
        id_column = workspace.competition.data.id
        tables = [read_frame(files()[digest]) for digest in (one, other)]
        a, b = (t.set_index(id_column if id_column in t else t.columns[0]) for t in tables)
        if set(a.index) != set(b.index) or list(a.columns) != list(b.columns):
            return None
        return similarity(a.to_numpy(dtype=object), b.loc[a.index].to_numpy(dtype=object))

    return likeness


def submit(workspace: "Workspace", display: Display, parcel: "Parcel", *, wait: bool) -> None:
    from harness.kaggle.submission import send, wait_for_score
    from harness.workspace.ledger import Ledger

    slug, kaggle = open_kaggle(workspace, display)
    ledger = Ledger(workspace.board)
    with _alone(workspace):
        upload, made = send(kaggle, ledger, slug, parcel)
    did = "submitted" if made else "unchanged: Kaggle has"
    display.say(f"submit: {did} {parcel.name} (number {upload.ref})")
    if wait:
        upload = wait_for_score(kaggle, ledger, upload, time.sleep)
    _say_score(display, upload)


def _say_score(display: Display, upload: "Upload") -> None:
    if upload.status == "error":
        from harness.errors import KaggleError

        raise KaggleError(
            "kaggle", f"{upload.name} failed: {upload.error or 'no reason given'}", "see its page"
        )
    if upload.public_score is not None:
        private = upload.private_score
        told = "" if private is None else f", private {private:.5f}"
        display.say(f"submit: {upload.name} scores public {upload.public_score:.5f}{told}")


def open_kaggle(workspace: "Workspace", display: Display) -> tuple[str, "Kaggle"]:
    """(the competition's slug, the seam); warns if others can read the credentials."""
    from harness.errors import ConfigError
    from harness.kaggle.seam import connect

    slug = workspace.competition.competition.kaggle
    if slug is None:
        raise ConfigError(
            workspace.root / "competition.toml",
            "names no competition on Kaggle",
            'add kaggle = "its-slug" under [competition]',
        )
    kaggle = connect(time.sleep)
    if kaggle.credentials.warning:
        display.say(f"warning: {kaggle.credentials.warning}")
    return slug, kaggle


@contextmanager
def _alone(workspace: "Workspace") -> Iterator[None]:
    """While it lasts no other process of this workspace submits; a dead one's lock is free."""
    from harness.errors import WorkspaceError
    from harness.locks import trying

    lock = workspace.submissions / ".kaggle.lock"
    with trying(lock) as free:
        if not free:
            found = "another process is submitting from this workspace"
            raise WorkspaceError(lock, found, "wait for it")
        yield
