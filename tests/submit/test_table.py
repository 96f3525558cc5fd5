"""The submission's table: the sample's columns, order and ids, in every form."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from submit.rules import competition, sample

from harness.decision import Decision
from harness.errors import ConfigError, DataError
from harness.submit.check import check_submission
from harness.submit.table import make_submission

IDS = np.array(["a", "b", "c"], dtype=object)
PREDICTIONS = np.array([[0.7, 0.2, 0.1], [1 / 3, 1 / 3, 1 / 3], [1e-7, 0.5, 0.4999999]])
LABELS = np.array([[0.9, 0.2, 0.6], [0.1, 0.5, 0.2], [0.1, 0.2, 0.3]])
TARGETS = ("ant", "bee", "cat")
JOINED = 'label = "labels"'
LISTED = 'labels = ["ant", "bee", "cat"]'
DECIDED = Decision("thresholds", (0.5,) * 3, at_least_one=True).apply(LABELS)


@pytest.mark.parametrize(
    ("task", "metric", "label", "columns", "predictions", "expected"),
    [
        ("binary", "roc_auc", "", "id,y", PREDICTIONS[:, :2], "a,0.222222222|b,0.5|c,0.9999998"),
        ("binary", "pf1", "", "id,y", np.eye(2)[[0, 1, 1]], "a,0|b,1|c,1"),
        ("multiclass", "accuracy", "", "id,y", PREDICTIONS, "a,ant|b,ant|c,bee"),
        ("multiclass", "map@2", "", "id,y", PREDICTIONS, "a,ant bee|b,ant bee|c,bee cat"),
        ("multiclass", "top_error@1", "", "y,id", PREDICTIONS, "ant,a|ant,b|bee,c"),
        ("multilabel", "f1_samples", "", "id,y", DECIDED, "a,ant cat|b,bee|c,cat"),
        ("multilabel", "map@2", "", "id,y", LABELS, "a,ant cat|b,bee cat|c,cat bee"),
        ("multilabel", "roc_auc", LISTED, "id,cat,ant", LABELS, "a,0.6,0.9|b,0.2,0.1|c,0.3,0.1"),
        ("multilabel", "f1_micro", LISTED, "id,bee,cat", DECIDED, "a,0,1|b,1,0|c,0,1"),
        ("regression", "rmse", "", "id,y", np.array([[1.0], [57.25], [100]]), "a,1|b,57.25|c,100"),
    ],
)
def test_forms(
    tmp_path: Path,
    task: str,
    metric: str,
    label: str,
    columns: str,
    predictions: np.ndarray,
    expected: str,
) -> None:
    rules = competition(tmp_path, task, metric, label or 'label = "y"')
    if task == "binary":
        predictions = predictions / predictions.sum(axis=1, keepdims=True)
    header, targets = columns.split(","), TARGETS[: predictions.shape[1]]
    frame = make_submission(rules, sample(*header, ids="abc"), IDS, targets, predictions)
    assert "|".join(",".join(row) for row in frame.to_numpy()) == expected
    asked = [column for column in header if column != "id"]
    check_submission(Path("s.csv"), frame, rules, "id", asked, list("abc"))


@pytest.mark.parametrize(
    ("shown", "targets", "expected"),
    [
        ({"0"}, ("cat", "dog"), ["0", "1", "1"]),
        ({"0", "1"}, ("False", "True"), ["0", "1", "1"]),
        ({"0"}, ("0.0", "1.0"), ["0", "1", "1"]),
        ({"cat"}, ("cat", "dog"), ["cat", "dog", "dog"]),
        ({"1"}, ("0", "1"), ["0", "1", "1"]),
        ({"0.5"}, ("cat", "dog"), ["cat", "dog", "dog"]),
        ({"9", "10"}, ("9.0", "10.00"), ["9", "10", "10"]),
        ({"1", "2"}, ("cat", "dog"), ["cat", "dog", "dog"]),
    ],
)
def test_labels_are_written_as_the_sample_writes_them(
    tmp_path: Path, shown: set[str], targets: tuple[str, ...], expected: list[str]
) -> None:
    rules = competition(tmp_path, "binary", "accuracy", 'label = "y"')
    asked = replace(sample("id", "y", ids="abc"), shown=frozenset(shown))
    frame = make_submission(rules, asked, IDS, targets, np.eye(2)[[0, 1, 1]])
    assert frame["y"].tolist() == expected


def test_columns_and_order_are_the_samples(tmp_path: Path) -> None:
    frame = make_submission(
        competition(tmp_path), sample("cat", "id", "ant", "bee"), IDS, TARGETS, PREDICTIONS
    )
    assert list(frame.columns) == ["cat", "id", "ant", "bee"]
    assert list(frame["id"]) == ["c", "a", "b"]
    assert frame["ant"].tolist() == ["1e-07", "0.7", "0.333333333"]


@pytest.mark.parametrize(
    ("task", "metric", "label", "columns"),
    [
        ("multiclass", "log_loss", 'label = "y"', ["id", *TARGETS]),
        ("multiclass", "accuracy", 'label = "y"', ["id", "y"]),
        ("multiclass", "map@3", 'label = "y"', ["id", "y"]),
        ("multilabel", "f1_micro", LISTED, ["id", *TARGETS]),
        ("multilabel", "map@3", JOINED, ["id", "labels"]),
    ],
)
def test_without_a_sample_the_form_decides(
    tmp_path: Path, task: str, metric: str, label: str, columns: list[str]
) -> None:
    rules = competition(tmp_path, task, metric, label)
    frame = make_submission(rules, None, IDS, TARGETS, PREDICTIONS)
    assert list(frame.columns) == columns
    assert list(frame["id"]) == list("abc")


@pytest.mark.parametrize("concentration", [0.001, 0.05, 1.0, 1000.0])
def test_rows_of_text_sum_to_one(tmp_path: Path, concentration: float) -> None:
    """Also where a member's float32 rows do not quite."""
    random = np.random.default_rng(0)
    names = tuple(f"c{i}" for i in range(1200))
    ids = np.array([f"{i}" for i in range(20)], dtype=object)
    predictions = random.dirichlet(np.full(1200, concentration), 20).astype(np.float32) * 1.0001
    rules = competition(tmp_path)
    frame = make_submission(rules, None, ids, names, predictions)
    check_submission(Path("s.csv"), frame, rules, "id", names, ids)


def test_labels_that_cannot_be_joined_are_named(tmp_path: Path) -> None:
    rules = competition(tmp_path, "multiclass", "map@2")
    with pytest.raises(DataError, match="joined by ' ', and 'big cat' has one in it"):
        make_submission(rules, None, IDS, ("ant", "bee", "big cat"), PREDICTIONS)


def test_one_column_cannot_hold_a_probability_a_label(tmp_path: Path) -> None:
    rules = competition(tmp_path, "multilabel", "roc_auc", 'label = "labels"')
    with pytest.raises(ConfigError, match=r"'roc_auc' needs a column a label, and .* 'labels'"):
        make_submission(rules, sample("id", "labels", ids="abc"), IDS, TARGETS, LABELS)


def test_labels_are_joined_as_the_table_joins_them(tmp_path: Path) -> None:
    rules = competition(tmp_path, "multilabel", "f1_samples", 'label = "labels"\nseparator = "|"')
    targets = ("a b", "c", "d")
    frame = make_submission(rules, sample("id", "labels", ids="abc"), IDS, targets, DECIDED)
    assert frame["labels"].tolist() == ["a b|d", "c", "d"]


def test_a_class_called_as_the_id_column_needs_a_sample(tmp_path: Path) -> None:
    rules, targets = competition(tmp_path), ("ant", "id", "cat")
    with pytest.raises(ConfigError, match="'id' would share its column's name with the ids"):
        make_submission(rules, None, IDS, targets, PREDICTIONS)
    asked = sample("name", "cat", "id", "ant", id_column="name")
    frame = make_submission(rules, asked, IDS, targets, PREDICTIONS)
    assert list(frame.columns) == ["name", "cat", "id", "ant"]
