"""folds.csv and folds.json: what is written is read, and what was edited is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import WorkspaceError
from harness.records import read_json
from harness.workspace.folds import Folds, assignment_digest, read_folds, write_folds


def some_folds(ids: list[str], repeats: int = 1) -> Folds:
    ordered = np.array(sorted(ids), dtype=object)
    rows = np.arange(len(ids))[:, None] + np.arange(repeats)
    return Folds(ordered, (rows % 3 - (rows == 0)).astype(np.int16), k=3, seed=0, algorithm=1)


TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=8)


@given(st.data())
@settings(max_examples=60)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    ids = data.draw(st.lists(TEXT.filter(bool), min_size=1, max_size=12, unique=True))
    folds = some_folds(ids, data.draw(st.integers(1, 3)))
    column = st.lists(TEXT, min_size=len(ids), max_size=len(ids))
    folds = replace(
        folds,
        groups=np.array(data.draw(column), dtype=object),
        labels=np.array(data.draw(column), dtype=object),
        generations=np.arange(len(ids)),
    )
    folder = tmp_path_factory.mktemp("folds")
    write_folds(folder, folds, {})
    read = read_folds(folder)
    assert read.ids.tolist() == folds.ids.tolist()
    assert read.assignment.tolist() == folds.assignment.tolist()
    assert read.groups.tolist() == folds.groups.tolist()
    assert read.labels.tolist() == folds.labels.tolist()
    assert read.generations.tolist() == folds.generations.tolist()


def test_file_is_plain_and_stable(tmp_path: Path) -> None:
    folds = replace(
        some_folds(["b", "007", 'say "x", then'], 2), labels=np.array(["NA", "", "1"], object)
    )
    write_folds(tmp_path, folds, {"cat": {"fold_0": [1, 2, 3]}})
    assert (tmp_path / "folds.csv").read_bytes() == (
        b'id,fold_0,fold_1,label\n007,-1,1,NA\nb,1,2,\n"say ""x"", then",2,0,1\n'
    )
    manifest = json.loads((tmp_path / "folds.json").read_text())
    assert manifest["counts"] == {"cat": {"fold_0": [1, 2, 3]}}
    assert manifest["digest"] == folds.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("b,1", "b,2"),
        ("b,1", "bb,1"),
        ("dog", "cat"),
        ("c,2,cat\n", ""),
        ("fold", "field"),
        ("b,1", "b,x"),
    ],
)
def test_an_edited_table_is_refused(tmp_path: Path, old: str, new: str) -> None:
    folds = replace(some_folds(["a", "b", "c"]), labels=np.array(["cat", "dog", "cat"], object))
    write_folds(tmp_path, folds, {})
    path = tmp_path / "folds.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(WorkspaceError, match=r"folds\.csv.*--fresh"):
        read_folds(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[]", '{"k": 3}'),
        *({"k": None}, {"k": 1}, {"repeats": []}, {"repeats": 0}, {"seed": "x"}),
        *({"holdout": 1.5}, {"recomputable": 1}, {"digest": 3}, {"more": 1}),
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path: Path, content: str | dict[str, object]) -> None:
    write_folds(tmp_path, some_folds(["a", "b"]), {})
    path = tmp_path / "folds.json"
    if isinstance(content, dict):
        content = json.dumps(json.loads(read_json(path)) | content)
    path.write_text(content)
    with pytest.raises(WorkspaceError):
        read_folds(tmp_path)


@pytest.mark.parametrize("missing", ["folds.csv", "folds.json"])
def test_a_missing_file_is_refused(tmp_path: Path, missing: str) -> None:
    write_folds(tmp_path, some_folds(["a", "b"]), {})
    (tmp_path / missing).unlink()
    with pytest.raises(WorkspaceError, match="is missing"):
        read_folds(tmp_path)


def test_digest_is_of_ids_and_folds_in_any_order() -> None:
    folds = some_folds(["a", "b", "c", "d"], 2)
    order = np.array([2, 0, 3, 1])
    assert assignment_digest(folds.ids[order], folds.assignment[order]) == folds.digest
    assert replace(folds, labels=folds.ids, seed=9).digest == folds.digest
    assert replace(folds, assignment=folds.assignment[:, ::-1]).digest != folds.digest
    assert some_folds(["a", "b", "c", "dd"], 2).digest != folds.digest
    assert some_folds(["ab", "c"]).digest != some_folds(["a", "bc"]).digest


def test_a_file_of_other_folds_is_refused_with_both_digests_and_the_difference() -> None:
    folds = some_folds(["a", "b", "c", "d"])  # a is in the holdout
    ids, fold = ["b", "x", "d"], np.array([1, 1, 2])
    with pytest.raises(WorkspaceError) as caught:
        folds.require_same("oof/lite.parquet", "0123", ids, fold)
    message = str(caught.value)
    assert "oof/lite.parquet" in message
    assert "0123" in message
    assert folds.digest in message
    assert "1 row(s) missing, first 'c'" in message
    assert "1 row(s) too many, first 'x'" in message
    assert "1 row(s) in another fold, first 'd'" in message


def test_a_file_without_digest_is_judged_by_its_rows() -> None:
    folds = some_folds(["a", "b", "c"])
    folds.require_same("x", folds.digest, [], np.array([]))
    folds.require_same("x", None, ["c", "b"], np.array([2, 1]))
    folds.require_same("x", None, ["c", "b"], None)
    with pytest.raises(WorkspaceError, match="digest none"):
        folds.require_same("x", None, ["c", "b"], np.array([1, 1]))
