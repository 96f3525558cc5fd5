"""`fold` that is killed anywhere: the old folds or the new ones stand, and `fold` goes on."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from killing import killed
from tiny import tree

from harness.errors import WorkspaceError
from harness.workspace.folds import Folds, read_folds, write_folds


def some_folds(rows: int) -> Folds:
    return Folds(
        ids=np.array([f"{row:03d}" for row in range(rows)], object),
        assignment=(np.arange(rows, dtype=np.int16) % 3)[:, None],
        k=3,
        seed=7,
        algorithm=1,
    )


def content(folder: Path) -> dict[str, bytes]:
    return {name: data for name, (_, data) in tree(folder).items()}


@pytest.mark.parametrize("before", [0, 30])
def test_killed_anywhere_one_of_both_stands(before: int, tmp_path: Path) -> None:
    new = some_folds(33)
    write_folds(tmp_path / "whole", new, {})
    for at in range(1, 30):
        folder = tmp_path / str(at)
        if before:
            write_folds(folder, some_folds(before), {})
        cut = killed(at, write_folds, folder, new, {})
        try:
            assert len(read_folds(folder).ids) in (before, 33)
        except WorkspaceError as error:
            assert not before
            assert error.fix == "run `python -m harness fold`"  # noqa: PT017
            assert not (folder / "folds.csv").exists()  # or `fold` would refuse it
        write_folds(folder, new, {})
        left = {name for name in content(folder) if name.endswith(".tmp")}  # of a living process
        assert {n: c for n, c in content(folder).items() if n not in left} == content(
            tmp_path / "whole"
        )
        if not cut:
            assert at > 4
            return
    raise AssertionError("it was never through")


def test_a_table_without_its_manifest_is_no_dead_end(
    harness: Callable[..., int], workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0
    before = content(workspace / "folds")
    (workspace / "folds/folds.json").unlink()
    assert harness("fold") == 2
    assert "fold --fresh" in capsys.readouterr().err
    assert harness("fold", "--fresh") == 0
    assert content(workspace / "folds") == before


def test_a_table_that_waits_for_a_manifest_that_never_came_is_left_alone(tmp_path: Path) -> None:
    write_folds(tmp_path, some_folds(30), {})
    write_folds(tmp_path / "other", replace(some_folds(30), seed=8), {})
    (tmp_path / ".folds.csv.next").write_text("id,fold\n000,1\n", encoding="utf-8")
    assert read_folds(tmp_path).digest == some_folds(30).digest
