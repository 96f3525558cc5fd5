"""Tables: every form of labels, text that stays text."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import TOML, edit, write_table

from harness.competition import Competition, load_competition
from harness.data.frame import read_columns, read_frame, write_frame
from harness.data.images import find_images
from harness.data.labels import sorted_names
from harness.data.sample import read_test_ids
from harness.data.table import Table, read_metadata, read_table
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


def test_the_class_that_is_asked_for_comes_second(tmp_path: Path) -> None:
    write_table(tmp_path / "data/train.csv", ["id", "label"], [["1", "dog"], ["2", "cat"]])
    write_table(tmp_path / "data/sample_submission.csv", ["id", "cat"], [["x", 0.5]])
    assert read(tmp_path, task='"binary"').targets == ("dog", "cat")  # as the sample's column says
    write_table(tmp_path / "data/sample_submission.csv", ["id", "label"], [["x", 0.5]])
    order = 'label = "label"\nclasses = ["dog", "cat"]'
    table = read(tmp_path, task='"binary"', label=order)
    assert table.targets == ("dog", "cat")
    assert table.target.tolist() == [0, 1]


def test_a_scale_of_words_is_in_the_order_that_is_said(tmp_path: Path) -> None:
    rows = [["1", "mid"], ["2", "low"], ["3", "high"]]
    write_table(tmp_path / "data/train.csv", ["id", "label"], rows)
    write_table(tmp_path / "data/sample_submission.csv", ["id", "label"], [["x", "low"]])
    order = 'label = "label"\nclasses = ["low", "mid", "high"]'
    table = read(tmp_path, task='"ordinal"', metric='"quadratic_weighted_kappa"', label=order)
    assert table.target.tolist() == [1, 0, 2]


def test_a_scale_with_a_column_a_step_is_in_the_samples_order(tmp_path: Path) -> None:
    rows = [["1", "mid"], ["2", "low"], ["3", "top"]]
    write_table(tmp_path / "data/train.csv", ["id", "label"], rows)
    header = ["id", "low", "mid", "top"]
    write_table(tmp_path / "data/sample_submission.csv", header, [["x", 1, 0, 0]])
    table = read(tmp_path, task='"ordinal"', metric='"quadratic_weighted_kappa"')
    assert table.target.tolist() == [1, 0, 2]


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


def from_paths(folder: Path, files: Sequence[str], data: str, task: str = "multiclass") -> Table:
    """The table of these empty files under a [data] section of its own."""
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    metric = {"regression": "rmse"}.get(task, "accuracy")
    (folder / "competition.toml").write_text(
        f'[competition]\nname = "x"\ntask = "{task}"\nmetric = "{metric}"\n[data]\n{data}\n',
        encoding="utf-8",
    )
    return read_table(load_competition(folder / "competition.toml"), folder)


def test_a_folder_a_class(tmp_path: Path) -> None:
    files = ["train/b c/1.png", "train/a/1.png", "train/a/2.png", "train/a/.3.png", "train/x.png"]
    table = from_paths(tmp_path, files, 'images = "train/{label}/{id}.png"')
    assert list(table.ids) == ["a/1.png", "a/2.png", "b c/1.png"]
    assert table.targets == ("a", "b c")
    assert table.target.tolist() == [0, 0, 1]


def test_labels_and_groups_in_file_names(tmp_path: Path) -> None:
    files = ["train/cat.p1_0.jpg", "train/dog.p1_0.jpg", "train/dog.p2_7.jpg", "train/notes.txt"]
    data = 'images = "train/{label}.{patient}_{id}.jpg"\ngroup = "patient"'
    table = from_paths(tmp_path, files, data, task="binary")
    assert list(table.ids) == ["cat.p1_0.jpg", "dog.p1_0.jpg", "dog.p2_7.jpg"]
    assert list(table.labels) == ["cat", "dog", "dog"]
    assert table.groups is not None
    assert list(table.groups) == ["p1", "p1", "p2"]


def test_several_folders_of_class_folders(tmp_path: Path) -> None:
    files = ["train/a/1.png", "val/a/1.png", "val/b/2.jpg"]
    data = 'images = ["train/{label}/{id}.png", "val/{label}/{id}.png", "val/{label}/{id}.jpg"]'
    table = from_paths(tmp_path, files, data)
    assert list(table.ids) == files
    competition = load_competition(tmp_path / "competition.toml")
    assert find_images(competition, tmp_path, table.ids) == [tmp_path / name for name in files]


def test_numbers_in_paths(tmp_path: Path) -> None:
    files = ["train/7_a.png", "train/2.5_b.png"]
    data = 'images = "train/{age}_{id}.png"\nlabel = "age"'
    table = from_paths(tmp_path, files, data, task="regression")
    assert table.target.tolist() == [2.5, 7]
    assert table.targets == ("age",)


def test_test_ids_of_a_folder_and_nothing_else(tmp_path: Path) -> None:
    data = 'images = "train/{label}/{id}.png"\ntest_images = "test/{id}.png"'
    files = ["train/a/1.png", "train/b/1.png", "test/9.png", "test/8.png", "test/8.txt"]
    from_paths(tmp_path, files, data)
    competition = load_competition(tmp_path / "competition.toml")
    ids = read_test_ids(competition, tmp_path)
    assert list(ids) == ["8", "9"]
    found = find_images(competition, tmp_path, ids, test=True)
    assert found == [tmp_path / "test/8.png", tmp_path / "test/9.png"]


def test_the_first_pattern_that_has_the_file_counts(tmp_path: Path) -> None:
    write_table(tmp_path / "train.csv", ["id", "label"], [["a", "x"], ["b.jpg", "y"], ["c", "y"]])
    files = ["one/a.png", "two/a.png", "two/b.jpg", "two/c.png"]
    data = 'train = "train.csv"\nimages = ["one/{id}.png", "two/{id}", "two/{id}.png"]'
    table = from_paths(tmp_path, files, data + '\nlabel = "label"')
    found = find_images(load_competition(tmp_path / "competition.toml"), tmp_path, table.ids)
    assert found == [tmp_path / name for name in ("one/a.png", "two/b.jpg", "two/c.png")]


def test_joined_labels_are_many(tmp_path: Path) -> None:
    rows = [["1", "rust scab"], ["2", ""], ["3", "scab"]]
    write_table(tmp_path / "data/train.csv", ["id", "label"], rows)
    write_table(tmp_path / "data/sample_submission.csv", ["id", "label"], [["t", "rust"]])
    table = read(tmp_path, task='"multilabel"', metric='"f1_macro"')
    assert table.targets == ("rust", "scab")
    assert table.target.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert list(table.labels) == ["rust scab", "", "scab"]
    edit(tmp_path / "competition.toml", 'label = "label"', 'label = "label"\nseparator = "|"')
    table = read_table(load_competition(tmp_path / "competition.toml"), tmp_path)
    assert table.targets == ("rust scab", "scab")


@pytest.mark.parametrize("form", ["csv", "csv.zip", "parquet"])
def test_every_form_of_file_says_the_same(tmp_path: Path, form: str) -> None:
    frame = pd.DataFrame(
        {"id": ["007", "1e3", 'a,"b'], "label": [0, 1, 1], "odd name": ["", "NA", "é"]}
    )
    path = tmp_path / f"train.{form}"
    if form == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    read = read_frame(path)
    assert read.to_numpy().tolist() == [[str(cell) for cell in row] for row in frame.to_numpy()]
    assert list(read_frame(path, ["label", "id"]).columns) == ["label", "id"]
    write_frame(path, read)
    pd.testing.assert_frame_equal(read_frame(path), read)


def test_a_separator_that_joins_nothing_is_refused_where_another_does(tmp_path: Path) -> None:
    write_table(tmp_path / "data/sample_submission.csv", ["id", "label"], [["z", "x;y"]])
    rows = [["a", "x;y"], ["b", "x"], ["c", "y"], ["d", ""]]
    write_table(tmp_path / "data/train.csv", ["id", "label"], rows)
    with pytest.raises(DataError, match="'x;y' joins labels; set "):
        read(tmp_path, task='"multilabel"', metric='"f1_macro"')
    write_table(tmp_path / "data/train.csv", ["id", "label"], [*rows, ["e", "x;y x"]])
    assert read(tmp_path, task='"multilabel"', metric='"f1_macro"').targets == ("x", "x;y", "y")


def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbfid,label\r\n1,a\r\n\r\n2,b\r\n")
    assert read_frame(tmp_path / "x.csv").to_numpy().tolist() == [["1", "a"], ["2", "b"]]


def test_booleans_and_gaps_in_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "hot": [True, False], "age": [1.5, None]})
    frame.to_parquet(tmp_path / "x.parquet")
    assert read_frame(tmp_path / "x.parquet").to_numpy().tolist() == [
        ["a", "1", "1.5"],
        ["b", "0", ""],
    ]


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


@pytest.mark.parametrize("zipped", [False, True])
def test_a_quoted_line_end_may_stand_where_the_file_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    monkeypatch.setattr("harness.data.frame.LONGEST_ROW", 64)  # and of a piece that a thread reads
    said = [f"two\nlines, {row}" for row in range(200)]
    frame = pd.DataFrame({"id": [str(row) for row in range(200)], "note": said})
    path = tmp_path / ("t.csv.zip" if zipped else "t.csv")
    write_frame(path, frame)
    assert read_columns(path, ["note"])["note"].to_pylist() == said
