"""models/<run>/: a run is held against what it was begun with."""

from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

from harness.errors import ResourceError, WorkspaceError
from harness.workspace.runs import (
    first_difference,
    fold_file,
    fold_files,
    load_arrays,
    read_run,
    save_arrays,
    start_run,
)

IDENTITY = {"model": {"name": "a", "epochs": 3}, "folds": "x"}


def test_the_same_run_is_accepted_and_another_refused(tmp_path: Path) -> None:
    start_run(tmp_path / "a", IDENTITY, {"torch": "1"})
    start_run(tmp_path / "a", IDENTITY, {"torch": "2"})  # circumstances may differ
    assert read_run(tmp_path / "a")["circumstances"] == {"torch": "1"}
    changed = {"model": {"name": "a", "epochs": 4}, "folds": "x"}
    with pytest.raises(WorkspaceError, match=r"model\.epochs = 3, now it is 4"):
        start_run(tmp_path / "a", changed, {})


def test_first_difference_sees_removed_and_added_values() -> None:
    assert first_difference({"a": 1}, {"a": 1}) is None
    assert first_difference({"a": 1}, {}) == "a = 1, now it is None"
    assert first_difference({}, {"b": [1]}) == "b = None, now it is [1]"


def test_a_damaged_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"identity": []}')
    with pytest.raises(WorkspaceError, match=r"run\.json: cannot be read"):
        read_run(tmp_path)


def test_fold_files_are_ordered_by_number_and_leave_predictions_out(tmp_path: Path) -> None:
    for name in ("fold10", "fold2", "fold2.oof", "backbone"):
        save_arrays(tmp_path / f"{name}.safetensors", {"x": np.arange(3)})
    assert fold_files(tmp_path) == [fold_file(tmp_path, 2), fold_file(tmp_path, 10)]
    assert load_arrays(fold_file(tmp_path, 2))["x"].tolist() == [0, 1, 2]


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    fold_file(tmp_path, 0).write_bytes(b"\x00" * 40)
    with pytest.raises(WorkspaceError, match=r"fold0\.safetensors"):
        load_arrays(fold_file(tmp_path, 0))


def test_others_may_read_arrays_as_they_may_read_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    save_arrays(tmp_path / "a.safetensors", {"a": np.zeros(2)})
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_full_disk_is_the_users_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(arrays: object, path: Path) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("harness.workspace.runs.save_file", full)
    with pytest.raises(ResourceError, match=r"x\.safetensors: cannot be written .* make room"):
        save_arrays(tmp_path / "x.safetensors", {})
    assert not list(tmp_path.iterdir())
