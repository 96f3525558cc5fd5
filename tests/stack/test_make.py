"""oof/ in, models/ensemble/ out: what is believed, what is refused, what submit gets of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tiny import CLASSES, edit, write_table

from harness.estimate import Estimate
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble, read_ensemble
from harness.workspace.submissions import read_sidecar
from harness.workspace.training import TrainingRows, read_training

Harness = Callable[..., int]

ROWS = 240


@pytest.fixture
def labelled(workspace: Path) -> Path:
    """The workspace with more labelled rows, a holdout, and columns beside the labels.

    ``hint`` is the class as text where it is known, ``age`` a number that says nothing.
    """
    draw = np.random.default_rng(0)
    labels = draw.choice(CLASSES, ROWS)
    hint = np.where(draw.random(ROWS) < 0.8, labels, "")
    rows = [
        [f"{i:03d}", label, f"is {known}" if known else "", f"{age:.1f}"]
        for i, (label, known, age) in enumerate(
            zip(labels, hint, 40 + draw.normal(size=ROWS), strict=True), start=100
        )
    ]
    write_table(workspace / "data/train.csv", ["id", "label", "hint", "age"], rows)
    solution = pd.read_csv(workspace / "data/solution.csv", dtype=str)
    test = [[id_, f"is {label}", "40"] for id_, label in solution.itertuples(index=False)]
    write_table(workspace / "data/test.csv", ["id", "hint", "age"], test)
    edit(workspace / "competition.toml", "seed = 7", "seed = 7\nholdout = 0.2")
    return workspace


def guesses(labels: Any, noise: float, seed: int) -> np.ndarray:
    """(rows, classes) probabilities that know the labels through noise."""
    draw = np.random.default_rng(seed)
    right = np.array(CLASSES) == np.asarray(labels, dtype=object)[:, None]
    seen = np.exp(1.5 * right + noise * draw.normal(size=right.shape))
    return seen / seen.sum(axis=1, keepdims=True)


def bring(
    workspace: Path, name: str, noise: float = 1.0, seed: int = 0, *, holdout: float | None = None
) -> None:
    """A member of another tool: its OOF file, its test file, and perhaps its holdout file.

    ``holdout`` is the noise of the predictions there.
    """
    training: TrainingRows = read_training(Workspace.open(workspace))
    labels = np.array(CLASSES)[training.target]
    (workspace / "oof").mkdir(exist_ok=True)

    def write(file: str, ids: Any, labels: Any, noise: float, seed: int, **more: Any) -> None:
        columns = dict(zip(CLASSES, guesses(labels, noise, seed).T, strict=True))
        frame = pd.DataFrame({"id": ids, **more, **columns})
        frame.to_parquet(workspace / f"oof/{file}.parquet")

    inside, outside = training.rows_in_folds, training.holdout_rows
    fold = training.assignment[inside, 0]
    write(name, training.ids[inside], labels[inside], noise, seed, fold=fold)
    if holdout is not None:
        write(f"{name}.holdout", training.ids[outside], labels[outside], holdout, seed + 1)
    solution = pd.read_csv(workspace / "data/solution.csv", dtype=str)
    write(f"{name}.test", solution["id"], solution["label"], noise, seed + 2)


def stacked(workspace: Path) -> Ensemble:
    return read_ensemble(workspace / "models/ensemble")


def test_what_is_believed_is_the_choice_nested(
    harness: Harness,
    labelled: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    believed = Estimate(0.75, 0.5, 1.5)
    monkeypatch.setattr("harness.stack.make.score_of_choice", lambda *_, **__: believed)
    assert harness("fold") == 0
    for seed in range(3):
        bring(labelled, f"m{seed}", seed=seed)
    for verb in ("stack", "submit"):
        assert harness(verb) == 0
    ensemble = stacked(labelled)
    assert ensemble.estimate == believed
    assert ensemble.chosen.nested != 0.75
    assert ensemble.rows == 192
    printed = capsys.readouterr().out
    line = next(line for line in printed.splitlines() if "with the choice" in line)
    assert "0.7500  0.5000 – 1.5000" in line
    (path,) = (labelled / "submissions").glob("*.csv")
    sidecar = read_sidecar(path)
    assert sidecar is not None
    assert (sidecar.nested, sidecar.low, sidecar.high) == (0.75, 0.5, 1.5)
    expected = believed.for_new_rows(192, 9).within(0, float("inf"))
    assert (sidecar.expected_low, sidecar.expected_high) == (expected.low, expected.high)


def test_the_estimate_of_the_choice_is_no_narrower_than_the_methods_own(
    harness: Harness, labelled: Path
) -> None:
    assert harness("fold") == 0
    for seed in range(3):
        bring(labelled, f"m{seed}", seed=seed)
    assert harness("stack") == 0
    ensemble = stacked(labelled)
    assert ensemble.low < ensemble.nested < ensemble.high
    own = ensemble.chosen
    assert ensemble.high - ensemble.low >= own.high - own.low - 1e-12


def test_a_graded_submission_is_held_against_what_was_expected(
    harness: Harness,
    labelled: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert harness("fold") == 0
    for seed in range(2):
        bring(labelled, f"m{seed}", seed=seed)
    for believed, place in ((Estimate(0.5, -9, 9), "inside"), (Estimate(50, 49.9, 50.1), "below")):
        monkeypatch.setattr("harness.stack.make.score_of_choice", lambda *_, b=believed, **__: b)
        (labelled / "models/ensemble/ensemble.json").unlink(missing_ok=True)
        assert harness("stack") == 0
        assert harness("submit", "--name", place) == 0
        capsys.readouterr()
        assert harness("grade", str(labelled / f"submissions/{place}.csv")) == 0
        said = capsys.readouterr().out
        assert f"that is {place} " in said
        assert "expected for 9 new rows" in said
    assert harness("grade", str(labelled / "submissions/inside.csv"), "--metric", "accuracy") == 0
    assert "expected" not in capsys.readouterr().out  # it was expected of another metric


def test_what_the_members_add_is_said_and_kept(
    harness: Harness, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0
    bring(labelled, "sharp", 0.3, seed=0)
    bring(labelled, "other", 0.5, seed=10)
    bring(labelled, "noise", 30.0, seed=20)
    assert harness("stack") == 0
    printed = capsys.readouterr().out
    sentences = stacked(labelled).diversity
    assert sentences
    for sentence in sentences:
        assert sentence in printed
    assert any("Train another like sharp" in sentence for sentence in sentences)
    assert harness("stack") == 0
    assert sentences[0] in capsys.readouterr().out  # the second time, too


def test_the_same_member_twice_is_refused(
    harness: Harness, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0
    bring(labelled, "one", seed=0)
    bring(labelled, "two", seed=0)
    assert harness("stack") == 2
    assert "two.parquet: holds the same as one.parquet" in capsys.readouterr().err


@pytest.mark.parametrize(("column", "found"), [("bee", "NaN"), ("cat", "in every row")])
def test_a_member_that_cannot_be_is_named(
    column: str, found: str, harness: Harness, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0
    bring(labelled, "one")
    path = labelled / "oof/one.parquet"
    frame = pd.read_parquet(path)
    if found == "NaN":
        frame.loc[7, column] = np.nan
    else:
        frame[list(CLASSES)] *= 0.5 / (1 - frame[["cat"]].to_numpy())
        frame["cat"] = 0.5
    frame.to_parquet(path)
    assert harness("stack") == 2
    error = capsys.readouterr().err
    assert "one.parquet" in error
    assert repr(column) in error
    assert found in error
    assert not (labelled / "models/ensemble").exists()


def test_a_member_that_is_better_than_its_holdout_allows_is_refused(
    harness: Harness, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0
    bring(labelled, "honest", 1.0, seed=0, holdout=1.0)
    assert harness("stack") == 0
    printed = capsys.readouterr().out
    assert "honest: log_loss on 48 holdout rows is" in printed
    bring(labelled, "leaky", 0.1, seed=5, holdout=3.0)
    assert harness("stack") == 2
    error = capsys.readouterr().err
    assert "leaky.parquet: is too good out of fold" in error
    assert "standard errors apart" in error
    (labelled / "oof/leaky.holdout.parquet").unlink()
    assert harness("stack", "--all") == 0
    assert "leaky: not measured on the holdout (no predictions for it)." in capsys.readouterr().out


def test_without_a_holdout_nothing_is_measured(
    harness: Harness, labelled: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(labelled / "competition.toml", "holdout = 0.2", "holdout = 0.0")
    assert harness("fold") == 0
    bring(labelled, "one")
    assert harness("stack") == 0
    assert "not measured: no holdout" in capsys.readouterr().out


def test_a_damaged_ensemble_is_made_again(harness: Harness, labelled: Path) -> None:
    assert harness("fold") == 0
    bring(labelled, "one")
    assert harness("stack") == 0
    path = labelled / "models/ensemble/ensemble.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole)[:200])
    assert harness("stack") == 0
    again = json.loads(path.read_text())
    assert again["blend"] == whole["blend"]


def test_other_test_predictions_make_another_submission(harness: Harness, labelled: Path) -> None:
    assert harness("fold") == 0
    bring(labelled, "one")
    for verb in ("stack", "submit"):
        assert harness(verb) == 0
    (path,) = (labelled / "submissions").glob("*.csv")
    before = path.read_bytes()
    assert harness("submit") == 0
    assert path.read_bytes() == before
    given = labelled / "oof/one.test.parquet"
    frame = pd.read_parquet(given)
    frame[list(CLASSES)] = frame[list(CLASSES)].to_numpy()[:, ::-1]
    frame.to_parquet(given)
    assert harness("submit") == 0
    assert path.read_bytes() != before


def with_metadata(workspace: Path, columns: str = '"hint", "age"') -> None:
    edit(
        workspace / "competition.toml",
        'methods = ["best", "mean", "weighted"]',
        f'methods = ["logistic"]\nmetadata = [{columns}]',
    )


def test_metadata_enters_the_meta_learners_and_reaches_the_submission(
    harness: Harness, labelled: Path
) -> None:
    with_metadata(labelled)
    assert harness("fold") == 0
    bring(labelled, "weak", noise=4.0)
    for verb in ("stack", "submit"):
        assert harness(verb) == 0
    ensemble = stacked(labelled)
    assert [column.name for column in ensemble.metadata] == ["hint", "age"]
    assert ensemble.metadata[0].categories == ("is ant", "is bee", "is cat")
    assert ensemble.method == "logistic"
    assert ensemble.chosen.over_best.low > 0
    truth = pd.read_csv(labelled / "data/solution.csv", dtype=str).set_index("id")["label"]
    (path,) = (labelled / "submissions").glob("*.csv")
    frame = pd.read_csv(path, dtype={"id": str}).set_index("id")
    assert (frame.idxmax(axis=1) == truth.loc[frame.index]).all()  # each row has its hint

    edit(labelled / "competition.toml", '\nmetadata = ["hint", "age"]', "")  # stack's word counts
    assert harness("submit") == 0
    again = pd.read_csv(path, dtype={"id": str}).set_index("id")
    pd.testing.assert_frame_equal(again, frame)

    test = pd.read_csv(labelled / "data/test.csv", dtype=str)
    test["hint"] = "never seen"
    test.to_csv(labelled / "data/test.csv", index=False)
    assert harness("submit") == 0
    blind = pd.read_csv(path, dtype={"id": str}).set_index("id")
    assert (blind.idxmax(axis=1) != frame.idxmax(axis=1)).any()
    assert np.isfinite(blind.to_numpy()).all()


def test_other_metadata_make_another_ensemble(harness: Harness, labelled: Path) -> None:
    with_metadata(labelled)
    assert harness("fold") == 0
    bring(labelled, "weak", noise=4.0)
    assert harness("stack") == 0
    before = stacked(labelled).inputs
    edit(labelled / "data/train.csv", "is ant", "is bee")
    assert harness("stack") == 0
    assert stacked(labelled).inputs != before


@pytest.mark.parametrize(
    ("columns", "verb", "message"),
    [
        ('"agee"', "fold", "train.csv: has no column 'agee'; did you mean 'age'?"),
        ('"label"', "fold", "metadata names 'label', which is the id or the label"),
        ('"id"', "fold", "metadata names 'id', which is the id or the label"),
        ('"hint"', "submit", "test.csv: has no column 'hint'"),
    ],
)
def test_metadata_that_is_not_there_is_named(
    columns: str,
    verb: str,
    message: str,
    harness: Harness,
    labelled: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with_metadata(labelled, columns)
    if verb == "submit":
        assert harness("fold") == 0
        bring(labelled, "weak", noise=4.0)
        assert harness("stack") == 0
        test = pd.read_csv(labelled / "data/test.csv", dtype=str).drop(columns="hint")
        test.to_csv(labelled / "data/test.csv", index=False)
    assert harness(verb) == 2
    assert message in capsys.readouterr().err
