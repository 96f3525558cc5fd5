"""Out-of-fold files: what is written is read back, and what does not fit is refused by name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import CLASSES

from harness.errors import WorkspaceError
from harness.records import write_parquet
from harness.workspace import Workspace
from harness.workspace.oof import (
    given_file,
    oof_files,
    oof_metadata,
    read_oof,
    read_predictions,
    write_oof,
)
from harness.workspace.training import TrainingRows, read_training

Predictions = np.ndarray


@pytest.fixture
def training(harness: Callable[..., int], workspace: Path) -> TrainingRows:
    assert harness("fold") == 0
    return read_training(Workspace.open(workspace))


@pytest.fixture
def predictions() -> Predictions:
    return np.random.default_rng(0).dirichlet(np.ones(3), 30).astype(np.float32)


def write(path: Path, training: TrainingRows, predictions: Predictions, **metadata: str) -> None:
    write_oof(path, training, predictions, {"folds": training.folds.digest, **metadata})


def test_what_is_written_is_read(
    tmp_path: Path, training: TrainingRows, predictions: Predictions
) -> None:
    path = tmp_path / "a.parquet"
    write(path, training, predictions, run="a", seconds="1.5")
    member = read_oof(path, training)
    assert member.name == "a"
    assert (member.predictions == predictions).all()
    assert oof_metadata(path)["seconds"] == "1.5"


def test_the_order_of_rows_and_columns_does_not_matter(
    tmp_path: Path, training: TrainingRows, predictions: Predictions
) -> None:
    write(tmp_path / "a.parquet", training, predictions)
    frame = pd.read_parquet(tmp_path / "a.parquet")
    shuffled = frame.sample(frac=1, random_state=1)[["cat", "fold", "ant", "id", "bee"]]
    shuffled.to_parquet(tmp_path / "b.parquet")
    assert (read_oof(tmp_path / "b.parquet", training).predictions == predictions).all()


Damage = Callable[[pd.DataFrame], pd.DataFrame]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "a row is missing": (lambda f: f.iloc[1:], "'000'"),
    "a row is extra": (
        lambda f: pd.concat([f, f.iloc[:1].assign(id="zzz")], ignore_index=True),
        "'zzz'",
    ),
    "a row stands twice": (lambda f: pd.concat([f, f.iloc[:1]], ignore_index=True), "ids"),
    "a row is in another fold": (
        lambda f: f.assign(fold=np.where(f["id"] == "004", (f["fold"] + 1) % 3, f["fold"])),
        "'004'",
    ),
    "NaN": (
        lambda f: f.assign(bee=np.where(f["id"] == "004", np.nan, f["bee"])),
        "'004', column 'bee' holds NaN",
    ),
    "infinity": (
        lambda f: f.assign(bee=np.where(f["id"] == "004", np.inf, f["bee"])),
        "'004', column 'bee' holds NaN or infinity",
    ),
    "does not sum to one": (
        lambda f: f.assign(bee=np.where(f["id"] == "004", f["bee"] * 0.9, f["bee"])),
        "'004' sums to 0",
    ),
    "negative": (
        lambda f: f.assign(ant=-f["ant"], bee=f["bee"] + 2 * f["ant"]),
        "'000', column 'ant' holds -0.* no probability",
    ),
    "more than one": (
        lambda f: f.assign(ant=1.5, bee=-0.5, cat=0.0),
        "column 'ant' holds 1.5, which is no probability",
    ),
    "a constant column": (
        lambda f: f.assign(ant=0.25, bee=f["bee"] / (f["bee"] + f["cat"]) * 0.75).assign(
            cat=lambda g: 0.75 - g["bee"]
        ),
        "column 'ant' holds 0.25 in every row",
    ),
    "text for numbers": (
        lambda f: f.assign(bee=f["bee"].map("about {:.1f}".format)),
        "column 'bee': cannot be read",
    ),
    "no id": (lambda f: f.assign(id=f["id"].where(f["id"] != "004", None)), "row without an id"),
    "no fold column": (lambda f: f.drop(columns="fold"), "no column 'fold'"),
    "no class column": (lambda f: f.drop(columns="bee"), "no column 'bee'"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_does_not_fit_is_refused(
    name: str, tmp_path: Path, training: TrainingRows, predictions: Predictions
) -> None:
    damage, message = DAMAGES[name]
    write(tmp_path / "a.parquet", training, predictions)
    damage(pd.read_parquet(tmp_path / "a.parquet")).to_parquet(tmp_path / "b.parquet", index=False)
    with pytest.raises(WorkspaceError, match=message) as raised:
        read_oof(tmp_path / "b.parquet", training)
    assert "b.parquet" in str(raised.value)


def test_another_folds_digest_is_refused_with_both(
    tmp_path: Path, training: TrainingRows, predictions: Predictions
) -> None:
    path = tmp_path / "a.parquet"
    write_oof(path, training, predictions, {"folds": "0123abcd"})
    with pytest.raises(WorkspaceError, match=f"0123abcd.*{training.folds.digest}"):
        read_oof(path, training)


def test_the_right_digest_does_not_excuse_other_ids(
    tmp_path: Path, training: TrainingRows, predictions: Predictions
) -> None:
    path = tmp_path / "a.parquet"
    write(path, training, predictions)
    whole = pq.read_table(path)
    for rows, message in ((whole.slice(1), "1 row.* missing.*'000'"), (whole.slice(0, 1), "twice")):
        damaged = rows if message != "twice" else pa.concat_tables([whole, rows])
        write_parquet(path, damaged.replace_schema_metadata(whole.schema.metadata))
        with pytest.raises(WorkspaceError, match=message):
            read_oof(path, training)


def test_garbage_is_refused(tmp_path: Path, training: TrainingRows) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        read_oof(tmp_path / "a.parquet", training)


def test_multilabel_probabilities_need_not_sum_to_one_but_lie_in_0_to_1(
    tmp_path: Path, training: TrainingRows, predictions: Predictions
) -> None:
    labels = replace(training, task="multilabel")
    write(tmp_path / "a.parquet", labels, predictions * 0.7)
    assert read_oof(tmp_path / "a.parquet", labels).predictions.max() < 0.7
    write(tmp_path / "a.parquet", labels, predictions + 0.5)
    with pytest.raises(WorkspaceError, match=r"no probability; .* between 0 and 1$"):
        read_oof(tmp_path / "a.parquet", labels)


def test_values_may_be_any_number(
    tmp_path: Path, training: TrainingRows, predictions: Predictions
) -> None:
    values = replace(training, task="regression", targets=("size",))
    write(tmp_path / "a.parquet", values, 100 * predictions[:, :1] - 50)
    assert read_oof(tmp_path / "a.parquet", values).predictions.min() < -10


def test_a_column_may_be_constant_where_the_label_is(
    tmp_path: Path, training: TrainingRows, predictions: Predictions
) -> None:
    target = np.zeros((30, 3), np.int8)
    target[::2, 1] = 1
    labels = replace(training, task="multilabel", target=target)
    predictions[:, 0] = 1e-4
    write(tmp_path / "a.parquet", labels, predictions)
    assert (read_oof(tmp_path / "a.parquet", labels).predictions == predictions).all()
    predictions[:, 1] = 0.5
    write(tmp_path / "a.parquet", labels, predictions)
    with pytest.raises(WorkspaceError, match=r"column 'bee' holds 0\.5 in every row"):
        read_oof(tmp_path / "a.parquet", labels)


def test_classes_may_be_called_as_the_other_columns_are(
    tmp_path: Path, training: TrainingRows, predictions: Predictions
) -> None:
    path = tmp_path / "a.parquet"
    named = replace(training, targets=("fold", "target:fold", "id"))
    write(path, named, predictions)
    assert (read_oof(path, named).predictions == predictions).all()
    frame = pd.read_parquet(path)
    assert frame["id"].tolist() == training.ids.tolist()
    assert frame["fold"].tolist() == training.assignment[:, 0].tolist()
    ids = training.ids
    assert (read_predictions(path, ids, named.targets, "multiclass") == predictions).all()


def test_predictions_for_a_class_called_fold_may_have_its_plain_name(tmp_path: Path) -> None:
    path = tmp_path / "x.test.parquet"
    pq.write_table(pa.table({"id": ["a"], "fold": [0.25], "bee": [0.75]}), path)
    found = read_predictions(path, np.array(["a"], object), ("fold", "bee"), "multiclass")
    assert found.tolist() == [[0.25, 0.75]]


def test_a_member_made_for_another_task_or_class_is_refused(
    tmp_path: Path, training: TrainingRows, predictions: Predictions
) -> None:
    path = tmp_path / "a.parquet"
    write(path, training, predictions, task="ordinal", config="0123")
    with pytest.raises(WorkspaceError, match=r"made for task 'ordinal', .* says 'multiclass'"):
        read_oof(path, training)
    four = replace(training, targets=(*training.targets, "dog"))
    write(path, four, np.hstack([predictions, predictions[:, :1]]), config="0123")
    with pytest.raises(WorkspaceError, match="a column for 'dog', which is no class now"):
        read_oof(path, training)


def test_predictions_beside_an_oof_file_are_no_member(tmp_path: Path) -> None:
    for name in ("b", "a", "a.test", "a.holdout"):
        (tmp_path / f"{name}.parquet").touch()
    assert oof_files(tmp_path) == [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    assert given_file(tmp_path, "a", "test") == tmp_path / "a.test.parquet"
    with pytest.raises(WorkspaceError, match="holds no OOF file"):
        oof_files(tmp_path / "nowhere")


def given(path: Path, ids: list[str], ant: list[float]) -> None:
    rest = [(1 - p) / 2 for p in ant]
    pq.write_table(pa.table({"id": ids, "ant": ant, "bee": rest, "cat": rest}), path)


def test_test_predictions_are_joined_by_id(tmp_path: Path) -> None:
    path = tmp_path / "x.test.parquet"
    given(path, ["b", "a", "z"], [0.1, 0.2, 0.9])
    ids = np.array(["a", "b"], dtype=object)
    values = read_predictions(path, ids, CLASSES, "multiclass")
    assert values[:, 0].tolist() == pytest.approx([0.2, 0.1])


@pytest.mark.parametrize(
    ("ids", "ant", "message"),
    [
        (["a", "b"], [0.1, 0.2], "lacks 1 id.*'c'"),
        (["a", "c", "a"], [0.1, 0.2, 0.3], "'a' more than once"),
        (["a", "c"], [0.1, float("nan")], "'c', column 'ant' holds NaN"),
        (["a", "c"], [0.1, 1.2], "'c', column 'ant' holds 1.2, which is no probability"),
    ],
)
def test_test_predictions_that_do_not_fit_are_refused(
    ids: list[str], ant: list[float], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.test.parquet"
    given(path, ids, ant)
    wanted = np.array(["a", "c"], dtype=object)
    with pytest.raises(WorkspaceError, match=message):
        read_predictions(path, wanted, CLASSES, "multiclass")
