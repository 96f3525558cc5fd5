"""audit/findings.parquet, and groups that keep duplicates together."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.findings import (
    Finding,
    Findings,
    group_duplicates,
    merge_groups,
    read_findings,
    write_findings,
)
from harness.errors import DataError


def texts(*values: str) -> np.ndarray:
    return np.array(values, dtype=object)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    found = (
        Finding("b", "near_duplicate", 0.875, "a"),
        Finding("t", "blank", 0.5, part="test"),
        Finding("a", "exact_duplicate", 1.0, "c"),
    )
    write_findings(tmp_path / "findings.parquet", Findings(found, ("a", "b", "c")))
    read = read_findings(tmp_path / "findings.parquet")
    assert set(read.found) == set(found)
    assert read.ids == ("a", "b", "c")
    assert [f.id for f in read.of("near_duplicate", "exact_duplicate")] == ["a", "b"]


def test_missing_and_damaged_files_are_told(tmp_path: Path) -> None:
    path = tmp_path / "findings.parquet"
    with pytest.raises(DataError, match="no such file; run `python -m harness audit`"):
        read_findings(path)
    path.write_bytes(b"PAR1 but not really")
    with pytest.raises(DataError, match="cannot be read"):
        read_findings(path)


def test_rows_that_were_not_audited_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "findings.parquet"
    write_findings(path, Findings((Finding("b", "near_duplicate", 0.9, "a"),), ("a", "b")))
    assert group_duplicates(path, texts("b", "a"), None).tolist() == ["a", "a"]
    assert group_duplicates(path, texts("b"), None).tolist() == ["b"]  # the other was dropped
    with pytest.raises(DataError, match="1 row"):
        group_duplicates(path, texts("a", "b", "new"), None)


def test_a_pair_joins_the_groups_of_both() -> None:
    ids, groups = texts("a", "b", "c", "d", "e"), texts("P", "P", "Q", "R", "Q")
    assert merge_groups(ids, groups, [("b", "c")]).tolist() == ["P", "P", "P", "R", "P"]


@given(
    pairs=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12),
    groups=st.none() | st.lists(st.sampled_from("xyzuvw"), min_size=10, max_size=10),
    random=st.randoms(use_true_random=False),
)
def test_neither_a_group_nor_a_pair_is_split(
    pairs: list[tuple[int, int]], groups: list[str] | None, random
) -> None:
    ids = texts(*map(str, range(10)))
    given_groups = None if groups is None else texts(*groups)
    named = [(str(a), str(b)) for a, b in pairs]
    merged = merge_groups(ids, given_groups, named)
    for a, b in pairs:
        assert merged[a] == merged[b]
    if groups is not None:
        assert all(
            merged[a] == merged[b] for a in range(10) for b in range(10) if groups[a] == groups[b]
        )
    elif not pairs:
        assert merged.tolist() == ids.tolist()
    order = list(range(10))
    random.shuffle(order)
    shuffled = merge_groups(ids[order], None if groups is None else given_groups[order], named)
    assert shuffled.tolist() == merged[order].tolist()
