"""A stranger's workspace is written to, and nothing else: not through links, not through names."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from board.test_tables import ENSEMBLE
from searching import open_setup
from tiny import edit, tree

from harness.cli import main
from harness.data.cache import cached_array
from harness.data.corrections import Correction, append_corrections
from harness.errors import ConfigError, UserError, WorkspaceError
from harness.files import replacing, to_write, write_text
from harness.locks import holding, trying
from harness.submit.guard import remove_temporaries
from harness.submit.rehearsal import lay_out_data, rehearse
from harness.tune.study import open_study
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble
from harness.workspace.ledger import Ledger, Standing
from harness.workspace.runs import append_log, save_arrays

Harness = Callable[..., int]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder of the user's, whose files look like a killed process's."""
    folder = tmp_path / "elsewhere"
    for name in ("file", ".x.tmp", "fold0.checkpoint.safetensors", "rehearsal/file", "x/.y.tmp"):
        write_text(folder / name, "precious\n")
        os.utime(folder / name, (0, 0))
    return folder


def is_refused(act: Callable[[], object]) -> None:
    with pytest.raises(WorkspaceError, match="is a link or leads out of the workspace"):
        act()


def build(workspace: Workspace) -> None:
    cached_array(workspace.cache / "images" / "x", (0, 1), lambda: iter(()))


def lock(workspace: Workspace) -> None:
    with holding(workspace.models / "x" / ".run.lock"):
        pass


def claim(workspace: Workspace) -> None:
    with trying(workspace.submissions / ".kaggle.lock"):
        pass


@pytest.mark.parametrize(
    ("link", "act"),
    [
        ("folds", lambda own: write_text(own.folds / "folds.csv", "")),
        ("models/x", lambda own: save_arrays(own.models / "x" / "a", {"a": np.zeros(1)})),
        ("models/x", lambda own: append_log(own.models / "x", {})),
        ("models/x", lock),
        ("models", lock),
        (".cache", build),
        (".cache", lambda own: rehearse(own, rows=1, budget=1)),
        ("submissions", lambda own: remove_temporaries(own.submissions / "x")),
        ("submissions", lambda own: Ledger(own.board).keep_standing(Standing("", 0, 0, ()))),
        ("audit", lambda own: append_corrections(own.root / "audit/corrections.csv", CORRECTION)),
    ],
)
def test_a_linked_folder_is_not_written_to(
    workspace: Path, elsewhere: Path, link: str, act: Callable[[Workspace], object]
) -> None:
    (workspace / link).parent.mkdir(exist_ok=True)
    (workspace / link).symlink_to(elsewhere, target_is_directory=True)
    own, before = Workspace.open(workspace), tree(elsewhere)
    is_refused(lambda: act(own))
    assert tree(elsewhere) == before


CORRECTION = Correction("now", "000", "keep")


@pytest.mark.parametrize(
    ("link", "act"),
    [
        ("models/x/log.jsonl", lambda own: append_log(own.models / "x", {})),
        ("models/x/.run.lock", lock),
        ("submissions/.kaggle.lock", claim),
        ("submissions/board.sqlite", lambda own: Ledger(own.board).entries()),
        ("submissions/board.sqlite", lambda own: Ledger(own.board).keep_uploads()),
        ("submissions/board.sqlite-journal", lambda own: Ledger(own.board).keep_uploads()),
        (
            "audit/corrections.csv",
            lambda own: append_corrections(own.root / "audit/corrections.csv", CORRECTION),
        ),
    ],
)
def test_a_linked_file_is_not_written_to(
    workspace: Path, elsewhere: Path, link: str, act: Callable[[Workspace], object]
) -> None:
    (workspace / link).parent.mkdir(parents=True)
    (workspace / link).symlink_to(elsewhere / "file")
    own, before = Workspace.open(workspace), tree(elsewhere)
    is_refused(lambda: act(own))
    assert tree(elsewhere) == before


def test_a_linked_run_loses_nothing_by_training(
    workspace: Path, elsewhere: Path, harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0
    for link in ("models/probe", "models/.retrained"):
        (workspace / link).parent.mkdir(exist_ok=True)
        (workspace / link).symlink_to(elsewhere, target_is_directory=True)
    before = tree(elsewhere)
    assert harness("train", "--only", "probe") == 2
    assert "models/probe: is a link or leads out" in capsys.readouterr().err
    assert harness("train", "--retrain", "probe") == 2
    assert ".retrained: is a link or leads out" in capsys.readouterr().err
    assert tree(elsewhere) == before


def test_the_name_of_a_temporary_file_may_be_taken(tmp_path: Path, elsewhere: Path) -> None:
    """By a link that somebody has laid for the number of this process."""
    with replacing(tmp_path / "new") as temporary:
        temporary.write_text("first", encoding="utf-8")
    temporary.symlink_to(elsewhere / "file")
    before = tree(elsewhere)
    with replacing(tmp_path / "new") as again:
        assert again == temporary
        again.write_text("second", encoding="utf-8")
    assert tree(elsewhere) == before
    assert (tmp_path / "new").read_text(encoding="utf-8") == "second"
    assert not (tmp_path / "new").is_symlink()


@pytest.mark.parametrize("root", ["workspace", "workspace/data/..", "."])
def test_no_name_climbs_out(workspace: Path, monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    monkeypatch.chdir(workspace if root == "." else workspace.parent)
    own = Workspace.open(Path(root))
    is_refused(lambda: write_text(own.submissions / "../../x.csv", ""))
    assert not (workspace.parent / "x.csv").exists()
    write_text(own.submissions / "x.csv", "")
    assert (workspace / "submissions/x.csv").exists()


def test_the_workspace_itself_may_be_a_link(workspace: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(workspace, target_is_directory=True)
    assert main(["fold", "-C", str(tmp_path / "link")]) == 0
    assert (workspace / "folds/folds.csv").exists()
    assert to_write(tmp_path / "link") == tmp_path / "link"


@pytest.mark.parametrize("key", ["sample_submission", "test"])
def test_a_rehearsal_copies_no_table_from_elsewhere(workspace: Path, key: str) -> None:
    """Its copy in .cache/rehearsal would lie elsewhere, too: ../../../x is beside the workspace."""
    victim = workspace.parent / "shared.csv"
    victim.write_text("precious\n", encoding="utf-8")
    name = {"sample_submission": "data/sample_submission.csv", "test": "data/test.csv"}[key]
    edit(workspace / "competition.toml", f'"{name}"', '"../../../shared.csv"')
    own = Workspace.open(workspace)
    with pytest.raises(ConfigError, match="outside of the workspace, so that it cannot be laid"):
        lay_out_data(own, own.cache / "rehearsal", 3)
    assert victim.read_text(encoding="utf-8") == "precious\n"


@pytest.mark.parametrize("storage", ["{}/x.db", "journal:{}/x.log", "sqlite:///{}/x.db", "../x.db"])
def test_a_study_is_kept_in_the_workspace(
    workspace: Path, harness: Harness, tmp_path: Path, storage: str
) -> None:
    assert harness("fold") == 0
    before = {path for path in tmp_path.iterdir()}
    setup = open_setup(workspace, storage=storage.format(tmp_path))
    with pytest.raises(UserError, match=r"out(side)? of the workspace"):
        open_study(setup)
    assert {path for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("ending", ["", "-journal"])
def test_a_linked_study_is_not_written_to(
    workspace: Path, harness: Harness, elsewhere: Path, ending: str
) -> None:
    assert harness("fold") == 0
    (workspace / "tune").mkdir()
    (workspace / f"tune/study.sqlite{ending}").symlink_to(elsewhere / "file")
    before = tree(elsewhere)
    is_refused(lambda: open_study(open_setup(workspace)))
    assert tree(elsewhere) == before


def test_an_ensembles_method_is_no_path() -> None:
    odd = replace(ENSEMBLE.chosen, method="../../x")
    with pytest.raises(ValueError, match="lie elsewhere"):
        replace(ENSEMBLE, method="../../x", scores=(odd,))
    assert isinstance(ENSEMBLE, Ensemble)
