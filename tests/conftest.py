"""Fixtures for all tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import CLASSES, TOML, picture, write_table

from harness.cli import main


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace with 30 labelled images and 9 to predict, whose truth is in data/solution.csv."""
    folder = tmp_path / "workspace"
    (folder / "data" / "images").mkdir(parents=True)
    labels = [CLASSES[i % 3] for i in range(39)]
    ids = [f"{i:03d}" for i in range(39)]
    for i, (id_, label) in enumerate(zip(ids, labels, strict=True)):
        picture(label, i).save(folder / "data" / "images" / f"{id_}.png")
    rows = list(zip(ids, labels, strict=True))
    write_table(folder / "data/train.csv", ["id", "label"], rows[:30])
    write_table(folder / "data/test.csv", ["id"], [[id_] for id_ in ids[30:]])
    write_table(folder / "data/solution.csv", ["id", "label"], rows[30:])
    third = round(1 / 3, 9)
    write_table(
        folder / "data/sample_submission.csv",
        ["id", *CLASSES],
        [[id_, third, third, third] for id_ in ids[30:]],
    )
    (folder / "competition.toml").write_text(TOML, encoding="utf-8")
    return folder


@pytest.fixture
def harness(workspace: Path) -> Callable[..., int]:
    """Run a command of the harness in the workspace; its exit code."""
    return lambda *arguments: main([*arguments, "-C", str(workspace)])
