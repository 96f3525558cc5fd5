"""Bad input gets one line on stderr, exit code 2, and leaves nothing behind."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cli.bad_cases import CASES, TRAIN_CASES
from PIL import Image
from tiny import edit

from harness.cli import main

Harness = Callable[..., int]


@pytest.mark.parametrize("name", CASES)
def test_bad_input(
    name: str, harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, verb, expected = CASES[name]
    change(workspace)
    before = sorted(workspace.rglob("*"))
    assert harness(*verb.split()) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    for text in expected:
        assert text in captured.err
    assert sorted(workspace.rglob("*")) == before


@pytest.mark.parametrize("name", TRAIN_CASES)
def test_bad_input_to_train(
    name: str, harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0
    capsys.readouterr()
    change, expected = TRAIN_CASES[name]
    change(workspace)
    assert harness("train") == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    for text in expected:
        assert text in captured.err
    assert not (workspace / "models").exists()
    assert not (workspace / "oof").exists()
    assert not [p for p in workspace.rglob("*") if p.name.endswith(".tmp")]


HARMLESS = ["=cmd|' /C calc'!A0", "<script>alert(1)</script>", "[/red]", "{0}", "%s", "../x"]


@pytest.mark.parametrize("name", HARMLESS)
def test_labels_are_text_wherever_they_are_shown(
    name: str, harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A formula, HTML, the terminal's markup, a format or a path is a class like another."""
    for table in ("train", "sample_submission"):
        edit(workspace / f"data/{table}.csv", "ant", name)
    before = {path for path in workspace.parent.rglob("*")}
    for verb in ("doctor", "data", "fold"):
        assert harness(verb) == 0
    assert name in capsys.readouterr().out
    written = {path for path in workspace.parent.rglob("*")} - before
    assert {path.relative_to(workspace).parts[0] for path in written} == {"folds"}


def test_control_characters_of_a_path_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a\x1b[31mb\n\u202ec\udcff"
    for code in (0, 2):  # what was done, then that it is there already
        assert main(["init", str(folder)]) == code
    captured = capsys.readouterr()
    for text in (captured.out, captured.err):
        assert r"a\x1b[31mb" in text
        assert r"\u202ec\udcff" in text
        assert all(line.isprintable() for line in text.splitlines())


def test_init_from_what_is_no_competition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    empty, other = tmp_path / "empty", tmp_path / "other"
    empty.mkdir()
    (empty / "train.zip").write_bytes(b"PK")
    (other / "data").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(other / "x.png")
    cases = [
        (tmp_path / "new", tmp_path / "nowhere", "is no folder"),
        (tmp_path / "new", other / "x.png", "is no folder"),
        (tmp_path / "new", empty, "holds no images (train.zip: not unpacked)"),
    ]
    for folder, source, expected in cases:
        assert main(["init", str(folder), "--from", str(source)]) == 2
        captured = capsys.readouterr()
        assert expected in captured.err
        assert captured.err.count("\n") == 1
        assert not folder.exists()
    (tmp_path / "taken/data").mkdir(parents=True)
    assert main(["init", str(tmp_path / "taken"), "--from", str(other)]) == 2
    assert "data: is there already" in capsys.readouterr().err
    assert os.listdir(tmp_path / "taken") == ["data"]


def test_stages_name_the_stage_that_must_come_before(
    harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    for verb, before in (("train", "fold"), ("stack", "fold"), ("submit", "stack")):
        assert harness(verb) == 2
        assert f"python -m harness {before}" in capsys.readouterr().err


def test_an_unknown_option_is_one_line(
    harness: Harness, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("train", "--onyl", "x") == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--wait"], "there is nothing to wait for"),
        (["--name", "../x"], "'../x' cannot be a file's name on every system"),
        (["--name", "a\nb"], "cannot be a file's name"),
        (["--kernel", "--budget", "60s"], "made by its run on Kaggle"),
        (["--kernel", "--name", "best"], "made by its run on Kaggle"),
    ],
)
def test_options_of_submit_that_contradict(
    workspace: Path, capfd: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert main(["submit", *options, "-C", str(workspace)]) == 2
    assert said in capfd.readouterr().err
