"""What both tables know of the pictures."""

from pathlib import Path

import numpy as np
from tiny import CLASSES, write_table

from harness.audit.metadata import PIXELS, file_columns, table_columns
from harness.audit.pictures import Pictures, see
from harness.display import Display
from harness.workspace import Workspace


def pictures_of(folder: Path) -> tuple[Workspace, Pictures]:
    workspace = Workspace.open(folder)
    return workspace, see(workspace, Display())


def test_columns_of_both_tables_become_numbers(workspace: Path) -> None:
    ids = [f"{i:03d}" for i in range(39)]
    write_table(
        workspace / "data/train.csv",
        ["id", "label", "age", "site", "name", "only here"],
        [[id_, CLASSES[i % 3], i, "abc"[i % 3], "same", i] for i, id_ in enumerate(ids[:30])],
    )
    write_table(
        workspace / "data/test.csv",
        ["id", "age", "site", "name"],
        [[id_, "", "d", "same"] for id_ in ids[30:]],
    )
    names, columns = table_columns(*pictures_of(workspace))
    assert names == ["age", "site = a", "site = b", "site = c"]
    assert columns.shape == (39, 4)
    assert columns[:3].tolist() == [[0, 1, 0, 0], [1, 0, 1, 0], [2, 0, 0, 1]]
    assert (columns[30:] == -1).all()  # empty, and never seen


def test_without_common_columns_there_are_none(workspace: Path) -> None:
    names, columns = table_columns(*pictures_of(workspace))
    assert names == []
    assert columns.shape == (39, 0)


def test_files_tell_their_size_and_light(workspace: Path) -> None:
    _, pictures = pictures_of(workspace)
    columns = file_columns(pictures)
    assert columns.shape == (39, len(PIXELS))
    size = (workspace / "data/images/000.png").stat().st_size
    assert columns[0, :3].tolist() == [size, 36, 40]
    assert np.isfinite(columns).all()
