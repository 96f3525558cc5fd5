"""The file of priors is what the full table would be, and needs nothing heavy."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny import TOML, write_table

from harness.competition import Competition, load_competition
from harness.data.sample import read_sample, read_test_ids
from harness.errors import DataError
from harness.submit.prior import prior_submission
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
