"""Laying out a rehearsal, and its verdict; tests/cli/test_budget.py runs one."""

import csv
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
from tiny import edit

from harness.errors import ConfigError
from harness.submit.rehearsal import Rehearsal, _lay_out, _repeated
from harness.workspace import Workspace
from harness.workspace.submissions import Sidecar


def test_ids_are_repeated_under_names_of_their_own() -> None:
    found = list(islice(_repeated(["a.jpg", "x/b"]), 6))
    assert [id_ for id_, _ in found] == ["a.jpg", "x/b"] * 3
    assert [name for _, name in found] == ["a.jpg", "x/b", "1~a.jpg", "x/1~b", "2~a.jpg", "x/2~b"]


def test_a_layout_has_so_many_rows_and_their_images(workspace: Path, tmp_path: Path) -> None:
    (workspace / "models").mkdir()
    (workspace / "data/images/031.png").unlink()
    folder = tmp_path / "rehearsal"
    _lay_out(Workspace.open(workspace), folder, 25)
    for name in ("test", "sample_submission"):
        with (folder / f"data/{name}.csv").open(encoding="utf-8", newline="") as file:
            ids = [row["id"] for row in csv.DictReader(file)]
        assert len(ids) == len(set(ids)) == 25
    images = sorted(path.stem for path in (folder / "data/images").iterdir())
    assert images == sorted(set(ids) - {"031", "1~031", "2~031"})  # missing there as here


def test_absolute_paths_cannot_be_laid_out(workspace: Path, tmp_path: Path) -> None:
    edit(workspace / "competition.toml", '"data/test.csv"', f'"{workspace}/data/test.csv"')
    with pytest.raises(ConfigError, match="absolute"):
        _lay_out(Workspace.open(workspace), tmp_path / "rehearsal", 5)


SIDECAR = Sidecar("", "plan", "log_loss", 1, 1, 1, 1, 1, (), "", 9, (), 1.0, 9.0, "")


def test_the_verdict() -> None:
    good = Rehearsal(8.0, 9.0, 0, 2**30, 9, SIDECAR)
    assert good.failures(2**31) == []
    assert good.failures(None) == []
    (memory,) = good.failures(2**29)
    assert memory.startswith("memory: 1.0 GiB of 0.5")
    late, nothing = Rehearsal(9.5, 9.0, 1, None, 9, None).failures(2**30)
    assert late.startswith("late: 9.5 s of 9 s")
    assert nothing.startswith("no submission (exit code 1)")
    assert Rehearsal(8.0, 9.0, 3, None, 9, SIDECAR).failures(None) == []


def test_only_rows_that_no_model_predicted_need_attention() -> None:
    cut = replace(SIDECAR, completed=False, member_sets=((), ("a",), ("a", "b")))
    assert replace(cut, row_sets=(1, 2, 1)).answered  # fewer members than planned
    assert not replace(cut, row_sets=(1, 0, 1)).answered
    assert not replace(cut, row_sets=()).answered  # nobody knows
    assert replace(SIDECAR, completed=True).answered
    assert not replace(SIDECAR, prior_rows=("7",)).answered
