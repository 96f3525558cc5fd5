"""Submissions against solutions, by hand."""

from pathlib import Path

import numpy as np
import pytest
from submit.rules import competition
from tiny import write_table

from harness.competition import Competition
from harness.data.sample import Sample
from harness.errors import ConfigError, DataError
from harness.metrics import get_metric
from harness.submit.grade import grade

LISTED = 'labels = ["ant", "big bee"]'


def graded(
    folder: Path,
    task: str,
    metric: str,
    given: list[list[object]],
    solution: list[list[object]],
    label: str = 'label = "label"',
) -> float:
    """The score of a table (its header first) against a solution."""
    write_table(folder / "given.csv", [str(name) for name in given[0]], given[1:])
    write_table(folder / "solution.csv", [str(name) for name in solution[0]], solution[1:])
    rules = competition(folder, task, metric, label)
    return graded_parts(folder, rules)["all"]


def graded_parts(folder: Path, rules: Competition) -> dict[str, float]:
    return grade(folder / "given.csv", folder / "solution.csv", rules, None, rules.metric)


PROBABILITIES: list[list[object]] = [
    ["id", "ant", "bee"],
    ["a", 0.25, 0.75],
    ["b", 0.5, 0.5],
    ["c", 0.5, 0.5],
]
LABELS: list[list[object]] = [["id", "label"], ["b", "ant"], ["a", "bee"], ["c", "ant"]]


def test_rows_are_matched_by_id(tmp_path: Path) -> None:
    score = graded(tmp_path, "multiclass", "log_loss", PROBABILITIES, LABELS)
    assert score == pytest.approx(-(2 * np.log(0.5) + np.log(0.75)) / 3)


def test_a_published_solution_is_scored_by_its_parts(tmp_path: Path) -> None:
    given = [["id", "label"], *map(list, zip("abcde", "xxyyx", strict=True))]
    usage = ["Public", "Private", " public", "Private", "Ignored"]
    solution: list[list[object]] = [
        ["Usage", "id", "label"],
        *map(list, zip(usage, "abcde", "xyyyy", strict=True)),
    ]
    assert graded(tmp_path, "multiclass", "accuracy", given, solution) == 3 / 4  # type: ignore[arg-type]
    rules = competition(tmp_path, "multiclass", "accuracy")
    assert graded_parts(tmp_path, rules) == {"all": 3 / 4, "public": 1.0, "private": 1 / 2}


def test_the_submission_s_column_is_found_among_others(tmp_path: Path) -> None:
    given: list[list[object]] = [["id", "kind"], ["a", "x"], ["b", "y"]]
    solution: list[list[object]] = [["id", "site", "kind"], ["b", "s", "y"], ["a", "t", "y"]]
    assert graded(tmp_path, "multiclass", "accuracy", given, solution) == 1 / 2


def test_empty_answers_are_right_where_the_solution_has_some(tmp_path: Path) -> None:
    given: list[list[object]] = [["id", "label"], ["a", ""], ["b", "x"]]
    solution: list[list[object]] = [["id", "label"], ["a", ""], ["b", "x y"]]
    score = graded(tmp_path, "multilabel", "f1_samples", given, solution)
    assert score == pytest.approx((1 + 2 / 3) / 2)
    solution[1][1] = "y"
    with pytest.raises(DataError, match="is empty"):
        graded(tmp_path, "multilabel", "f1_samples", given, solution)


@pytest.mark.parametrize("metric", ["f1_samples", "map@3"])
def test_joined_labels_are_written_as_the_solution_writes_them(tmp_path: Path, metric: str) -> None:
    given: list[list[object]] = [["id", "label"], ["a", "x z"], ["b", "y X"]]
    solution: list[list[object]] = [["id", "label"], ["a", "x"], ["b", "y"]]
    with pytest.raises(DataError, match="of id 'b' holds 'X'; write 'x' as the solution"):
        graded(tmp_path, "multilabel", metric, given, solution)
    given = [["id", "label"], ["a", "x,y"], ["b", "y,x"]]
    with pytest.raises(DataError, match="holds no label of the solution, neither 'x,y' nor any"):
        graded(tmp_path, "multilabel", metric, given, solution)


@pytest.mark.filterwarnings("error")
def test_kappa_of_a_single_class_has_no_value_and_gives_no_warning(tmp_path: Path) -> None:
    same: list[list[object]] = [["id", "label"], ["a", 2], ["b", 2]]
    with pytest.raises(DataError, match="leaves quadratic_weighted_kappa without a value"):
        graded(tmp_path, "ordinal", "quadratic_weighted_kappa", same, same)


def test_a_solution_may_mark_labels_with_words(tmp_path: Path) -> None:
    given: list[list[object]] = [["id", "ant", "big bee"], ["a", 0.9, 0.4], ["b", 0.2, 0.7]]
    solution: list[list[object]] = [["id", "ant", "big bee"], ["b", False, "TRUE"], ["a", True, 0]]
    assert graded(tmp_path, "multilabel", "roc_auc", given, solution, LISTED) == 1.0


def test_a_solution_may_be_one_hot(tmp_path: Path) -> None:
    solution: list[list[object]] = [["id", "bee", "ant"], ["b", 0, 1], ["a", 1, 0], ["c", 0, 1]]
    score = graded(tmp_path, "multiclass", "log_loss", PROBABILITIES, solution)
    assert score == pytest.approx(-(2 * np.log(0.5) + np.log(0.75)) / 3)


@pytest.mark.parametrize(
    ("task", "metric", "given", "true", "expected"),
    [
        ("binary", "accuracy", ["yes", "yes", "no"], ["yes", "no", "no"], 2 / 3),
        ("binary", "roc_auc", [0.9, 0.8, 0.4], ["yes", "no", "no"], 1.0),
        ("binary", "brier", [0.5, 0.5, 0.5], [0, 0, 0], 0.25),  # no row of the second class
        ("multiclass", "accuracy", ["1", "2", "9"], ["1", "2", "10"], 2 / 3),
        ("binary", "accuracy", ["1", "0", "1"], ["True", "False", "False"], 2 / 3),
        ("binary", "roc_auc", [0.9, 0.8, 0.4], ["True", "False", "False"], 1.0),
        ("multiclass", "accuracy", ["1", "2.0", "9."], ["1.0", "2", "9.5"], 2 / 3),
        # 2 and 3 do not occur, and still 4 is three from 1: 9 of what chance would miss by,
        # (0 + 16 + 1) / 3 for the true 0 and (16 + 0 + 9) / 3 for each true 4
        ("ordinal", "quadratic_weighted_kappa", [0, 4, 1], [0, 4, 4], 1 - 27 / 67),
        ("multiclass", "map@2", ["x y", "y x", "x z"], ["x", "x", "w"], (1 + 1 / 2 + 0) / 3),
        ("multiclass", "map@2", ["x", "y", "z"], ["x", "x", "x"], 1 / 3),  # fewer guesses
        ("multiclass", "top_error@2", ["x y", "y x", "x z"], ["x", "x", "w"], 1 / 3),
        ("regression", "mae", [1, 2.5, -3], [1, 2, -1], 2.5 / 3),
        ("multilabel", "f1_samples", ["x y", "y", "z"], ["x", "y", "x z"], (2 / 3 + 1 + 2 / 3) / 3),
        ("multilabel", "f1_micro", ["x y", "y", "z"], ["x", "y", "x z"], 2 * 3 / (4 + 4)),
        ("multilabel", "map@2", ["x y", "y x", "x"], ["x y", "x", "z"], (1 + 1 / 2 + 0) / 3),
    ],
)
def test_every_form(
    tmp_path: Path,
    task: str,
    metric: str,
    given: list[object],
    true: list[object],
    expected: float,
) -> None:
    tables = [
        [["id", "label"], *map(list, zip("abc", values, strict=True))] for values in (given, true)
    ]
    assert graded(tmp_path, task, metric, *tables) == pytest.approx(expected)


def test_label_columns(tmp_path: Path) -> None:
    header: list[object] = ["id", "ant", "big bee"]
    given = [header, ["a", 0.9, 0.2], ["b", 0.3, 0.8], ["c", 0.6, 0.6]]
    solution = [header, ["c", 1, 0], ["b", 0, 1], ["a", 1, 0]]
    assert graded(tmp_path, "multilabel", "roc_auc", given, solution, LISTED) == 1.0
    accuracy = graded(tmp_path, "multilabel", "accuracy", given, solution, LISTED)
    assert accuracy == pytest.approx(5 / 6)


def test_a_solution_that_does_not_fit_is_told(tmp_path: Path) -> None:
    wrong: list[list[object]] = [["id", "label"], ["a", "bee"], ["b", "cow"], ["c", "ant"]]
    with pytest.raises(DataError, match=r"solution\.csv: holds the label 'cow'"):
        graded(tmp_path, "multiclass", "log_loss", PROBABILITIES, wrong)
    other: list[list[object]] = [["id", "x", "y"], ["a", 1, 1], ["b", 1, 1], ["c", 1, 1]]
    with pytest.raises(DataError, match=r"solution\.csv: has no column 'label'"):
        graded(tmp_path, "multiclass", "log_loss", PROBABILITIES, other)
    two: list[list[object]] = [["id", "label"], ["a", 0.1], ["b", 0.2], ["c", 0.3]]
    for truth, said in (
        (["0", "1", ""], "row of id 'c' has no label"),
        (["0", "1", "7"], "holds 3 labels for one probability: 0, 1, 7"),
        (["1", "1", "1"], "leaves roc_auc without a value"),
    ):
        solution = [["id", "label"], *map(list, zip("abc", truth, strict=True))]
        with pytest.raises(DataError, match=said):
            graded(tmp_path, "binary", "roc_auc", two, solution)
    values: list[list[object]] = [["id", "y"], ["a", 1], ["b", "?"], ["c", 1]]
    with pytest.raises(DataError, match="row of id 'b', column 'y' is not a number"):
        graded(tmp_path, "regression", "rmse", [["id", "y"], ["a", 1], ["b", 1], ["c", 1]], values)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["ant", "Bee", "ant"], "column 'label' of id 'b' holds 'Bee'"),
        (["ant", "bee ", "ant"], "holds 'bee '"),
        (["0", "1", "0"], "holds no label of the solution, neither '0' nor any other"),
    ],
)
def test_labels_written_otherwise_are_refused(tmp_path: Path, given: list[str], said: str) -> None:
    tables: list[list[list[object]]] = [
        [["id", "label"], *map(list, zip("abc", labels, strict=True))]
        for labels in (given, ["ant", "bee", "bee"])
    ]
    with pytest.raises(DataError, match=said):
        graded(tmp_path, "multiclass", "accuracy", *tables)


@pytest.mark.parametrize(("classes", "expected"), [("", 1.0), ('\nclasses = ["yes", "no"]', 0.0)])
def test_the_second_class_is_the_one_asked_for(
    tmp_path: Path, classes: str, expected: float
) -> None:
    given: list[list[object]] = [["id", "label"], ["a", 0.9], ["b", 0.2]]
    solution: list[list[object]] = [["id", "label"], ["a", "yes"], ["b", "no"]]
    label = f'label = "label"{classes}'
    assert graded(tmp_path, "binary", "roc_auc", given, solution, label) == expected
    named = [["id", "label"], ["a", "yes"], ["b", "yes"]]
    f1 = graded(tmp_path, "binary", "f1", named, solution, label)
    assert f1 == pytest.approx(2 / 3 if expected else 0.0)


def test_numbers_may_be_classes_in_another_order(tmp_path: Path) -> None:
    given: list[list[object]] = [["id", "label"], ["a", 0.9], ["b", 0.2]]
    solution: list[list[object]] = [["id", "label"], ["a", 0], ["b", 1]]
    label = 'label = "label"\nclasses = ["1", "0"]'
    assert graded(tmp_path, "binary", "roc_auc", given, solution, label) == 1.0


def test_a_scale_of_words_is_graded_in_its_order(tmp_path: Path) -> None:
    label = 'label = "label"\nclasses = ["low", "mid", "high"]'
    true, given = ["low", "mid", "high", "high"], ["low", "mid", "mid", "high"]
    scores = []
    for names, setting in (({}, label), ({"low": 0, "mid": 1, "high": 2}, 'label = "label"')):
        tables = [
            [
                ["id", "label"],
                *([id_, names.get(c, c)] for id_, c in zip("abcd", cells, strict=True)),
            ]
            for cells in (given, true)
        ]
        scores.append(graded(tmp_path, "ordinal", "quadratic_weighted_kappa", *tables, setting))
    assert scores == pytest.approx([0.8, 0.8])


def test_long_numbers_are_other_labels(tmp_path: Path) -> None:
    given: list[list[object]] = [["id", "label"], ["a", 1000001], ["b", 1000002]]
    solution: list[list[object]] = [["id", "label"], ["a", 1000001], ["b", 1000003]]
    assert graded(tmp_path, "multiclass", "accuracy", given, solution) == 0.5


def test_files_that_are_not_there(tmp_path: Path) -> None:
    rules = competition(tmp_path)
    with pytest.raises(DataError, match=r"x\.csv: there is no such file; check the path"):
        grade(tmp_path / "x.csv", tmp_path / "y.csv", rules, None, rules.metric)


def test_another_metric_must_fit_the_task(tmp_path: Path) -> None:
    rules = competition(tmp_path)
    with pytest.raises(
        ConfigError, match="'rmse' does not fit task 'multiclass'; what does: log_l"
    ):
        grade(tmp_path / "x.csv", tmp_path / "y.csv", rules, None, get_metric("rmse"))


def test_a_submission_may_spell_what_the_sample_spells_and_nothing_else(tmp_path: Path) -> None:
    rules = competition(tmp_path, "multiclass", "accuracy")
    asked = Sample(
        Path("s.csv"), ("id", "label"), "id", np.array(["a"], object), spelled={"a": " a"}
    )
    write_table(tmp_path / "solution.csv", ["id", "label"], [["a", "ant"]])

    def graded_with(id_: str) -> float:
        write_table(tmp_path / "given.csv", ["id", "label"], [[id_, "ant"]])
        given, solution = tmp_path / "given.csv", tmp_path / "solution.csv"
        return grade(given, solution, rules, asked, rules.metric)["all"]

    assert graded_with(" a") == 1.0
    with pytest.raises(DataError, match="row 2 has the unknown id 'a '"):
        graded_with("a ")
