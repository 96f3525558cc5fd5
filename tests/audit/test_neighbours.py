"""Nearest neighbours: all of them in one cell, nearly all of them in many."""

import numpy as np
import pytest

from harness.audit import neighbours
from harness.audit.neighbours import nearest_pairs


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def by_hand(vectors: np.ndarray, count: int, floor: float) -> set[tuple[int, int]]:
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    return {
        (min(row, other), max(row, other))
        for row in range(len(vectors))
        for other in np.argsort(-cosine[row], kind="stable")[:count].tolist()
        if cosine[row, other] >= floor
    }


@pytest.mark.parametrize(("count", "floor"), [(1, -1.0), (3, -1.0), (3, 0.4), (50, 0.0)])
def test_one_cell_finds_what_comparing_all_finds(count: int, floor: float) -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(40, 6)))
    found = {tuple(pair) for pair in nearest_pairs(vectors, count, floor).tolist()}
    assert found == by_hand(vectors, count, floor)


def test_many_cells_find_the_planted_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "EXACT", 100)
    random = np.random.default_rng(1)
    vectors = unit(random.normal(size=(2000, 16)))
    copies = unit(vectors[:200] + random.normal(scale=0.08, size=(200, 16)))
    found = {tuple(p) for p in nearest_pairs(np.vstack([vectors, copies]), 3, 0.5).tolist()}
    planted = {(row, 2000 + row) for row in range(200)}
    assert len(planted & found) >= 196


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows_have_no_pairs(rows: int) -> None:
    assert nearest_pairs(np.ones((rows, 3), np.float32), 2, 0.0).shape == (0, 2)


def test_pairs_are_sorted_and_stand_once() -> None:
    vectors = unit(np.random.default_rng(2).normal(size=(30, 4)))
    pairs = nearest_pairs(vectors, 4, -1.0)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    assert len(np.unique(pairs, axis=0)) == len(pairs)
