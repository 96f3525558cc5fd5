"""Every form of submission, from members' files to a grade: fold → stack → submit → grade.

The members come from another tool, so that nothing is trained.
"""

import csv
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny import cheap_costs, edit, write_table

from harness.cli import main
from harness.workspace import Workspace
from harness.workspace.oof import target_columns
from harness.workspace.training import read_training

TRAINED, ASKED = 150, 50
NAMES = ("ant", "bee", "cat", "dog")

TOML = """\
[competition]
name = "forms"
task = "{task}"
metric = "{metric}"

[data]
train = "data/train.csv"
images = "data/images/{{id}}.png"
sample_submission = "data/sample.csv"
{label}

[folds]
k = 3

[stack]
methods = ["best", "mean", "weighted"]
"""


@dataclass(frozen=True)
class Form:
    """A competition: ``cells`` makes a row's label cells of its truth (targets,) in 0 and 1 or
    values; ``asked`` are the sample's columns with what stands in them."""

    task: str
    metric: str
    label: str
    columns: tuple[str, ...]
    targets: tuple[str, ...]
    cells: Callable[[np.ndarray], list[str]]
    asked: dict[str, str]
    least: float
    """What two members who know something score at least; of errors the most."""
    empty: bool = False
    """Some rows have no label."""


def one(truth: np.ndarray) -> str:
    return NAMES[int(truth.argmax())]


FORMS = {
    "probability": Form(
        "binary", "roc_auc", 'label = "y"', ("y",), ("0", "1"),
        lambda t: [str(int(t.argmax()))], {"y": "0.5"}, 0.8,
    ),
    "label": Form(
        "multiclass", "f1_macro", 'label = "kind"', ("kind",), NAMES,
        lambda t: [one(t)], {"kind": "ant"}, 0.6,
    ),
    "integers in order": Form(
        "ordinal", "quadratic_weighted_kappa", 'label = "grade"', ("grade",), ("0", "1", "2", "3"),
        lambda t: [str(int(t.argmax()))], {"grade": "0"}, 0.6,
    ),
    "columns that sum to one": Form(
        "multiclass", "log_loss", 'label = "kind"', ("kind",), NAMES,
        lambda t: [one(t)], {"dog": "0.25", "cat": "0.25", "ant": "0.25", "bee": "0.25"}, 1.0,
    ),
    "guesses": Form(
        "multiclass", "map@2", 'label = "kind"', ("kind",), NAMES,
        lambda t: [one(t)], {"kind": "ant bee"}, 0.7,
    ),
    "joined labels": Form(
        "multilabel", "f1_samples", 'label = "labels"', ("labels",), NAMES,
        lambda t: [" ".join(np.array(NAMES)[t == 1])], {"labels": "ant"}, 0.7,
    ),
    "joined labels, some rows without": Form(
        "multilabel", "f1_samples", 'label = "labels"', ("labels",), NAMES,
        lambda t: [" ".join(np.array(NAMES)[t == 1])], {"labels": "ant"}, 0.7, empty=True,
    ),
    "labels that no row and all rows have": Form(
        "multilabel", "roc_auc", 'labels = ["none", "ant", "all"]', ("none", "ant", "all"),
        ("none", "ant", "all"), lambda t: [str(int(x)) for x in t],
        {"all": "0", "none": "0", "ant": "0"}, 0.7,
    ),
    "classes called as columns are": Form(
        "multiclass", "log_loss", 'label = "kind"', ("kind",), ("ant", "fold", "label"),
        lambda t: [("ant", "fold", "label")[int(t.argmax())]],
        {"label": "0.3", "fold": "0.3", "ant": "0.4"}, 1.0,
    ),
    "label columns": Form(
        "multilabel", "f1_micro", 'labels = ["ant", "bee", "cat", "dog"]', NAMES, NAMES,
        lambda t: [str(int(x)) for x in t], {"bee": "0", "ant": "0", "dog": "0", "cat": "0"}, 0.7,
    ),
    "a number": Form(
        "regression", "rmse", 'label = "Pawpularity"', ("Pawpularity",), ("Pawpularity",),
        lambda t: [f"{t[0]:.0f}"], {"Pawpularity": "38.4"}, 12.0,
    ),
}  # fmt: skip


def make_workspace(folder: Path, form: Form) -> Path:
    """Tables, grey pixels for images, and two members that see the truth through noise."""
    draw = np.random.default_rng(0)
    rows, targets = TRAINED + ASKED, len(form.targets)
    signal = draw.normal(size=(rows, targets))
    if form.task == "regression":
        truth = np.clip(40 + 20 * signal, 1, 100).round()
    elif form.task == "multilabel":
        truth = (signal > 0.4).astype(int)
        if not form.empty:
            truth[np.arange(rows), signal.argmax(axis=1)] = 1
        for place, name in enumerate(form.targets):
            truth[:, place] = {"none": 0, "all": 1}.get(name, truth[:, place])
    elif form.task == "ordinal":
        signal = np.stack([-((signal[:, 0] * 1.5 + 1.5 - code) ** 2) for code in range(4)], axis=1)
        truth = (signal == signal.max(axis=1, keepdims=True)).astype(int)
    else:
        truth = (signal == signal.max(axis=1, keepdims=True)).astype(int)
    ids = [f"{i:03d}" for i in range(rows)]
    cells = [form.cells(row) for row in truth]
    (folder / "data/images").mkdir(parents=True)
    for id_ in ids:
        Image.new("L", (2, 2), 9).save(folder / f"data/images/{id_}.png")
    table = [[id_, *row] for id_, row in zip(ids, cells, strict=True)]
    write_table(folder / "data/train.csv", ["id", *form.columns], table[:TRAINED])
    write_table(folder / "data/solution.csv", ["id", *form.columns], table[TRAINED:])
    asked = [[*form.asked.values(), id_] for id_ in reversed(ids[TRAINED:])]
    write_table(folder / "data/sample.csv", [*form.asked, "id"], asked)
    text = TOML.format(task=form.task, metric=form.metric, label=form.label)
    (folder / "competition.toml").write_text(text, encoding="utf-8")
    assert main(["fold", "-C", str(folder)]) == 0
    training = read_training(Workspace.open(folder))
    (folder / "oof").mkdir()
    for name in ("first", "second"):
        seen = predicted(form, signal + 0.6 * draw.normal(size=signal.shape))
        if form.task == "multilabel":  # a label that all rows have, or none, is always known
            constant = truth.min(axis=0) == truth.max(axis=0)
            seen[:, constant] = 0.01 + 0.98 * truth[0, constant]
        frame = pd.DataFrame(seen, columns=list(form.targets))[list(training.targets)]
        frame.columns = pd.Index(target_columns(training.targets))
        frame.insert(0, "id", ids)
        inside = frame.iloc[:TRAINED].assign(fold=training.assignment[:, 0])
        inside.to_parquet(folder / f"oof/{name}.parquet")
        frame.iloc[TRAINED:].to_parquet(folder / f"oof/{name}.test.parquet")
    return folder


def predicted(form: Form, seen: np.ndarray) -> np.ndarray:
    """What a member makes of a noisy signal; of labels it thinks too little."""
    if form.task == "regression":
        return 40 + 25 * seen  # further out than any truth is
    if form.task == "multilabel":
        return 1 / (1 + np.exp(-3 * (seen - 1.2)))
    return np.exp(2 * seen) / np.exp(2 * seen).sum(axis=1, keepdims=True)


@pytest.fixture(params=FORMS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Form]:
    form = FORMS[request.param]
    return make_workspace(tmp_path / "workspace", form), form


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def graded(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> float:
    capsys.readouterr()
    path = folder / f"submissions/{name}.csv"
    assert main(["grade", str(path), "-C", str(folder)]) == 0
    return float(capsys.readouterr().out.split(" scores ")[1].split()[1])


def ensemble(folder: Path) -> dict[str, Any]:
    stored: dict[str, Any] = json.loads((folder / "models/ensemble/ensemble.json").read_text())
    del stored["crc32"]  # the tests change values
    return stored


def test_from_members_to_a_grade(
    made: tuple[Path, Form], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, form = made
    for command in (["stack"], ["submit", "--name", "first"]):
        assert main([*command, "-C", str(folder)]) == 0
    rows = rows_of(folder / "submissions/first.csv")
    assert list(rows[0]) == [*form.asked, "id"]
    assert [row["id"] for row in rows] == [f"{i:03d}" for i in range(199, 149, -1)]
    score = graded(folder, "first", capsys)
    lower_is_better = form.metric in ("log_loss", "rmse")
    assert score <= form.least if lower_is_better else score >= form.least
    if form.task == "regression":
        truth = [float(row["Pawpularity"]) for row in rows_of(folder / "data/train.csv")]
        given = [float(row["Pawpularity"]) for row in rows]
        assert (min(given), max(given)) == (min(truth), max(truth))
    stored = ensemble(folder)
    assert stored["low"] <= stored["nested"] <= stored["high"]


def test_a_rule_that_pays_is_adopted_told_and_applied(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_workspace(tmp_path / "workspace", FORMS["label columns"])
    assert main(["stack", "-C", str(folder)]) == 0
    printed = capsys.readouterr().out
    stored = ensemble(folder)
    assert stored["method"].endswith("+thresholds")
    assert "Decides for labels from these probabilities on: 0." in printed
    assert len(stored["fold_decisions"]) == 3
    plain = next(s for s in stored["scores"] if s["method"] == stored["method"].split("+")[0])
    assert stored["nested"] > plain["nested"] + 0.03
    assert main(["submit", "--name", "ruled", "-C", str(folder)]) == 0
    score = graded(folder, "ruled", capsys)
    path = folder / "models/ensemble/ensemble.json"
    stored["decision"]["numbers"] = [0.5] * 4
    path.write_text(json.dumps(stored), encoding="utf-8")
    assert main(["submit", "--name", "plain", "-C", str(folder)]) == 0
    assert graded(folder, "plain", capsys) < score - 0.03


def test_rows_without_a_label_are_submitted_unless_that_is_forbidden(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_workspace(tmp_path / "workspace", FORMS["joined labels, some rows without"])
    scores = {}
    for name in ("allowed", "forced"):
        assert main(["stack", "-C", str(folder)]) == 0
        told = "Every row gets a label, though some training rows have none: f1_samples"
        assert (told in " ".join(capsys.readouterr().out.split())) == (name == "forced")
        assert main(["submit", "--name", name, "-C", str(folder)]) == 0
        empty = [row for row in rows_of(folder / f"submissions/{name}.csv") if not row["labels"]]
        assert bool(empty) == (name == "allowed")
        scores[name] = graded(folder, name, capsys)
        edit(folder / "competition.toml", "[data]", "[data]\nallow_empty = false")
    assert scores["allowed"] > scores["forced"] + 0.02


CHANGES = {
    "metric": (
        'metric = "f1_macro"',
        'metric = "log_loss"',
        "for metric f1_macro, and now it is log_loss",
    ),
    "task": (
        'task = "multiclass"\nmetric = "f1_macro"',
        'task = "ordinal"\nmetric = "mcc"',
        "for task",
    ),
    "classes": (
        'label = "kind"',
        'label = "kind"\nclasses = ["bee", "ant", "cat", "dog"]',
        "for the classes ant",
    ),
}


def test_an_ensemble_made_for_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_workspace(tmp_path / "workspace", FORMS["label"])
    assert main(["stack", "-C", str(folder)]) == 0
    toml = folder / "competition.toml"
    text = toml.read_text(encoding="utf-8")
    for old, new, said in CHANGES.values():
        edit(toml, old, new)
        for verb in ("submit", "cost"):
            capsys.readouterr()
            assert main([verb, "-C", str(folder)]) == 2
            error = capsys.readouterr().err
            assert f"models/ensemble: was made {said}" in error
            assert "run `python -m harness stack" in error
        toml.write_text(text, encoding="utf-8")
    assert main(["submit", "-C", str(folder)]) == 0


def test_a_sample_with_other_columns_than_the_ensemble_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_workspace(tmp_path / "workspace", FORMS["columns that sum to one"])
    assert main(["stack", "-C", str(folder)]) == 0
    edit(folder / "data/sample.csv", "dog,cat", "emu,cat")
    assert main(["submit", "-C", str(folder)]) == 2
    assert "models/ensemble: lacks the class 'emu'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["integers in order", "joined labels", "guesses"])
def test_within_a_budget_the_same_is_decided(name: str, tmp_path: Path) -> None:
    """In time all rows are as without a limit; without time nothing is promised, or written.

    (The budget counts from the start of the process, which is that of all the tests.)
    """
    folder = make_workspace(tmp_path / "workspace", FORMS[name])
    for command in (
        ["stack"],
        ["cost", *cheap_costs()],
        ["submit", "--name", "free"],
        ["submit", "--name", "timed", "--budget", "2h"],
    ):
        assert main([*command, "-C", str(folder)]) == 0
    free, timed = (folder / f"submissions/{one}.csv" for one in ("free", "timed"))
    assert free.read_text() == timed.read_text()
    assert main(["submit", "--name", "none", "--budget", "0.01s", "-C", str(folder)]) == 2
    assert not (folder / "submissions/none.csv").exists()  # nothing could be promised


def test_a_damaged_decision_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_workspace(tmp_path / "workspace", FORMS["label"])
    assert main(["stack", "-C", str(folder)]) == 0
    stored, path = ensemble(folder), folder / "models/ensemble/ensemble.json"
    for decision in ({"rule": "thresholds"}, {**stored["decision"], "rule": "range"}):
        path.write_text(json.dumps({**stored, "decision": decision}), encoding="utf-8")
        assert main(["submit", "-C", str(folder)]) == 2
        assert "ensemble.json: is damaged" in capsys.readouterr().err
