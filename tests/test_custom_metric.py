"""A user's own metric: found, run when it is needed, and every mistake told in one line."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny import TOML, edit

from harness.competition import Competition, load_competition
from harness.consent import allow
from harness.errors import ConfigError

Harness = Callable[..., int]

OWN = 'metric = "my_metrics:score"\ngreater_is_better = true'
CODE = "import numpy as np\n\n\ndef score(truth, predictions):\n    return {}\n"
RIGHT = "np.mean(predictions.argmax(axis=1) == truth)"
TRUTH, PREDICTIONS = np.array([0, 1, 1]), np.array([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1]])


def load(folder: Path, value: str | None = RIGHT, metric: str = OWN) -> Competition:
    if value is not None:
        (folder / "my_metrics.py").write_text(CODE.format(value), encoding="utf-8")
    text = TOML.replace('metric = "log_loss"', metric)
    (folder / "competition.toml").write_text(text, encoding="utf-8")
    competition = load_competition(folder / "competition.toml")
    allow(competition.metric.name, competition.metric.source)
    return competition


def test_a_function_in_the_workspace_is_the_metric(tmp_path: Path) -> None:
    metric = load(tmp_path).metric
    assert metric.name == "my_metrics:score"
    assert metric.greater_is_better
    assert (metric.needs, metric.tasks) == ("probabilities", {"multiclass"})
    assert metric.score(TRUTH, PREDICTIONS) == pytest.approx(2 / 3)
    assert metric.loss(TRUTH, PREDICTIONS) == pytest.approx(-2 / 3)


def test_a_function_on_pythons_path_is_found(tmp_path: Path) -> None:
    own = 'metric = "sklearn.metrics:log_loss"\ngreater_is_better = false'
    assert load(tmp_path, None, own).metric.score(TRUTH, PREDICTIONS) == pytest.approx(
        -np.log([0.6, 0.7, 0.1]).mean()
    )


def test_folders_of_one_name_hold_their_own(tmp_path: Path) -> None:
    for name, value in (("one", "1"), ("two", "2")):
        (tmp_path / name).mkdir()
        assert load(tmp_path / name, value).metric.score(TRUTH, PREDICTIONS) == int(value)


def test_reading_the_configuration_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "my_metrics.py").write_text(
        'raise RuntimeError("run")\n\n\ndef score(truth, predictions):\n    return 0.0\n',
        encoding="utf-8",
    )
    metric = load(tmp_path, None).metric
    with pytest.raises(ConfigError, match=r"cannot be imported \(RuntimeError: run\)"):
        metric.score(TRUTH, PREDICTIONS)


def test_a_change_of_the_file_is_a_change_of_the_metric(tmp_path: Path) -> None:
    before = load(tmp_path).metric.source
    assert before
    assert load(tmp_path).metric.source == before
    assert load(tmp_path, "0.0").metric.source != before


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("1 / 0", "failed (ZeroDivisionError: division by zero)"),
        ("float('nan')", "returned nan"),
        ("'good'", "failed (ValueError"),
        ("truth", "failed (TypeError"),
    ],
)
def test_what_the_function_does_wrong_is_told(tmp_path: Path, value: str, found: str) -> None:
    metric = load(tmp_path, value).metric
    with pytest.raises(ConfigError) as error:
        metric.score(TRUTH, PREDICTIONS)
    assert found in str(error.value)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ('metric = "my_metrics:score"', "the direction of 'my_metrics:score' is not known; add gr"),
        ('metric = "accuracy"\ngreater_is_better = true', "for a metric of your own; remove them"),
        ('metric = "accuracy"\nneeds = "labels"', "for a metric of your own; remove them"),
        (OWN.replace("score", "scor"), r"toml:4: .*my_metrics.py: defines no function 'scor'; did"),
        (OWN.replace("my_m", "m"), r"there is no .*metrics.py for 'metrics:score'; write it"),
        (OWN.replace("my_metrics", "../my"), r"'../my:score' is not module:function"),
        (OWN.replace("score", "a.b()"), "is not module:function"),
        (OWN + '\nneeds = "values"', "needs = 'values' does not fit task 'multiclass'"),
        (OWN + '\nneeds = "all"', "'competition.needs' is 'all'"),
        (OWN.replace("true", "1"), "'competition.greater_is_better' is 1"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, own: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, metric=own)


def test_a_file_that_is_no_python_is_told(tmp_path: Path) -> None:
    (tmp_path / "my_metrics.py").write_text("def score(:\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"my_metrics\.py: cannot be read as Python"):
        load(tmp_path, None)


def test_the_command_line_tells_it_in_one_line(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(workspace / "competition.toml", 'metric = "log_loss"', OWN)
    assert harness("fold") == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ")
    assert "there is no" in error
    assert len(error.splitlines()) == 1
