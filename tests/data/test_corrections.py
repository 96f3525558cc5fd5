"""audit/corrections.csv: replayed, applied, appended to, and safe against a torn line."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import edit

from harness.competition import load_competition
from harness.data.corrections import (
    ACTIONS,
    Correction,
    append_corrections,
    correct,
    read_corrections,
    standing,
)
from harness.data.state import CORRECTIONS
from harness.data.table import read_table
from harness.errors import DataError

TIME = "2026-01-02T03:04:05+00:00"
LINES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(ACTIONS)), max_size=30)


def said(*lines: tuple[str, ...]) -> list[Correction]:
    return [Correction(TIME, *line) for line in lines]


def test_the_last_decision_stands_and_undo_takes_it_back() -> None:
    lines = said(("a", "keep"), ("a", "relabel", "cat"), ("b", "drop"))
    assert {i: c.action for i, c in standing(lines).items()} == {"a": "relabel", "b": "drop"}
    lines += said(("a", "undo"), ("b", "undo"), ("b", "undo"))
    assert {i: c.action for i, c in standing(lines).items()} == {"a": "keep"}


@given(lines=LINES, last=st.sampled_from(["keep", "drop", "skip"]))
def test_a_decision_and_its_undo_change_nothing(lines: list[tuple[str, str]], last: str) -> None:
    before = said(*lines)
    assert standing([*before, *said(("a", last), ("a", "undo"))]) == standing(before)


def test_read_table_drops_and_relabels_and_leaves_the_source_alone(workspace: Path) -> None:
    source = (workspace / "data/train.csv").read_bytes()
    for line in said(("000", "relabel", "cat"), ("001", "drop"), ("002", "keep"), ("gone", "drop")):
        append_corrections(workspace / CORRECTIONS, line)
    table = read_table(load_competition(workspace / "competition.toml"), workspace)
    assert len(table.ids) == 29
    assert "001" not in table.ids
    assert table.labels[list(table.ids).index("000")] == "cat"
    assert (workspace / "data/train.csv").read_bytes() == source


def test_a_label_that_is_none_is_refused(workspace: Path) -> None:
    append_corrections(workspace / CORRECTIONS, said(("000", "relabel", "cow"))[0])
    with pytest.raises(DataError, match="'000' becomes 'cow', which is no label"):
        read_table(load_competition(workspace / "competition.toml"), workspace)


def test_a_relabelled_row_of_a_one_hot_table_marks_its_one_class() -> None:
    frame = pd.DataFrame({"id": ["x", "y"], "ant": ["1", "0"], "bee": ["0", "1"]}, dtype=object)
    decisions = standing(said(("x", "relabel", "bee")))
    fixed = correct(frame, decisions, "id", ("ant", "bee"), Path("train.csv"))
    assert fixed.to_numpy().tolist() == [["x", "0", "1"], ["y", "0", "1"]]
    assert frame["ant"].tolist() == ["1", "0"]


@pytest.mark.parametrize("text", ["plain", 'quo"te', "com,ma", "<script>", "=1+1", "two\nlines"])
def test_what_is_appended_is_read_again(tmp_path: Path, text: str) -> None:
    path = tmp_path / "corrections.csv"
    lines = said((text, "relabel", text), ("b", "drop", "dark"))
    append_corrections(path, lines[0])
    append_corrections(path, *lines[1:], *lines)
    lines += lines
    assert read_corrections(path) == lines


@given(cut=st.integers(min_value=0, max_value=200))
def test_a_torn_line_is_ignored_and_then_removed(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("torn") / "corrections.csv"
    lines = said(("a", "keep"), ("b", "relabel", "cat"), ("c", "drop"))
    for line in lines:
        append_corrections(path, line)
    path.write_bytes(path.read_bytes()[:cut])
    whole = read_corrections(path)
    assert whole == lines[: len(whole)]
    append_corrections(path, lines[0])
    assert read_corrections(path) == [*whole, lines[0]]


@pytest.mark.parametrize("line", ["x,a,explode,", "x,a", "x,a,keep,,more"])
def test_a_line_that_makes_no_sense_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "corrections.csv"
    append_corrections(path, said(("a", "keep"))[0])
    with path.open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(DataError, match=r"corrections\.csv:3: is no correction"):
        read_corrections(path)


def test_a_foreign_header_is_refused(workspace: Path) -> None:
    append_corrections(workspace / CORRECTIONS, said(("a", "keep"))[0])
    edit(workspace / CORRECTIONS, "time,id", "when,id")
    with pytest.raises(DataError, match=r"corrections\.csv:1"):
        read_corrections(workspace / CORRECTIONS)
