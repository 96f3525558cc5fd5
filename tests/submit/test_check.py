"""What a grader refuses is refused before, with the first offending row and column."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from submit.rules import competition

from harness.errors import DataError
from harness.submit.check import check_submission

TARGETS = ("ant", "bee", "cat")
IDS = np.array(["a", "b", "c"], dtype=object)


def good() -> pd.DataFrame:
    cells = {"id": list("abc"), "ant": ["0.5"] * 3, "bee": ["0.25"] * 3, "cat": ["0.25"] * 3}
    return pd.DataFrame(cells, dtype=object)


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("id", 1, "a", r"row 3 repeats the id 'a'"),
        ("id", 1, "x", r"row 3 has the unknown id 'x'"),
        ("id", 2, "", r"row 4 has no id"),
        ("ant", 1, "", r"row 3 \(id 'b'\), column 'ant' is empty"),
        ("ant", 1, "  ", r"row 3 \(id 'b'\), column 'ant' is empty"),
        ("bee", 2, "nan", r"row 4 \(id 'c'\), column 'bee' is 'nan', not a number"),
        ("bee", 2, "0,5", r"column 'bee' is '0,5', not a number"),
        ("bee", 2, "inf", r"column 'bee' is 'inf', not a number"),
        ("bee", 0, "1.2", r"row 2 \(id 'a'\), column 'bee' is '1.2', outside \[0, 1\]"),
        ("bee", 0, "-0.1", r"column 'bee' is '-0.1', outside \[0, 1\]"),
        ("cat", 1, "0.2501", r"row 3 \(id 'b'\) sums to 1.0001"),
        ("cat", 1, "0.250002", r"row 3 \(id 'b'\) sums to 1.000002"),
    ],
)
def test_what_a_grader_refuses(
    tmp_path: Path, column: str, row: int, value: str, message: str
) -> None:
    frame = good()
    rules = competition(tmp_path)
    check_submission(Path("s.csv"), frame, rules, "id", TARGETS, IDS)
    frame.loc[row, column] = value
    with pytest.raises(DataError, match=message):
        check_submission(Path("s.csv"), frame, rules, "id", TARGETS, IDS)


def test_the_first_row_is_named_whatever_is_wrong_in_later_ones(tmp_path: Path) -> None:
    frame = good()
    frame.loc[2, "ant"] = ""
    frame.loc[1, "cat"] = "7"
    with pytest.raises(DataError, match=r"row 3 \(id 'b'\), column 'cat' is '7', outside"):
        check_submission(Path("s.csv"), frame, competition(tmp_path), "id", TARGETS, IDS)


def test_columns_and_rows_must_be_complete(tmp_path: Path) -> None:
    rules = competition(tmp_path)
    for frame, message in (
        (good().drop(columns="bee"), "no column 'bee'"),
        (good().assign(dog="0"), "extra column 'dog'"),
        (good().iloc[:2], "has 2 rows for 3 ids, and none for 'c'"),
        (good().iloc[[0, 1, 2, 2]], "row 5 repeats the id 'c'"),
    ):
        with pytest.raises(DataError, match=message):
            check_submission(Path("s.csv"), frame, rules, "id", TARGETS, IDS)


def test_a_cell_of_joined_labels_may_be_empty_where_that_is_allowed(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "y": ["ant", ""]}, dtype=object)
    for task, metric, fine in (("multilabel", "f1_samples", True), ("binary", "accuracy", False)):
        rules = competition(tmp_path, task, metric, 'label = "y"')
        with nullcontext() if fine else pytest.raises(DataError, match="'y' is empty"):
            check_submission(Path("s.csv"), frame, rules, "id", ["y"], ["a", "b"], allow_empty=True)


@pytest.mark.parametrize(
    ("task", "metric", "label", "fine", "refused", "message"),
    [
        ("regression", "rmse", 'label = "y"', "-7.5", "x", "not a number"),
        ("multiclass", "accuracy", 'label = "y"', "7", "", "is empty"),
        ("multiclass", "map@2", 'label = "y"', "ant bee", "ant bee cat", "more than 2 guesses"),
        ("multilabel", "f1_samples", 'label = "y"', "ant bee cat", " ", "is empty"),
        ("binary", "pf1", 'label = "y"', "1", "1.01", "outside"),
        ("multilabel", "roc_auc", 'labels = ["y", "z"]', "0.9", "-1e-9", "outside"),
    ],
)
def test_cells_of_every_form(
    tmp_path: Path, task: str, metric: str, label: str, fine: str, refused: str, message: str
) -> None:
    rules = competition(tmp_path, task, metric, label)
    frame = pd.DataFrame({"id": ["a", "b"], "y": [fine, fine]}, dtype=object)
    check_submission(Path("s.csv"), frame, rules, "id", ["y"], ["a", "b"])
    frame.loc[1, "y"] = refused
    with pytest.raises(DataError, match=message):
        check_submission(Path("s.csv"), frame, rules, "id", ["y"], ["a", "b"])
