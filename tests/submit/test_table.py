"""The submission's table: the sample's rules, and what a grader refuses."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import TOML, write_table

from harness.competition import Competition, load_competition
from harness.data.table import Sample
from harness.errors import DataError
from harness.submit.table import check_submission, grade, make_submission

IDS = np.array(["a", "b", "c"], dtype=object)
PREDICTIONS = np.array([[0.7, 0.2, 0.1], [1 / 3, 1 / 3, 1 / 3], [1e-7, 0.5, 0.4999999]])
TARGETS = ("ant", "bee", "cat")


def competition(folder: Path, task: str = "multiclass", metric: str = "log_loss") -> Competition:
    text = TOML.replace('"multiclass"', f'"{task}"').replace('"log_loss"', f'"{metric}"')
    (folder / "competition.toml").write_text(text, encoding="utf-8")
    return load_competition(folder / "competition.toml")


def sample(*columns: str, ids: str = "cab") -> Sample:
    return Sample(Path("sample.csv"), columns, "id", np.array(list(ids), dtype=object))


def test_columns_and_order_are_the_samples(tmp_path: Path) -> None:
    frame = make_submission(
        competition(tmp_path), sample("cat", "id", "ant", "bee"), IDS, TARGETS, PREDICTIONS
    )
    assert list(frame.columns) == ["cat", "id", "ant", "bee"]
    assert list(frame["id"]) == ["c", "a", "b"]
    assert frame["ant"].tolist() == ["1e-07", "0.7", "0.333333333"]


def test_rows_of_text_sum_to_one(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    names = tuple(f"c{i}" for i in range(120))
    ids = np.array([f"{i}" for i in range(200)], dtype=object)
    predictions = random.dirichlet(np.full(120, 0.05), 200)
    frame = make_submission(competition(tmp_path), None, ids, names, predictions)
    check_submission(Path("s.csv"), frame, competition(tmp_path), "id", names, ids)


def test_binary_submits_the_second_class(tmp_path: Path) -> None:
    frame = make_submission(
        competition(tmp_path, "binary"),
        sample("id", "label"),
        IDS,
        ("cat", "dog"),
        PREDICTIONS[:, :2],
    )
    assert frame["label"].tolist() == ["0.5", "0.2", "0.333333333"]


def test_label_metrics_submit_labels(tmp_path: Path) -> None:
    frame = make_submission(
        competition(tmp_path, metric="accuracy"), sample("id", "label"), IDS, TARGETS, PREDICTIONS
    )
    assert frame["label"].tolist() == ["bee", "ant", "ant"]


def good() -> pd.DataFrame:
    cells = {"id": list("abc"), "ant": ["0.5"] * 3, "bee": ["0.25"] * 3, "cat": ["0.25"] * 3}
    return pd.DataFrame(cells, dtype=object)


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("id", 1, "a", "id 'a' stands twice"),
        ("id", 1, "x", "unknown id 'x'"),
        ("ant", 1, "", r"row 3 \(id 'b'\), column 'ant' is empty"),
        ("bee", 2, "nan", r"row 4 \(id 'c'\), column 'bee' is not a number"),
        ("bee", 2, "inf", "is not a number"),
        ("bee", 0, "1.2", r"row 2 \(id 'a'\), column 'bee' is outside"),
        ("bee", 0, "-0.1", "is outside"),
        ("cat", 1, "0.2501", r"row 3 \(id 'b'\) sums to 1.0001"),
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


def test_columns_and_rows_must_be_complete(tmp_path: Path) -> None:
    rules = competition(tmp_path)
    for frame, message in (
        (good().drop(columns="bee"), "no column 'bee'"),
        (good().assign(dog="0"), "extra column 'dog'"),
        (good().iloc[:2], r"lacks 1 id\(s\), the first is 'c'"),
    ):
        with pytest.raises(DataError, match=message):
            check_submission(Path("s.csv"), frame, rules, "id", TARGETS, IDS)


def test_grade_by_hand(tmp_path: Path) -> None:
    good().to_csv(tmp_path / "s.csv", index=False)
    write_table(tmp_path / "t.csv", ["id", "label"], [["b", "ant"], ["a", "bee"], ["c", "ant"]])
    rules = competition(tmp_path)
    score = grade(tmp_path / "s.csv", tmp_path / "t.csv", rules, None, rules.metric)
    assert score == pytest.approx(-(2 * np.log(0.5) + np.log(0.25)) / 3)


def test_grade_labels_and_probabilities_of_one_column(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ["id", "label"], [["a", "yes"], ["b", "no"], ["c", "no"]])
    write_table(tmp_path / "s.csv", ["id", "label"], [["a", "yes"], ["b", "yes"], ["c", "no"]])
    rules = competition(tmp_path, "binary", "accuracy")
    assert grade(
        tmp_path / "s.csv", tmp_path / "t.csv", rules, None, rules.metric
    ) == pytest.approx(2 / 3)
    write_table(tmp_path / "s.csv", ["id", "label"], [["a", 0.9], ["b", 0.8], ["c", 0.4]])
    rules = competition(tmp_path, "binary", "roc_auc")
    assert grade(tmp_path / "s.csv", tmp_path / "t.csv", rules, None, rules.metric) == 1.0
