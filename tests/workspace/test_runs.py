"""models/<run>/: a run is held against what it was begun with."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError
from safetensors.numpy import save_file

from harness.errors import ResourceError, WorkspaceError
from harness.records import read_json
from harness.workspace.runs import (
    first_difference,
    fold_file,
    fold_files,
    load_arrays,
    read_model,
    read_run,
    save_arrays,
    start_run,
)

IDENTITY = {
    "model": {"name": "a", "epochs": 3},
    "task": "binary",
    "targets": ["x", "y"],
    "folds": "x",
    "more": 1.0,
}


def test_the_same_run_is_accepted_and_another_refused(tmp_path: Path) -> None:
    start_run(tmp_path / "a", IDENTITY, {"torch": "1"})
    start_run(tmp_path / "a", IDENTITY, {"torch": "2"})  # circumstances may differ
    assert read_run(tmp_path / "a")["circumstances"] == {"torch": "1"}
    changed = IDENTITY | {"model": {"name": "a", "epochs": 4}}
    with pytest.raises(WorkspaceError, match=r"model\.epochs = 3, now it is 4"):
        start_run(tmp_path / "a", changed, {})


@pytest.mark.parametrize(
    "target",
    [np.array([0, 300, 2]), np.array([[0, 1], [1, 1], [0, 0]], np.int8), np.array([0.5, 1, -2])],
)
def test_a_run_with_other_labels_is_refused_by_the_image(
    tmp_path: Path, target: np.ndarray
) -> None:
    ids = np.array(["a", "b", "c"], dtype=object)
    start_run(tmp_path, {**IDENTITY, "labels": "1"}, {}, (ids, target))
    other = target.copy()
    other[1] -= 1
    with pytest.raises(
        WorkspaceError, match=r"trained with other labels of 1 image\(s\), first 'b'"
    ):
        start_run(tmp_path, {**IDENTITY, "labels": "2"}, {}, (ids, other))


def test_first_difference_sees_removed_and_added_values() -> None:
    assert first_difference({"a": 1}, {"a": 1}) is None
    assert first_difference({"a": 1}, {}) == "a = 1, now it is None"
    assert first_difference({}, {"b": [1]}) == "b = None, now it is [1]"


@pytest.mark.parametrize(
    "change",
    [
        {"identity": []},
        {"identity": {}},
        {"circumstances": None},
        *({"identity": IDENTITY | {name: 3}} for name in ("model", "task", "targets", "folds")),
        {"identity": IDENTITY | {"targets": [1, 2]}},
        {"identity": IDENTITY | {"model": {}}},
        {"identity": IDENTITY | {"model": {"name": "a", "backbone": "b", "lr": "high"}}},
        {"identity": IDENTITY | {"model": {"name": "a", "backbone": "b", "of_old": 1}}},
    ],
)
def test_a_damaged_run_is_named(change: dict[str, object], tmp_path: Path) -> None:
    identity = IDENTITY | {"model": {"name": "a", "backbone": "b", "epochs": 3}}
    start_run(tmp_path / "a", identity, {"torch": "1"})
    file = tmp_path / "a/run.json"
    assert read_run(tmp_path / "a") == {"identity": identity, "circumstances": {"torch": "1"}}
    assert read_model(tmp_path / "a").epochs == 3
    file.write_text(json.dumps(json.loads(read_json(file)) | change))
    with pytest.raises(WorkspaceError, match=r"run\.json: is damaged .*train --retrain a`"):
        read_model(tmp_path / "a")


def test_fold_files_are_ordered_by_number_and_leave_predictions_out(tmp_path: Path) -> None:
    for name in ("fold10", "fold2", "fold2.oof", "backbone"):
        save_arrays(tmp_path / f"{name}.safetensors", {"x": np.arange(3)})
    assert fold_files(tmp_path) == [fold_file(tmp_path, 2), fold_file(tmp_path, 10)]
    assert load_arrays(fold_file(tmp_path, 2))["x"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: bytes(40),
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        lambda content: content.replace(b"[50]", b"[05]"),
        None,
    ],
    ids=["empty", "half", "zeros", "a bit", "the header", "a folder"],
)
def test_damaged_weights_are_named(damage: Callable[[bytes], bytes] | None, tmp_path: Path) -> None:
    file = fold_file(tmp_path / "a", 0)
    save_arrays(file, {"weight": np.arange(50), "count": np.array(7)})
    assert load_arrays(file)["weight"].tolist() == list(range(50))
    content = file.read_bytes()
    file.unlink()
    if damage:
        file.write_bytes(damage(content))
    else:
        file.mkdir()
    with pytest.raises(WorkspaceError, match=r"fold0\.safetensors: .*train --retrain a`"):
        load_arrays(file)


def test_arrays_that_others_wrote_are_taken_as_they_are(tmp_path: Path) -> None:
    save_file({"x": np.arange(3)}, tmp_path / "x.safetensors")
    assert load_arrays(tmp_path / "x.safetensors")["x"].tolist() == [0, 1, 2]


def test_others_may_read_arrays_as_they_may_read_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    save_arrays(tmp_path / "a.safetensors", {"a": np.zeros(2)})
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_full_disk_is_the_users_to_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(arrays: object, path: Path, metadata: object) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("harness.workspace.runs.save_file", full)
    with pytest.raises(ResourceError, match=r"x\.safetensors: cannot be written .* make room"):
        save_arrays(tmp_path / "x.safetensors", {})
    assert not list(tmp_path.iterdir())
