"""Doubted labels: planted ones come first."""

import numpy as np

from harness.audit.labels import average, suspects


def sure(target: np.ndarray, classes: int, random: np.random.Generator) -> np.ndarray:
    """Probabilities that are mostly right, with some spread."""
    logits = random.normal(size=(len(target), classes)) + 3 * np.eye(classes)[target]
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True)


def test_planted_wrong_labels_are_ranked_first() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 4, 400)
    probabilities = sure(truth, 4, random)
    given = truth.copy()
    wrong = random.permutation(400)[:20]
    given[wrong] = (truth[wrong] + random.integers(1, 4, 20)) % 4
    found = suspects(given, probabilities)
    assert len({s.row for s in found[:20]} & set(wrong.tolist())) >= 14
    for suspect in found:
        assert suspect.given == given[suspect.row]
        assert suspect.likely == probabilities[suspect.row].argmax() != suspect.given
        assert 0 <= suspect.doubt <= 1


def test_labels_that_agree_are_not_doubted() -> None:
    random = np.random.default_rng(1)
    probabilities = sure(random.integers(0, 3, 60), 3, random)
    assert suspects(probabilities.argmax(axis=1), probabilities) == []


def test_a_class_without_rows_and_an_empty_table_are_no_trouble() -> None:
    random = np.random.default_rng(2)
    target = np.repeat([0, 2], 20)
    probabilities = sure(target, 3, random)
    target[0] = 2
    assert suspects(target, probabilities)[0].row == 0
    assert suspects(np.empty(0, np.int64), np.empty((0, 3))) == []
    assert suspects(np.zeros(3, np.int64), np.full((3, 2), 0.5)) == []


def test_members_are_averaged() -> None:
    one, two = np.array([[0.2, 0.8]], np.float32), np.array([[0.6, 0.4]], np.float32)
    assert np.allclose(average([one, two]), [[0.4, 0.6]])
