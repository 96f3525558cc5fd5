"""How even grouped and multilabel folds are, against scikit-learn and against chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from harness.fold.assign import FoldRules, assign
from harness.fold.refine import _descend, refine


def ids(rows: int) -> list[str]:
    return [f"img{row}" for row in range(rows)]


def deviation(target: np.ndarray, folds: np.ndarray, k: int) -> float:
    counts = np.bincount(target * k + folds, minlength=(target.max() + 1) * k).reshape(-1, k)
    share = counts.mean(axis=1, keepdims=True)
    return float((np.abs(counts - share) / share).max())


@pytest.mark.parametrize("seed", range(6))
def test_no_less_even_than_scikit_learn(seed: int) -> None:
    """benchmarks/folds.py does this for 50 problems of more kinds."""
    random = np.random.default_rng(seed)
    size = random.lognormal(0, 1, 80)
    codes = random.choice(80, 600, p=size / size.sum())
    target = np.where(random.random(600) < 0.5, codes % 4, random.integers(0, 4, 600))
    groups = [f"g{code}" for code in codes]
    ours = assign(ids(600), target, FoldRules(5, seed=seed), groups=groups).assignment[:, 0]
    theirs = np.empty(600, np.int64)
    splitter = StratifiedGroupKFold(5, shuffle=True, random_state=seed)
    for fold, (_, test) in enumerate(splitter.split(target, target, codes)):
        theirs[test] = fold
    assert deviation(target, ours, 5) <= deviation(target, theirs, 5) + 1e-12


@pytest.mark.parametrize("seed", range(6))
def test_names_of_many_equal_classes_mean_nothing(seed: int) -> None:
    """Where much is equal, the order of the classes would show in ties and in rounding."""
    random = np.random.default_rng(seed)
    target, renamed = random.permutation(120) % 12, random.permutation(12)
    groups = [f"g{code}" for code in random.integers(0, 40, 120)]
    plan = assign(ids(120), target, FoldRules(5), groups=groups)
    other = assign(ids(120), renamed[target], FoldRules(5), groups=groups)
    assert (plan.assignment == other.assignment).all()


@given(st.integers(0, 2**32), st.integers(2, 5))
@settings(max_examples=20)
def test_refining_never_raises_the_cost(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    groups = random.integers(0, 5, (3, 25)) * (random.random((3, 25)) < 0.7) + 1
    parts = groups / groups.sum(axis=1, keepdims=True)
    share = random.permutation(k) + 1.0
    share /= share.sum()

    def deviation(folds: np.ndarray) -> np.ndarray:
        columns = [parts[:, folds == fold].sum(axis=1) for fold in range(k)]
        return np.stack(columns, axis=1) - share

    def cost(folds: np.ndarray) -> float:
        return float((deviation(folds) ** 2 / share).sum())

    before = random.integers(0, k, 25).astype(np.int16)
    after = _descend(parts, before, deviation(before), share)
    assert cost(after) <= cost(before) + 1e-12
    for group in range(25):  # no move and no swap is left that would help
        for fold in range(k):
            moved = np.where(np.arange(25) == group, fold, after)
            assert cost(moved) >= cost(after) - 1e-9
        for other in range(group):
            swapped = after.copy()
            swapped[[group, other]] = after[[other, group]]
            assert cost(swapped) >= cost(after) - 1e-9
    largest = np.abs(deviation(refine(parts, before, deviation(before), share)) / share).max()
    assert largest <= np.abs(deviation(after) / share).max() + 1e-12


def test_many_groups_are_placed_in_batches_and_still_evenly() -> None:
    random = np.random.default_rng(0)
    codes, target = random.integers(0, 12_000, 40_000), random.integers(0, 7, 40_000)
    groups = [f"g{code}" for code in codes]
    folds = assign(ids(40_000), target, FoldRules(5), groups=groups).assignment[:, 0]
    counts = np.bincount(target * 5 + folds).reshape(7, 5)
    assert np.ptp(counts, axis=1).max() <= 1


def test_holdout_of_groups_has_its_share_of_every_class() -> None:
    random = np.random.default_rng(1)
    codes, target = random.integers(0, 400, 2000), random.integers(0, 3, 2000)
    groups = [f"g{code}" for code in codes]
    plan = assign(ids(2000), target, FoldRules(5, holdout=0.15), groups=groups)
    held = plan.assignment[:, 0] == -1
    for code in range(3):
        assert held[target == code].mean() == pytest.approx(0.15, abs=0.003)


def test_labels_and_pairs_are_spread() -> None:
    random = np.random.default_rng(2)
    likes = random.random((900, 1))
    labels = (random.random((900, 6)) < likes * [0.9, 0.5, 0.3, 0.2, 0.1, 0.05]).astype(np.int8)
    folds = assign(ids(900), labels, FoldRules(5)).assignment[:, 0]
    by_label = np.array([labels[folds == fold].sum(axis=0) for fold in range(5)])
    assert np.ptp(by_label, axis=0).max() <= 1
    assert np.ptp(np.bincount(folds)) <= 1
    chance = random.permutation(folds)

    def pairs_apart(folds: np.ndarray) -> float:
        together = np.array(
            [labels[folds == fold].T @ labels[folds == fold].astype(int) for fold in range(5)]
        )
        return float(np.ptp(together, axis=0).mean())

    assert pairs_apart(folds) < 0.3 * pairs_apart(chance)  # labels alone reach 0.46
