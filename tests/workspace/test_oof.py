"""Out-of-fold files: what is written is read back, and what does not fit is refused by name."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny import CLASSES

from harness.errors import WorkspaceError
from harness.workspace import Workspace
from harness.workspace.oof import oof_metadata, read_oof, read_test_predictions, write_oof
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
    "NaN": (lambda f: f.assign(bee=np.where(f["id"] == "004", np.nan, f["bee"])), "NaN"),
    "not probabilities": (lambda f: f.assign(bee=f["bee"] + 0.1), "no probabilities"),
    "negative": (
        lambda f: f.assign(ant=-f["ant"], bee=f["bee"] + 2 * f["ant"]),
        "no probabilities",
    ),
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


def test_garbage_is_refused(tmp_path: Path, training: TrainingRows) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(WorkspaceError, match="cannot be read"):
        read_oof(tmp_path / "a.parquet", training)


def test_test_predictions_are_joined_by_id(tmp_path: Path) -> None:
    table = pa.table({"id": ["b", "a"], "ant": [0.1, 0.2], "bee": [0.3, 0.4], "cat": [0.6, 0.4]})
    pq.write_table(table, tmp_path / "x.test.parquet")
    ids = np.array(["a", "b"], dtype=object)
    values = read_test_predictions(tmp_path / "x.test.parquet", ids, CLASSES)
    assert values[:, 0].tolist() == pytest.approx([0.2, 0.1])
    with pytest.raises(WorkspaceError, match="lacks 1 test id"):
        read_test_predictions(
            tmp_path / "x.test.parquet", np.array(["a", "c"], dtype=object), CLASSES
        )
