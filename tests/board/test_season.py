"""The board after a season: a golden table, its other forms, and the picture."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from board.season_world import PUBLIC_SHARE, TEST_ROWS, scripted, shown

from harness.board.export import season_csv, season_json
from harness.board.plot import plot_season
from harness.board.season import season
from harness.errors import UserError
from harness.workspace.ledger import Standing, Upload

GOLDEN = Path(__file__).parent.parent / "golden/season/season.txt"


def test_the_table_of_a_season() -> None:
    assert shown(100) == GOLDEN.read_text(encoding="utf-8")


def test_narrow_terminals_get_the_scores_and_ranks() -> None:
    header, _, *rows = shown(60).splitlines()[2:34]
    assert header.split() == ["submission", "nested", "public", "rank"]
    assert len(rows) == 30
    assert max(map(len, rows)) <= 60


def test_the_noise_is_that_of_the_public_rows() -> None:
    found = scripted()
    assert found.noise == pytest.approx((0.88 * 0.12 / (PUBLIC_SHARE * TEST_ROWS)) ** 0.5, rel=0.05)
    (told,) = [note for note in found.notes if note.startswith("Noise")]
    assert told.startswith("Noise of a score on 3000 rows: ± 0.01")


def test_csv_and_json_hold_all_of_it() -> None:
    found = scripted()
    rows = list(csv.DictReader(io.StringIO(season_csv(found))))
    assert len(rows) == 30
    assert [row["name"] for row in rows] == [row.name for row in found.rows]
    (failed,) = [row for row in rows if row["error"]]
    assert (failed["error"], failed["public_score"]) == ("Notebook Timeout", "")
    read = json.loads(season_json(found))
    assert read["rows"][0]["nested"] is None  # made without the harness
    assert [row["rank"] for row in read["rows"]] == [row.rank for row in found.rows]
    assert read["notes"] == list(found.notes)


def test_what_nobody_asked_for_is_not_known() -> None:
    upload = Upload("d", "one", "2026-01-01", "pending", 7)
    found = season(
        [],
        [upload],
        None,
        lambda a, b: 0.0,
        greater_is_better=True,
        public_share=None,
        test_rows=None,
        today="2026-01-01",
    )
    assert found.rows[0].rank is None
    assert found.noise is None
    assert found.notes == ("Ranks, scores and the quota: `board sync` asks Kaggle for them.",)


def test_yesterdays_quota_is_not_todays() -> None:
    found = season(
        [],
        [],
        Standing("2026-01-01T23:59:00+00:00", 5, 0, (0.9,)),
        lambda a, b: 0.0,
        greater_is_better=True,
        public_share=None,
        test_rows=None,
        today="2026-01-02",
    )
    assert "a new quota" in found.notes[0]


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_picture(kind: str, start: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"season.{kind}"
    plot_season(scripted(), "accuracy", path)
    assert path.read_bytes().startswith(start)
    if kind == "svg":
        assert path.read_text(encoding="utf-8").count("day1-0") == 1
    with pytest.raises(UserError, match="names no kind of picture"):
        plot_season(scripted(), "accuracy", tmp_path / "season.docx")


def test_a_picture_without_points_is_explained_instead(tmp_path: Path) -> None:
    found = scripted()
    rows = tuple(replace(row, public_score=None) for row in found.rows)
    path = tmp_path / "season.png"
    with pytest.raises(UserError, match=r"none of \d+ submissions has both .*board sync"):
        plot_season(replace(found, rows=rows), "accuracy", path)
    assert not path.exists()
