"""The doctor on real workspaces."""

import shutil
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import edit

Harness = Callable[..., int]


@pytest.fixture(autouse=True)
def _nobodys_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("API_TOKEN", "USERNAME", "KEY", "CONFIG_DIR"):
        monkeypatch.delenv(f"KAGGLE_{name}", raising=False)


@pytest.fixture(autouse=True)
def _nobody_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KAGGLE_API_TOKEN", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)


def test_a_sound_workspace(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(workspace.rglob("*"))
    assert harness("doctor") == 0
    said = capsys.readouterr().out
    assert "30 can be read" in said
    assert "9 images to predict" in said
    assert "MEND" not in said
    assert f"next: python -m harness fold -C {workspace}" in said
    assert sorted(workspace.rglob("*")) == before
    assert harness("fold") == 0
    assert harness("doctor") == 0
    assert "next: python -m harness train" in capsys.readouterr().out


def test_every_fault_is_told_at_once(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = workspace / "data/images"
    (images / "003.png").write_bytes(b"")
    (images / "004.png").write_bytes((images / "004.png").read_bytes()[:1500])
    (images / "005.png").unlink()
    (images / "035.png").write_bytes(b"GIF89a")
    edit(workspace / "competition.toml", 'task = "multiclass"', 'kaggle = "x"\ntask = "multiclass"')
    edit(workspace / "competition.toml", '"test_resnet"', '"resnet81"')
    assert harness("doctor") == 2
    captured = capsys.readouterr()
    for text in (
        "1 of 30 are missing: id 005",
        "1 of 30 are empty: data/images/003.png",
        "1 of 30 are unreadable: data/images/004.png",
        "1 of 9 are unreadable: data/images/035.png",
        "no backbone 'resnet81'",
        "no credentials",
        "6 of ",
    ):
        assert text in captured.out
    assert captured.err == ""


def test_tables_that_do_not_fit_are_told_beside_the_rest(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(workspace / "data/train.csv", "003,ant", "002,ant")
    edit(workspace / "data/test.csv", "038", "../../etc/passwd")
    assert harness("doctor") == 2
    said = capsys.readouterr().out
    assert "more than once" in said
    assert "'../../etc/passwd'" in said
    assert "MEND" in said


def test_what_later_stages_would_refuse_is_told(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Look-alikes, labels that the sample does not have, and test ids that disagree."""
    edit(workspace / "data/train.csv", "003,ant", "x,ant")
    edit(workspace / "data/train.csv", "004,bee", "X,bee")
    edit(workspace / "data/test.csv", "038\n", "")
    assert harness("doctor") == 2
    said = capsys.readouterr().out
    assert "ids 'x' and 'X' differ only in case" in said
    assert "1 not in all of them, the first is '038'; set [data] test_ids" in said
    edit(workspace / "data/sample_submission.csv", "id,ant", "id,cow")
    edit(workspace / "competition.toml", "[folds]", 'test_ids = "sample_submission"\n[folds]')
    assert harness("doctor") == 2
    said = capsys.readouterr().out
    assert "disagrees with train.csv: a column that is no label: 'cow'" in said
    assert "look  test" in said
    assert "the first is '038'; 'sample_submission' decides ([data] test_ids)" in said


def test_a_folder_that_cannot_be_written_to_is_told(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "oof").touch()  # no folder
    assert harness("doctor") == 2
    said = capsys.readouterr().out
    assert f"MEND  disk      {workspace / 'oof'} cannot be written to (Not a directory)" in said


def test_a_small_disk_is_told(
    harness: Harness,
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(9, 8, 1))
    assert harness("doctor") == 2
    assert "MEND  disk" in capsys.readouterr().out
