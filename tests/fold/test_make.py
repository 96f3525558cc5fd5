"""Making, growing and checking the folds of a workspace."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import DataError, WorkspaceError
from harness.fold import make, manifest
from harness.fold.assign import FoldRules
from harness.fold.make import FoldsOutcome, check_folds, make_folds
from harness.workspace.folds import read_folds, write_folds

RULES = FoldRules(k=3, repeats=2, seed=1)


class Training:
    """A table that a test can change, and the verb on it."""

    def __init__(self, folder: Path, rows: int = 30) -> None:
        self.folder = folder
        self.ids = [f"{row:03d}" for row in range(rows)]
        self.labels = ["cat" if row % 3 else "dog" for row in range(rows)]

    def _call(self, verb: Callable[..., Any], rules: FoldRules, **options: Any) -> Any:
        names, target = np.unique(self.labels, return_inverse=True)
        options = {"labels_text": self.labels, "class_names": names.tolist(), **options}
        return verb(self.folder, self.ids, target, rules, **options)

    def fold(self, rules: FoldRules = RULES, **options: Any) -> FoldsOutcome:
        return self._call(make_folds, rules, **options)

    def check(self, rules: FoldRules = RULES, **options: Any) -> str:
        return self._call(check_folds, rules, **options)

    def folds_by_id(self) -> dict[str, list[int]]:
        folds = read_folds(self.folder)
        return dict(zip(folds.ids, folds.assignment.tolist(), strict=True))

    def add(self, *ids: str) -> None:
        self.ids += ids
        self.labels += ["cat"] * len(ids)


@pytest.fixture
def table(tmp_path: Path) -> Training:
    return Training(tmp_path)


def test_a_second_run_changes_no_file(table: Training) -> None:
    assert table.fold().changed
    before = {file: file.stat().st_mtime_ns for file in table.folder.iterdir()}
    table.ids.reverse()
    table.labels.reverse()
    outcome = table.fold()
    assert not outcome.changed
    assert outcome.messages == ()
    assert {file: file.stat().st_mtime_ns for file in table.folder.iterdir()} == before
    assert table.check() == "all 30 rows are where they are computed to be"


def test_new_rows_are_placed_and_no_old_one_moves(table: Training) -> None:
    digest = table.fold().folds.digest
    before = table.folds_by_id()
    table.add("new b", "new a")
    outcome = table.fold()
    after = table.folds_by_id()
    assert {id: after[id] for id in before} == before
    assert len(after) == 32
    assert outcome.messages[:2] == (
        "2 new row(s), first 'new a'",
        "every row that had a fold keeps it",
    )
    assert digest in outcome.messages[-1]
    assert outcome.folds.digest in outcome.messages[-1]
    assert table.check() == "all 32 rows are where they are computed to be"


def test_a_grown_assignment_is_replayed_generation_by_generation(table: Training) -> None:
    for step in range(3):
        table.fold()
        table.add(*(f"step {step} row {row}" for row in range(4)))
    folds = table.fold().folds
    assert folds.generations is not None
    assert np.bincount(folds.generations).tolist() == [30, 4, 4, 4]
    assert table.check() == "all 42 rows are where they are computed to be"


def test_vanished_rows_leave_and_the_others_stay(table: Training) -> None:
    table.fold()
    before = table.folds_by_id()
    del table.ids[4:6], table.labels[4:6]
    table.add("new")
    outcome = table.fold()
    assert "2 row(s) vanished, first '004'" in outcome.messages
    after = table.folds_by_id()
    assert {id: folds for id, folds in after.items() if id != "new"} == {
        id: folds for id, folds in before.items() if id not in ("004", "005")
    }
    assert "28 rows stand as recorded" in table.check()


def test_a_fold_that_lost_all_its_rows_is_refused(table: Training) -> None:
    rules = FoldRules(k=3, repeats=2, seed=1, rare="spread")
    table.fold(rules)
    kept = [row for row, id_ in enumerate(table.ids) if table.folds_by_id()[id_][1] != 2]
    table.ids = [table.ids[row] for row in kept]
    table.labels = [table.labels[row] for row in kept]
    with pytest.raises(WorkspaceError, match=r"fold 2 of repeat 1 has no row; .*fold --fresh"):
        table.fold(rules)
    assert len(read_folds(table.folder).ids) == 30


def test_stored_folds_with_an_empty_one_are_refused(table: Training) -> None:
    """An earlier version could leave them."""
    table.fold(FoldRules(k=3, seed=1))
    write_folds(table.folder, replace(read_folds(table.folder), k=4), {})
    with pytest.raises(WorkspaceError, match=r"folds\.csv: fold 3 has no row; .*fold --fresh"):
        table.fold(FoldRules(k=4, seed=1))


def test_a_changed_label_is_told_and_keeps_its_fold(table: Training) -> None:
    digest = table.fold().folds.digest
    table.labels[7] = "dog"
    outcome = table.fold()
    assert "1 label(s) changed, first of '007' from 'cat' to 'dog'" in outcome.messages
    assert outcome.folds.digest == digest
    assert read_folds(table.folder).labels[7] == "dog"
    assert "30 rows stand as recorded" in table.check()


def test_a_renamed_class_can_still_be_recomputed(table: Training) -> None:
    table.fold()
    table.labels = [label.upper() for label in table.labels]
    assert "30 label(s) changed" in table.fold().messages[0]
    assert table.check() == "all 30 rows are where they are computed to be"


def test_a_changed_group_is_told_and_keeps_its_fold(table: Training) -> None:
    groups = [f"g{row}" for row in range(30)]
    table.fold(groups=groups)
    before = table.folds_by_id()
    groups[3] = "alone"
    outcome = table.fold(groups=groups)
    assert "1 group(s) changed, first of '003' from 'g3' to 'alone'" in outcome.messages
    assert table.folds_by_id() == before


def test_new_rows_join_their_group(table: Training) -> None:
    groups = [f"g{row // 2}" for row in range(30)]
    table.fold(groups=groups)
    table.add("new")
    table.fold(groups=[*groups, "g4"])
    after = table.folds_by_id()
    assert after["new"] == after["008"]


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (replace(RULES, k=4), "k was 3, is 4"),
        (replace(RULES, seed=2), "seed was 1, is 2"),
        (replace(RULES, repeats=1), "repeats was 2, is 1"),
        (replace(RULES, holdout=0.1), "holdout was 0.0, is 0.1"),
    ],
)
def test_other_rules_are_refused_until_fresh(table: Training, rules: FoldRules, words: str) -> None:
    old = table.fold().folds.digest
    for verb in (table.fold, table.check):
        with pytest.raises(WorkspaceError) as caught:
            verb(rules)
        assert words in str(caught.value)
        assert "--fresh" in str(caught.value)
    outcome = table.fold(rules, fresh=True)
    assert outcome.changed
    assert f"the folds' digest was {old}" in outcome.messages[-1]
    assert "will be refused" in outcome.messages[-1]


def test_groups_that_come_or_go_are_other_rules(table: Training) -> None:
    table.fold()
    with pytest.raises(WorkspaceError, match="group was none, is used"):
        table.fold(groups=[f"g{row}" for row in range(30)])


def test_fresh_forgets_growth_and_damage(table: Training) -> None:
    expected = table.fold().folds.digest
    table.add("new")
    table.fold()
    del table.ids[-1], table.labels[-1]
    (table.folder / "folds.csv").write_text("damaged")
    with pytest.raises(WorkspaceError, match=r"folds\.csv"):
        table.fold()
    assert table.fold(fresh=True).folds.digest == expected
    assert read_folds(table.folder).generations is None


def test_check_names_the_first_row_that_differs(
    table: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    def otherwise(self: manifest.SortedTable, *args: Any) -> Any:
        assignment, notes = recorded(self, *args)
        assignment[5, 1] = (assignment[5, 1] + 1) % 3
        return assignment, notes

    table.fold()
    recorded = manifest.SortedTable.assign
    monkeypatch.setattr(manifest.SortedTable, "assign", otherwise)
    with pytest.raises(WorkspaceError, match="1 of 30 rows differ, first '005': fold_1 is"):
        table.check()


def test_check_refuses_another_table(table: Training) -> None:
    table.fold()
    table.labels[2] = "dog"
    table.add("new")
    with pytest.raises(WorkspaceError) as caught:
        table.check()
    assert "1 new row(s), first 'new'; 1 label(s) changed" in str(caught.value)


def test_folds_of_another_algorithm_stay_and_grow(
    table: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    table.fold()
    before = table.folds_by_id()
    for module in (make, manifest):
        monkeypatch.setattr(module, "ALGORITHM", 2)
    with pytest.raises(WorkspaceError, match="made by algorithm 1, this version has 2"):
        table.check()
    table.add("new")
    table.fold()
    after = table.folds_by_id()
    assert {id: after[id] for id in before} == before
    assert "30 rows stand as recorded" in table.check()


def test_ids_that_are_no_text_are_refused_before_anything_is_written(table: Training) -> None:
    table.ids[3] = 3  # type: ignore[call-overload]
    with pytest.raises(DataError, match="row 3 has the id 3, which is not text"):
        table.fold()
    assert list(table.folder.iterdir()) == []
