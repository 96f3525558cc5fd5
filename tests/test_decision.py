"""Decisions applied, by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.decision import Decision, Rule, plain_decision

PREDICTIONS = np.array([[0.6, 0.3, 0.1], [0.5, 0.1, 0.4], [0.1, 0.1, 0.8]])
EXAMPLES = [
    Decision(),
    Decision("class_weights", (1.0, 2.5, 1.0)),
    Decision("cut_points", (0.5, 0.95)),
    Decision("thresholds", (0.55, 0.1, 0.9)),
    Decision("thresholds", (0.7, 0.4, 0.9), at_least_one=True),
    Decision("range", (0.2, 0.5)),
]


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (EXAMPLES[0], PREDICTIONS),
        (EXAMPLES[1], [[0, 1, 0], [1, 0, 0], [0, 0, 1]]),
        # the expected codes are 0.5, which reaches the first cut, 0.9 and 1.7
        (EXAMPLES[2], [[0, 1, 0], [0, 1, 0], [0, 0, 1]]),
        (EXAMPLES[3], [[1, 1, 0], [0, 1, 0], [0, 1, 0]]),
        # none is reached: the one that is nearest, in proportion
        (EXAMPLES[4], [[1, 0, 0], [1, 0, 0], [0, 0, 1]]),
        (EXAMPLES[5], [[0.5, 0.3, 0.2], [0.5, 0.2, 0.4], [0.2, 0.2, 0.5]]),
    ],
)
def test_what_becomes_of_predictions(decision: Decision, expected: object) -> None:
    np.testing.assert_array_equal(decision.apply(PREDICTIONS), expected)


@settings(max_examples=50)
@given(seed=st.integers(0, 2**32 - 1), decision=st.sampled_from(EXAMPLES))
def test_a_row_is_decided_by_itself_and_what_is_decided_stays(
    seed: int, decision: Decision
) -> None:
    draw = np.random.default_rng(seed)
    predictions = draw.dirichlet(np.ones(3), 12)
    decided = decision.apply(predictions)
    rows = draw.permutation(12)[:7]
    np.testing.assert_array_equal(decision.apply(predictions[rows]), decided[rows])
    if decision.rule not in ("as_they_are", "range"):
        assert set(np.unique(decided)) <= {0.0, 1.0}
    if decision.rule in ("class_weights", "cut_points"):
        assert (decided.sum(axis=1) == 1).all()
    if decision.at_least_one:
        assert (decided.sum(axis=1) >= 1).all()
    if decision.rule != "cut_points":  # whose certain classes lie elsewhere on the scale
        np.testing.assert_array_equal(decision.apply(decided), decided)


def test_ties_go_to_the_lower_code() -> None:
    equal = Decision("class_weights", (1.0, 1.0, 2.0)).apply(np.array([[0.4, 0.4, 0.2]]))
    assert equal.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("decision", EXAMPLES, ids=lambda one: one.rule)
def test_it_is_told_in_a_sentence(decision: Decision) -> None:
    assert bool(decision.sentence(("a", "b", "c"))) == (decision.rule != "as_they_are")


@pytest.mark.parametrize(
    ("rule", "numbers"),
    [
        ("class_weights", (1.0, 2.0)),
        ("cut_points", (1.0, 2.0, 3.0)),
        ("thresholds", ()),
        ("range", (1.0,)),
        ("as_they_are", (1.0,)),
    ],
)
def test_numbers_must_be_as_many_as_the_targets_need(
    rule: Rule, numbers: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="not for 3 targets"):
        Decision(rule, numbers).apply(PREDICTIONS)


def test_what_is_done_in_any_case() -> None:
    values = np.array([0.5, -2.0, 3.0])
    assert plain_decision("regression", "values", values, 1) == Decision("range", (-2.0, 3.0))
    labels = np.array([[0, 1, 0], [1, 1, 0]])
    plain = plain_decision("multilabel", "labels", labels, 3, at_least_one=True)
    assert plain == Decision("thresholds", (0.5, 0.5, 0.5), at_least_one=True)
    assert plain.apply(np.array([[0.1, 0.3, 0.2]])).tolist() == [[0, 1, 0]]
    assert plain_decision("multilabel", "ranks", labels, 3) == Decision()
    assert plain_decision("binary", "labels", np.array([0, 1]), 2) == Decision()
