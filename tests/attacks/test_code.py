"""A stranger's workspace runs no code: none that lies about, and a metric of its own by consent."""

import os
import py_compile
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny import edit

from harness.cli import main
from harness.competition import load_competition
from harness.errors import ConfigError
from harness.metrics import Metric

Harness = Callable[..., int]

MODULES = ("typer", "rich", "pydantic", "numpy", "PIL", "torch", "json", "logging", "sqlite3", "re")
HOSTILE = "import pathlib\npathlib.Path(__file__).with_name('it-ran').touch()\n"
OWN = 'metric = "own:score"\ngreater_is_better = true'
CODE = HOSTILE + "def score(truth, predictions):\n    return {}\n"
ROWS = np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])


@pytest.fixture
def stranger(workspace: Path) -> Path:
    """A workspace of somebody else, with a metric of its own."""
    (workspace / "own.py").write_text(CODE.format("1.0"), encoding="utf-8")
    edit(workspace / "competition.toml", 'metric = "log_loss"', OWN)
    return workspace


def metric_of(workspace: Path) -> Metric:
    return load_competition(workspace / "competition.toml").metric


def python(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_no_module_of_the_folder_is_imported(workspace: Path) -> None:
    for name in MODULES:
        (workspace / f"{name}.py").write_text(HOSTILE, encoding="utf-8")
    command = [sys.executable, "-m", "harness", "board"]
    done = subprocess.run(command, cwd=workspace, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "board: no submission yet\n"), done.stderr
    assert not (workspace / "it-ran").exists()


def test_processes_that_it_starts_import_none_either(workspace: Path) -> None:
    (workspace / "PIL.py").write_text(HOSTILE, encoding="utf-8")
    code = (
        "import subprocess, sys, harness.cli\n"
        "from harness.__main__ import run\n"
        "worker = [sys.executable, '-m', 'harness.cli.worker', '.']\n"
        "harness.cli.main = lambda: subprocess.run(worker).returncode\n"
        "sys.exit(run())"
    )
    done = python(code, workspace)
    assert done.returncode == 2, done.stderr  # there is no ensemble yet
    assert not (workspace / "it-ran").exists()


def test_a_metric_of_its_own_runs_by_consent_alone(
    stranger: Path, harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0  # which needs no metric
    assert harness("train") == 2
    assert "own:score, and you did not create this workspace; read that" in capsys.readouterr().err
    metric = metric_of(stranger)
    with pytest.raises(ConfigError, match="python -m harness trust"):
        metric.score(*ROWS)
    assert not (stranger / "it-ran").exists()

    assert main(["trust", str(stranger)]) == 0
    assert "own:score may run, as it is now" in capsys.readouterr().out
    assert metric.score(*ROWS) == 1.0
    assert (stranger / "it-ran").exists()


def test_a_change_of_the_code_asks_again(stranger: Path) -> None:
    assert main(["trust", str(stranger)]) == 0
    edit(stranger / "own.py", "1.0", "2.0")
    with pytest.raises(ConfigError, match="trust"):
        metric_of(stranger).score(*ROWS)


def test_what_was_allowed_is_what_runs(stranger: Path) -> None:
    """Not a compiled file that claims to be of the same source."""
    source = stranger / "own.py"
    assert main(["trust", str(stranger)]) == 0
    allowed, stat = source.read_text(encoding="utf-8"), source.stat()
    source.write_text(allowed.replace("1.0", "9.0"), encoding="utf-8")
    os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    py_compile.compile(str(source))
    source.write_text(allowed, encoding="utf-8")
    os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert metric_of(stranger).score(*ROWS) == 1.0


def test_an_installed_function_is_asked_about_as_well(workspace: Path) -> None:
    """To import a module may start anything that the machine has."""
    edit(workspace / "competition.toml", 'metric = "log_loss"', OWN.replace("own", "antigravity"))
    with pytest.raises(ConfigError, match="trust"):
        metric_of(workspace).score(*ROWS)
    assert "antigravity" not in sys.modules


def test_who_made_the_workspace_is_not_asked(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    assert main(["init", str(mine)]) == 0
    (mine / "own.py").write_text(CODE.format("1.0 + 0"), encoding="utf-8")
    edit(mine / "competition.toml", 'metric = "log_loss"', OWN)
    assert metric_of(mine).score(*ROWS) == 1.0

    mine.rename(tmp_path / "old")  # so that its number is not given to the next one
    mine.mkdir()
    for name in ("own.py", "competition.toml"):
        (tmp_path / "old" / name).rename(mine / name)
    with pytest.raises(ConfigError, match="trust"):
        metric_of(mine).score(*ROWS)


def test_a_workspace_without_code_needs_no_trust(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trust", str(workspace)]) == 0
    assert "brings no code" in capsys.readouterr().out


def test_consent_is_not_looked_for_in_the_workspace(
    stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a variable with a relative path would have it."""
    assert main(["trust", str(stranger)]) == 0
    given = Path(os.environ["XDG_CONFIG_HOME"])
    given.joinpath("competition-harness").rename(stranger / "competition-harness")
    monkeypatch.chdir(stranger)
    monkeypatch.setenv("XDG_CONFIG_HOME", ".")
    with pytest.raises(ConfigError, match="no home folder"):
        metric_of(stranger).score(*ROWS)


def test_a_home_that_cannot_be_written_does_not_stop_init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    assert main(["init", str(tmp_path / "mine")]) == 0
    assert (tmp_path / "mine/competition.toml").exists()
