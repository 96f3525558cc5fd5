"""Tables: every form of labels, text that stays text."""

from pathlib import Path

import numpy as np
import pytest
from tiny import TOML, edit, write_table

from harness.competition import Competition, load_competition
from harness.data.table import Table, read_metadata, read_table, read_test_ids, sorted_names
from harness.errors import ConfigError, DataError


def competition(folder: Path, **changes: str) -> Competition:
    text = TOML
    for old, new in changes.items():
        old = {"task": '"multiclass"', "label": 'label = "label"', "metric": '"log_loss"'}[old]
        assert old in text
        text = text.replace(old, new)
    (folder / "competition.toml").write_text(text, encoding="utf-8")
    return load_competition(folder / "competition.toml")


def read(folder: Path, **changes: str) -> Table:
    return read_table(competition(folder, **changes), folder)


def test_ids_and_labels_stay_text(tmp_path: Path) -> None:
    write_table(tmp_path / "data/train.csv", ["id", "label"], [["007", "NA"], ["1e3", "null"]])
    write_table(tmp_path / "data/sample_submission.csv", ["id", "NA", "null"], [["x", 0.5, 0.5]])
    table = read(tmp_path)
    assert list(table.ids) == ["007", "1e3"]
    assert list(table.labels) == ["NA", "null"]
    assert table.targets == ("NA", "null")


def test_classes_follow_the_sample(tmp_path: Path) -> None:
    write_table(tmp_path / "data/train.csv", ["id", "label"], [["1", "a"], ["2", "c"], ["3", "b"]])
    write_table(tmp_path / "data/sample_submission.csv", ["id", "c", "a", "b"], [["x", 0, 0, 1]])
    table = read(tmp_path)
    assert table.targets == ("c", "a", "b")
    assert table.target.tolist() == [1, 0, 2]


def test_binary_has_a_column_a_class_in_sorted_order(tmp_path: Path) -> None:
    write_table(tmp_path / "data/train.csv", ["id", "label"], [["1", "dog"], ["2", "cat"]])
    write_table(tmp_path / "data/sample_submission.csv", ["id", "label"], [["x", 0.5]])
    table = read(tmp_path, task='"binary"')
    assert table.targets == ("cat", "dog")
    assert table.target.tolist() == [1, 0]


def test_one_hot_columns_are_classes(tmp_path: Path) -> None:
    write_table(tmp_path / "data/train.csv", ["id", "x", "y"], [["1", 0, 1], ["2", 1, 0]])
    write_table(tmp_path / "data/sample_submission.csv", ["id", "x", "y"], [["t", 0, 1]])
    table = read(tmp_path, label='labels = ["x", "y"]')
    assert table.target.tolist() == [1, 0]
    write_table(tmp_path / "data/train.csv", ["id", "x", "y"], [["1", 0, 1], ["2", 1, 1]])
    with pytest.raises(DataError, match="row 3 marks 2 classes"):
        read(tmp_path, label='labels = ["x", "y"]')


def test_multilabel_is_a_matrix(tmp_path: Path) -> None:
    write_table(tmp_path / "data/train.csv", ["id", "x", "y"], [["1", 0, 0], ["2", 1, 1]])
    write_table(tmp_path / "data/sample_submission.csv", ["id", "x", "y"], [["t", 0, 1]])
    table = read(tmp_path, label='labels = ["x", "y"]', task='"multilabel"')
    assert table.target.tolist() == [[0, 0], [1, 1]]
    assert list(table.labels) == ["", "x y"]


def test_regression_needs_numbers(tmp_path: Path) -> None:
    write_table(tmp_path / "data/train.csv", ["id", "label"], [["1", "2.5"], ["2", "-1"]])
    write_table(tmp_path / "data/sample_submission.csv", ["id", "label"], [["t", 0]])
    changes = {"task": '"regression"', "metric": '"rmse"'}
    assert read(tmp_path, **changes).target.tolist() == [2.5, -1]
    write_table(tmp_path / "data/train.csv", ["id", "label"], [["1", "2.5"], ["2", "many"]])
    with pytest.raises(DataError, match="row 3, column 'label' is 'many', not a number"):
        read(tmp_path, **changes)


def test_a_folder_of_class_folders(tmp_path: Path) -> None:
    for name in ("b c/1.png", "a/1.png", "a/2.png", "a/.hidden"):
        path = tmp_path / "data/train.csv" / name  # the table's name may as well be a folder
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    write_table(tmp_path / "data/sample_submission.csv", ["id", "a", "b c"], [["t", 0, 1]])
    table = read(tmp_path)
    assert list(table.ids) == ["a/1.png", "a/2.png", "b c/1.png"]
    assert table.target.tolist() == [0, 0, 1]


def test_sorted_names_orders_numbers_as_numbers() -> None:
    assert sorted_names(["10", "9", "100"]) == ["9", "10", "100"]
    assert sorted_names(["10", "9", "x"]) == ["10", "9", "x"]


def test_test_ids_come_from_the_test_table_else_from_the_sample(tmp_path: Path) -> None:
    write_table(tmp_path / "data/test.csv", ["id"], [["b"], ["a"]])
    write_table(tmp_path / "data/sample_submission.csv", ["id", "x"], [["a", 0], ["b", 0]])
    text = competition(tmp_path)
    assert list(read_test_ids(text, tmp_path)) == ["b", "a"]


def test_metadata_are_joined_by_id(workspace: Path) -> None:
    write_table(
        workspace / "data/train.csv", ["age", "id", "site"], [["7", "b", "x"], ["", "a", "y"]]
    )
    found = load_competition(workspace / "competition.toml")
    ids = np.array(["a", "b"], dtype=object)
    text = read_metadata(found, workspace, ids, ["site", "age"], test=False)
    assert text.tolist() == [["y", ""], ["x", "7"]]
    assert read_metadata(found, workspace, ids, [], test=True).shape == (2, 0)


def test_metadata_need_a_table_and_leave_the_label_alone(workspace: Path) -> None:
    path = workspace / "competition.toml"
    ids = np.array(["030"], dtype=object)
    with pytest.raises(ConfigError, match="'bee', which is the id or the label"):
        read_metadata(load_competition(path), workspace, ids, ["bee"], test=False)
    edit(path, 'test = "data/test.csv"\n', "")
    with pytest.raises(ConfigError, match="needs a table for the test rows"):
        read_metadata(load_competition(path), workspace, ids, ["age"], test=True)
