"""What the public leaderboard can tell, held against simulations whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.board.relation import (
    Candidate,
    choose_two,
    distinguishable,
    public_noise,
    rank_correlation,
    similarity,
)
from harness.estimate import Estimate


@pytest.mark.parametrize("true", [0.0, 0.5, 0.8])
def test_the_intervals_cover_the_true_correlation(true: float) -> None:
    rng = np.random.default_rng(0)
    # Spearman's correlation of a bivariate normal (Pearson 1907)
    truth = 6 / np.pi * np.arcsin(true / 2)
    covered = []
    for _ in range(300):
        cv, public = rng.multivariate_normal((0, 0), ((1, true), (true, 1)), 20).T
        found = rank_correlation(cv, public)
        assert found is not None
        assert -1 <= found.low <= found.value <= found.high <= 1
        covered.append(found.low <= truth <= found.high)
    assert 0.90 <= np.mean(covered) <= 0.99


def test_few_or_equal_scores_have_no_correlation() -> None:
    assert rank_correlation([1, 2, 3], [1, 2, 3]) is None
    assert rank_correlation([1, 1, 1, 1], [1, 2, 3, 4]) is None
    perfect = rank_correlation([1, 2, 3, 4, 5], [2, 3, 4, 5, 6])
    assert perfect is not None
    assert perfect.value == pytest.approx(1)
    assert 0 < perfect.low < 1


def test_the_noise_is_what_another_draw_of_public_rows_would_do() -> None:
    rng = np.random.default_rng(0)
    rows, test_rows, public_rows, right = 2000, 900, 300, 0.8
    error = np.sqrt(right * (1 - right) / rows)
    believed = Estimate(right, right - 1.96 * error, right + 1.96 * error)
    expected = believed.for_new_rows(rows, test_rows)
    drawn = rng.binomial(public_rows, right, 4000) / public_rows
    noise = public_noise(believed, expected, test_rows, public_rows)
    assert noise == pytest.approx(drawn.std(), rel=0.05)


@pytest.mark.parametrize("apart", [0.1, 0.5, 2.0])
def test_mere_noise_is_rarely_called_a_difference(apart: float) -> None:
    """Two models as good as each other, with more or less in common, scored by log loss."""
    rng = np.random.default_rng(0)
    rows, public_rows = 40_000, 400
    signal = rng.normal(0, 1.5, rows)
    label = rng.random(rows) < 1 / (1 + np.exp(-signal))
    seen = [1 / (1 + np.exp(-signal - rng.normal(0, apart, rows))) for _ in range(2)]
    losses = [-np.log(np.where(label, p, 1 - p)) for p in seen]
    drawn = rng.integers(0, rows, (2000, public_rows))
    one, other = (loss[drawn].mean(axis=1) for loss in losses)
    called = [distinguishable(a, b, noise=one.std()) for a, b in zip(one, other, strict=True)]
    assert np.mean(called) <= 0.05
    assert distinguishable(0.50, 0.50 + 3 * one.std(), noise=one.std())


def test_similarity_of_numbers_and_of_labels() -> None:
    numbers = np.array([["0.1", "0.9"], ["0.6", "0.4"], ["0.3", "0.7"]], dtype=object)
    assert similarity(numbers, numbers) == pytest.approx(1)
    assert similarity(numbers, numbers[:, ::-1]) == pytest.approx(-1)
    constant = np.array([["1"], ["1"]], dtype=object)
    assert similarity(constant, constant) == 1
    labels = np.array([["ant"], ["bee"], ["ant"], ["bee"]], dtype=object)
    assert similarity(labels, labels) == 1
    assert similarity(labels, labels[::-1]) == pytest.approx(-1)
    assert similarity(constant, np.array([["x"], ["x"]], dtype=object)) == 0


CANDIDATES = [
    Candidate("best", 0.90, 0.88, 0.92),
    Candidate("twin", 0.899, 0.88, 0.92),
    Candidate("other", 0.895, 0.87, 0.92),
    Candidate("poor", 0.70, 0.65, 0.75),
]
LIKENESS = {"twin": 0.99, "other": 0.8, "poor": 0.1}


def test_the_two_to_select_are_good_and_unlike() -> None:
    def chosen(candidates: list[Candidate]) -> tuple[str, ...]:
        two = choose_two(candidates, lambda _, b: LIKENESS.get(b), greater_is_better=True)
        return tuple(name for name, _ in two)

    assert chosen(CANDIDATES) == ("best", "other")
    gone = [replace(one, name=f"{one.name}, whose file is gone") for one in CANDIDATES[2:]]
    assert chosen([*CANDIDATES[:2], *gone]) == ("best", "twin")
    assert chosen([CANDIDATES[0], *gone]) == ("best", gone[0].name)
    assert chosen([CANDIDATES[0], CANDIDATES[3]]) == ("best", "poor")
    assert chosen(CANDIDATES[:1]) == ("best",)
    assert chosen([]) == ()


@given(st.lists(st.floats(0.1, 0.9), min_size=2, max_size=8, unique=True))
def test_a_metric_turned_round_chooses_the_same(scores: list[float]) -> None:
    def chosen(sign: int) -> tuple[tuple[str, str], ...]:
        candidates = [
            Candidate(str(i), sign * s, sign * s - 0.1, sign * s + 0.1)
            for i, s in enumerate(scores)
        ]
        return choose_two(candidates, lambda a, b: abs(int(a) - int(b)), greater_is_better=sign > 0)

    assert chosen(1) == chosen(-1)
