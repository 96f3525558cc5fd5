"""What a member adds, and what to do about it."""

import numpy as np
import pytest
from stack.problems import TASKS, make_problem

from harness.stack.diversity import diversity, error_correlation


def test_noise_is_what_to_drop_and_skill_what_to_train() -> None:
    problem = make_problem("binary", "roc_auc", rows=2000, members=3)
    problem.predictions[2] = np.random.default_rng(0).dirichlet(np.ones(2), 2000)
    found = diversity(problem, seed=0, families=["conv", "transformer", "noise"])
    assert found.drop == "member 2"
    assert found.next_kind == "conv"
    assert found.contributions[0].low > 0
    assert found.contributions[2].low <= 0
    assert any("member 2" in sentence for sentence in found.sentences)


@pytest.mark.parametrize("task", TASKS)
def test_twins_are_found(task: str) -> None:
    problem = make_problem(task, rows=500)
    problem.predictions[3] = problem.predictions[1]
    correlation = error_correlation(problem)
    assert correlation[1, 3] == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(correlation, correlation.T)
    assert "member 1 and member 3" in diversity(problem, seed=0, bootstrap=20).sentences[0]


def test_contributions_are_of_decided_predictions() -> None:
    problem = make_problem("regression", rows=200, members=2)
    found = diversity(problem, seed=0, bootstrap=20, treat=np.zeros_like)
    assert [one.value for one in found.contributions] == [0.0, 0.0]
    assert diversity(problem, seed=0, bootstrap=20).contributions[0].value > 0


def test_a_bias_is_no_correlation() -> None:
    problem = make_problem("regression", rows=5000, members=2)
    draw = np.random.default_rng(0)
    problem.predictions[:] = problem.truth[:, None] + 5 + draw.normal(size=(2, 5000, 1))
    assert abs(error_correlation(problem)[0, 1]) < 0.05


def test_members_that_all_agree_ask_for_another_kind() -> None:
    problem = make_problem(rows=500)
    problem.predictions[1:] = problem.predictions[0]
    assert "not here yet" in diversity(problem, seed=0, bootstrap=20).sentences[-1]


def test_one_member_alone() -> None:
    found = diversity(make_problem(members=1), seed=0)
    assert found.drop is None
    assert found.next_kind == "member 0"
