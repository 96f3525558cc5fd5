"""The file of priors is what the full table would be, and needs nothing heavy."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from tiny import TOML, edit, write_table

from harness.competition import Competition, load_competition
from harness.data.sample import read_sample, read_test_ids
from harness.decision import Decision
from harness.errors import DataError
from harness.submit.prior import prior_submission
from harness.submit.rows import TestRows, submission_text
from harness.submit.table import make_submission

TARGETS, PRIOR = ("ant", "bee", "cat"), (0.5, 0.2, 0.3)


def competition(
    folder: Path, task: str, metric: str, *, sample: tuple[str, ...] | None, test: bool
) -> Competition:
    text = TOML.replace('"multiclass"', f'"{task}"').replace('"log_loss"', f'"{metric}"')
    if sample is None:
        text = text.replace('sample_submission = "data/sample_submission.csv"', "")
    else:
        cell = "0" if metric == "accuracy" else "0.5"
        rows = [["x" if column == "id" else cell for column in sample]]
        rows[0][sample.index("id")] = 'a,"b'
        write_table(folder / "data/sample_submission.csv", sample, rows)
    if test:
        write_table(folder / "data/test.csv", ["age", "id"], [["7", 'a,"b']])
    else:
        text = text.replace('test = "data/test.csv"', "")
    (folder / "competition.toml").write_text(text, encoding="utf-8")
    return load_competition(folder / "competition.toml")


@pytest.mark.parametrize(
    ("task", "metric", "targets", "sample", "test"),
    [
        ("multiclass", "log_loss", TARGETS, ("cat", "id", "bee", "ant"), True),
        ("multiclass", "log_loss", TARGETS, ("id", *TARGETS), False),
        ("multiclass", "log_loss", TARGETS, None, True),
        ("multiclass", "accuracy", TARGETS, ("id", "label"), True),
        ("multiclass", "accuracy", TARGETS, None, True),
        ("binary", "accuracy", ("cat", "dog"), ("label", "id"), True),
        ("binary", "log_loss", ("cat", "dog"), ("id", "label"), True),
        ("binary", "log_loss", ("cat", "dog"), None, True),
    ],
)
def test_same_text_as_the_full_table(
    tmp_path: Path,
    task: str,
    metric: str,
    targets: tuple[str, ...],
    sample: tuple[str, ...] | None,
    test: bool,
) -> None:
    settings = competition(tmp_path, task, metric, sample=sample, test=test)
    prior = PRIOR[: len(targets)]
    ids = read_test_ids(settings, tmp_path)
    frame = make_submission(
        settings,
        read_sample(settings, tmp_path),
        ids,
        targets,
        np.tile(np.array(prior), (len(ids), 1)),
    )
    text, rows = prior_submission(settings, tmp_path, targets, prior)
    assert text == frame.to_csv(index=False, lineterminator="\n")
    assert rows == len(ids)


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
@pytest.mark.parametrize("decides", ["sample_submission", "test"])
def test_a_submission_spells_what_the_sample_spells(
    tmp_path: Path, metric: str, decides: str
) -> None:
    """Names, ids and labels with white space around them; in both ways to write it."""
    apart = "caf\u0065\u0301"
    targets = {"log_loss": ("ant", "caf\u00e9", "cat"), "accuracy": TARGETS}[metric]
    asked = {"log_loss": f"ant, {apart} ,cat", "accuracy": " label"}[metric]
    cells = {"log_loss": "0,0,1", "accuracy": " ant"}[metric]
    settings = competition(tmp_path, "multiclass", metric, sample=("id", "x"), test=True)
    (tmp_path / "data/sample_submission.csv").write_text(
        f"id ,{asked}\n b,{cells}\na ,{cells}\n", encoding="utf-8"
    )
    (tmp_path / "data/test.csv").write_text("id \nc \na\nb\n", encoding="utf-8")
    edit(tmp_path / "competition.toml", "[folds]", f'test_ids = "{decides}"\n[folds]')
    settings = load_competition(tmp_path / "competition.toml")
    sample = read_sample(settings, tmp_path)
    assert sample is not None
    assert sample.target_columns == (targets if metric == "log_loss" else ("label",))
    rows = TestRows(read_test_ids(settings, tmp_path), [], sample, None)
    predictions = np.tile(np.array(PRIOR), (len(rows.ids), 1))
    workspace = SimpleNamespace(competition=settings)
    ensemble = SimpleNamespace(targets=targets, decision=Decision())
    text = submission_text(workspace, Path("s.csv"), rows, ensemble, predictions)  # type: ignore[arg-type]
    filled = {"log_loss": "0.5,0.2,0.3", "accuracy": " ant"}[metric]
    ids = {"sample_submission": [" b", "a "], "test": ["c", "a ", " b"]}[decides]
    assert text.splitlines() == [f"id ,{asked}", *(f"{id_},{filled}" for id_ in ids)]
    assert prior_submission(settings, tmp_path, targets, PRIOR) == (text, len(ids))


def test_a_missing_or_empty_sample_is_told(tmp_path: Path) -> None:
    settings = competition(tmp_path, "multiclass", "log_loss", sample=("id", *TARGETS), test=True)
    path = tmp_path / "data/sample_submission.csv"
    path.write_text("id,ant,bee,cat\n", encoding="utf-8")
    with pytest.raises(DataError, match="has a header and no rows"):
        prior_submission(settings, tmp_path, TARGETS, PRIOR)
    path.write_text("id,ant,bee,cat\na,1,2,3\nb,1\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 3 has too few cells"):
        prior_submission(settings, tmp_path, TARGETS, PRIOR)
    path.unlink()
    with pytest.raises(DataError, match="there is no such file"):
        prior_submission(settings, tmp_path, TARGETS, PRIOR)


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, harness.submit.prior, harness.submit.guard; "
        "loaded = {'torch', 'pandas', 'sklearn', 'scipy', 'timm'} & set(sys.modules); "
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
