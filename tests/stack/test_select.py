"""Selection: the search is exact, the budget is kept, more of it never hurts, plans are whole."""

import json
from dataclasses import asdict, replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.problems import TASKS, make_problem, permute_members

from harness.errors import ConfigError, WorkspaceError
from harness.predict.plan import (
    RULES,
    Costs,
    Plans,
    apply_plan,
    predicted_seconds,
    urgency,
)
from harness.records import read_record
from harness.stack.cascade import SHARES, Nested, send
from harness.stack.chosen import choose, combiner
from harness.stack.efficiency import most_efficient
from harness.stack.frontier import Peers, frontier
from harness.stack.priced import Option
from harness.stack.problem import Problem
from harness.stack.select import Selection
from harness.stack.subset import Blends, best_subset, pareto_subsets

SIZES = (64, 128, 224)
COSTS = Costs(start=2.0, write=0.1, decode=tuple((s, 1e-5 * s) for s in SIZES), read=1e-3)


def make_options(problem: Problem, seed: int, *, variants: bool = False) -> list[Option]:
    """Options of random cost; with ``variants`` the second half are dearer ones of the first."""
    draw = np.random.default_rng([seed, 7])
    count = len(problem.names)
    members = [
        name if not variants else f"m{i % (count // 2)}" for i, name in enumerate(problem.names)
    ]
    return [
        Option(
            name=name,
            member=member,
            engine="eager",
            folds=5,
            views=1,
            size=int(draw.choice(SIZES)),
            fixed_seconds=float(draw.uniform(0.05, 0.5)),
            image_seconds=float(np.exp(draw.uniform(-7, -3))),
        )
        for name, member in zip(problem.names, members, strict=True)
    ]


def select(
    seed: int = 0, *, learn: bool = False, variants: bool = False, **how: object
) -> Selection:
    problem = make_problem(seed=seed, **how)  # type: ignore[arg-type]
    return Selection(
        problem, make_options(problem, seed, variants=variants), COSTS, 500, learn=learn
    )


def brute_force(selection: Selection, budget: float) -> float:
    """The least loss of all subsets that fit."""
    losses = [np.inf]
    for size in range(1, len(selection.options) + 1):
        for chosen in combinations(range(len(selection.options)), size):
            names = {selection.members[i] for i in chosen}
            if len(names) == size and selection.prices.of_all(chosen) <= budget:
                losses.append(selection.nested.whole.fit(chosen)[0])
    return min(losses)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), share=st.floats(0.02, 1.2), variants=st.booleans())
def test_the_search_is_exact(seed: int, share: float, variants: bool) -> None:
    problem = make_problem(rows=150, members=6, seed=seed)
    options = make_options(problem, seed, variants=variants)
    blends = Blends(problem, np.arange(150))
    members = [option.member for option in options]

    def seconds(chosen: object) -> float:
        return sum(options[i].image_seconds for i in chosen)  # type: ignore[attr-defined]

    budget = share * seconds(range(6))
    least = np.inf
    for size in range(1, 7):
        for chosen in combinations(range(6), size):
            if len({members[i] for i in chosen}) == size and seconds(chosen) <= budget:
                least = min(least, blends.fit(chosen)[0])
    found = best_subset(blends.fit, members, seconds, budget)
    if found is None:
        assert least == np.inf
    else:
        assert found.loss == pytest.approx(least, abs=1e-6)
        assert found.gap == 0
        assert found.seconds <= budget
        assert len({members[i] for i in found.options}) == len(found.options)


def test_a_search_that_stops_early_tells_the_gap() -> None:
    problem = make_problem(rows=300, members=18)
    draw = np.random.default_rng(0)
    cost = np.exp(draw.uniform(0, 3, 18))
    blends = Blends(problem, np.arange(300))

    def seconds(chosen: object) -> float:
        return float(sum(cost[i] for i in chosen))  # type: ignore[attr-defined]

    early = best_subset(blends.fit, problem.names, seconds, 20.0, nodes=1)
    exact = best_subset(blends.fit, problem.names, seconds, 20.0, nodes=100_000)
    assert early is not None
    assert exact is not None
    assert exact.gap == 0
    assert early.gap > 0
    assert early.loss - early.gap <= exact.loss + 1e-9 <= early.loss + 2e-9


def test_the_front_of_subsets_falls_in_seconds_and_rises_in_loss() -> None:
    selection = select(rows=200, members=6)
    front = pareto_subsets(selection.nested.whole.fit, selection.members, selection.prices.of_all)
    assert len(front) > 2
    for dear, cheap in pairwise(front):
        assert cheap.seconds < dear.seconds
        assert cheap.loss >= dear.loss - 1e-9
        middle = (cheap.seconds + dear.seconds) / 2
        if middle < dear.seconds * 0.99:
            assert brute_force(selection, middle) == pytest.approx(cheap.loss, abs=1e-6)


@settings(max_examples=6)
@given(seed=st.integers(0, 1000), variants=st.booleans())
def test_plans_keep_the_budget_and_more_of_it_never_hurts(seed: int, variants: bool) -> None:
    selection = select(seed, rows=200, members=6, variants=variants)
    loss = np.inf
    for budget in np.geomspace(1.0, 60.0, 12):
        cascade, plan = selection.cascade(budget), selection.plan(budget)
        assert plan.seconds == pytest.approx(predicted_seconds(plan.stages, COSTS, 500))
        if any(stage.share for stage in plan.stages):
            assert plan.seconds <= budget
        else:
            assert plan.seconds == COSTS.base
        assert cascade.loss <= loss
        loss = cascade.loss
        assert plan.score == pytest.approx(cascade.loss, abs=1e-6)
        assert plan.error > 0


@pytest.mark.parametrize("learn", [False, True])
def test_every_prefix_is_an_ensemble_of_its_own(learn: bool) -> None:
    selection = select(rows=200, members=4, learn=learn)
    plan = selection.plan(np.inf)
    combine = combiner(plan)
    assert bool(selection.nested.learned) == learn
    names = [option.name for option in selection.options]
    order = [names.index(stage.option) for stage in plan.stages]
    seen = selection.problem.predictions[order]
    for count in range(1, len(order) + 1):
        blended = combine(range(count), seen[:count])
        np.testing.assert_allclose(blended.sum(axis=1), 1)
        assert blended.min() > 0
        others = tuple(range(count))[1:]
        if others:  # not a prefix: still an ensemble, fitted on the spot if it can be
            for given in (None, selection.problem):
                left = combiner(plan, given)(others, seen[list(others)])
                np.testing.assert_allclose(left.sum(axis=1), 1)


def test_a_learner_is_taken_only_where_its_nested_loss_is_lower() -> None:
    convex, learning = select(rows=300, members=4), select(rows=300, members=4, learn=True)
    for chosen in learning.nested.learned:
        assert learning.nested.losses(chosen).mean() < convex.nested.losses(chosen).mean()
    assert learning.cascade(np.inf).loss <= convex.cascade(np.inf).loss


@pytest.mark.parametrize("learn", [False, True])
def test_the_scored_fold_is_never_seen(learn: bool) -> None:
    """Its nested predictions and their order stay the same when its truth is spoilt."""
    clean = select(rows=200, members=3, learn=learn)
    spoilt = make_problem(rows=200, members=3)
    first = spoilt.folds == 0
    spoilt.truth[first] = (spoilt.truth[first] + 1) % 3
    other = Selection(spoilt, make_options(spoilt, 0), COSTS, 500, learn=learn)
    for chosen in [(), (0,), (0, 1), (0, 1, 2)]:
        if (chosen in clean.nested.learned) == (chosen in other.nested.learned):
            np.testing.assert_array_equal(
                clean.nested.predictions(chosen)[first], other.nested.predictions(chosen)[first]
            )
            changed = clean.nested.predictions(chosen) != other.nested.predictions(chosen)
            assert changed[~first].any() == (learn or len(chosen) != 1)


def test_the_order_of_options_changes_nothing() -> None:
    problem = make_problem(rows=200, members=5)
    options = make_options(problem, 0)
    order = np.random.default_rng(3).permutation(5)
    one = Selection(problem, options, COSTS, 500, learn=False)
    other = Selection(
        permute_members(problem, order), [options[i] for i in order[::-1]], COSTS, 500, learn=False
    )
    for budget in (3.0, 6.0, 12.0, np.inf):
        assert one.plan(budget) == other.plan(budget)


def test_images_are_sent_on_only_if_that_pays() -> None:
    """A budget between two ensembles is spent on the images for which the dearer one matters."""
    selection = select(rows=300, members=4)
    cascades = [one for one in selection.frontier if len(one.levels) > 1]
    assert cascades
    plain = [one for one in selection.frontier if len(one.levels) == 1 and one.levels[0].share == 1]
    assert min(one.loss for one in cascades) < max(one.loss for one in plain)
    two = [one for one in cascades if len(one.levels) == 2 and one.levels[1].share < 0.9]
    over_chance = []  # what choosing the images takes off, over sending the same share at random
    for one in two:
        short, longer = (
            float(selection.nested.losses(one.order[: level.stages]).mean()) for level in one.levels
        )
        over_chance.append(short + one.levels[1].share * (longer - short) - one.loss)
    assert np.mean(over_chance) > 0
    assert np.mean(np.array(over_chance) > 0) > 0.8


def test_the_rule_that_knows_the_gain_is_found_and_sends_the_first() -> None:
    nested = Nested(make_problem(rows=200, members=2))
    draw = np.random.default_rng(0)
    gain = draw.normal(size=200)
    worth = send(nested, np.stack([draw.normal(size=200), gain]), gain, np.ones(200, dtype=bool))
    assert (worth.rule[:-1] == 1).all()
    place = int(np.abs(SHARES - 0.1).argmin())
    first = np.sort(gain)[::-1][: round(SHARES[place] * 200)]
    assert worth.gain[place] == pytest.approx(first.sum() / 200)


def test_those_who_are_sent_on_are_the_most_urgent() -> None:
    selection = select(rows=300, members=4)
    cascade = next(
        one for one in selection.frontier if len(one.levels) == 2 and one.levels[1].share < 0.9
    )
    plan, first = selection.plan_of(cascade), cascade.levels[0].stages
    used = [selection.problem.names.index(stage.option) for stage in plan.stages]
    seen, combine = selection.problem.predictions[used], combiner(plan)
    followed = apply_plan(plan, seen, combine)
    before = combine(range(first), seen[:first])
    values = urgency(plan.stages[first].rule, before, seen[:first], "classes")
    changed = (followed != before).any(axis=1)
    assert changed.sum() == round(plan.stages[first].share * 300)
    assert values[changed].min() >= values[~changed].max()


@pytest.mark.parametrize("task", TASKS)
def test_every_task_gets_a_frontier(task: str) -> None:
    selection = select(rows=200, members=3, task=task)
    scores = [plan.score for plan in selection.plans(8)]
    greater = selection.problem.metric.greater_is_better
    assert scores == sorted(scores, reverse=not greater)
    assert len(set(scores)) == len(scores) > 2


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "f1_macro", "brier"])
def test_every_kind_of_metric_gets_a_frontier(metric: str) -> None:
    selection = select(rows=200, members=3, metric=metric)
    plan = selection.plan(np.inf)
    assert plan.metric == metric
    assert selection.problem.metric.better(plan.score, selection.plan(0.0).score)


def test_a_plan_cut_short_is_believed_no_more_than_what_was_reached() -> None:
    plan = select(rows=200, members=4).plan_for_all(range(4))
    prior, first, *_, last = plan.prefix_scores
    assert len(plan.prefix_scores) == len(plan.stages) + 1
    assert last < first < prior  # log loss
    assert plan.score_of({(): 7}) == prior
    assert plan.score_of({(): 30, (0,): 10}) == pytest.approx((3 * prior + first) / 4)
    assert plan.score_of({(0, 2): 5}) == first  # no prefix: what its longest prefix is known for
    assert plan.score_of({(0, 1, 2, 3): 9}) == last


def test_plans_survive_their_file(tmp_path: Path) -> None:
    plans = Plans("digest", (select(rows=120, members=3, learn=True).plan(np.inf),))
    file = tmp_path / "plans.json"
    told = {"missing": "is missing", "fix": "plan again"}
    record = asdict(plans)
    file.write_text(json.dumps(record))
    assert read_record(Plans, file, **told) == plans
    stages = [*record["plans"][0]["stages"]]
    for damage in (
        {"blends": []},
        {"prior": 3},
        {"kind": "x"},
        {"seconds": None},
        {"stages": [stages[0] | {"size": 65}, *stages[1:]]},
        {"stages": [*stages[:-1], stages[-1] | {"rule": "x"}]},
        {"more": 1},
    ):
        file.write_text(json.dumps({**record, "plans": [record["plans"][0] | damage]}))
        with pytest.raises(WorkspaceError, match=r"plans\.json: is damaged .*plan again"):
            read_record(Plans, file, **told)
    file.write_text(json.dumps({**record, "plans": []}))
    with pytest.raises(WorkspaceError, match="there is no plan"):
        read_record(Plans, file, **told)


def test_a_plan_whose_shares_rise_is_refused() -> None:
    plan = select(rows=120, members=3).plan(np.inf)
    rising = tuple(replace(s, share=0.1 * (i + 1)) for i, s in enumerate(plan.stages))
    with pytest.raises(ValueError, match="fall"):
        replace(plan, stages=rising)


def test_stored_plans_are_chosen_by_the_rows_and_the_time_that_are_there() -> None:
    plans = select(rows=200, members=5).plans()
    few = [plan.on(50) for plan in plans]
    slow = [plan.on(500, 2.0) for plan in plans]
    for budget in (3.0, 6.0, 12.0):
        chosen = choose(plans, budget)
        assert chosen.seconds <= budget
        assert chosen.score == min(plan.score for plan in plans if plan.seconds <= budget)
        assert choose(few, budget).score <= chosen.score
        assert choose(slow, budget).score >= chosen.score
        moved = chosen.on(50, 2.0)
        assert moved.seconds == pytest.approx(predicted_seconds(moved.stages, moved.costs, 50))
        start = chosen.costs.start
        assert choose(plans, budget, elapsed=start / 2) == chosen
        assert choose(plans, budget + 1, elapsed=start + 1) == chosen
    assert choose(plans, 0.0) == plans[0]


def test_one_pass_reads_an_image_once() -> None:
    assert COSTS.images((64, 128, 64)) == pytest.approx(1e-3 + 64e-5 + 128e-5)
    assert COSTS.images((0,)) == 0
    selection = select(rows=120, members=3)
    first = selection.options[0]
    twins = [replace(first, name=o.name, member=o.member) for o in selection.options]
    same = Selection(selection.problem, twins, COSTS, 500, learn=False)
    one, two = same.prices.of_all((0,)), same.prices.of_all((0, 1))
    assert two - one == pytest.approx(first.fixed_seconds + 500 * first.image_seconds)


def test_a_runtime_is_paid_once() -> None:
    selection = select(rows=120, members=3)
    costs = replace(COSTS, runtimes=(("a", 3.0), ("b", 5.0)))
    options = [
        replace(option, runtime=name)
        for option, name in zip(selection.options, ("a", "a", "b"), strict=True)
    ]
    with_runtimes = Selection(selection.problem, options, costs, 500, learn=False)
    for chosen in ((0,), (0, 1), (0, 2), (2, 1, 0)):
        extra = with_runtimes.prices.of_all(chosen) - selection.prices.of_all(chosen)
        used = {options[i].runtime for i in chosen}
        assert extra == pytest.approx(costs.imports(used))
    for plan in with_runtimes.plans():
        assert plan.seconds == pytest.approx(predicted_seconds(plan.stages, plan.costs, 500))
        assert plan.on(500, 2.0).seconds == pytest.approx(2 * plan.seconds)


def anchors() -> Selection:
    """Scores A > B > C > D at 10, 1, 1 and 1 seconds; B, C and D complement each other."""
    problem = make_problem(rows=2000, members=4, seed=1)
    draw = np.random.default_rng(0)
    signal = np.eye(3)[problem.truth] * 1.6
    noise = np.array([1.0, 1.04, 1.08, 1.12])[:, None, None] * draw.normal(size=(4, 2000, 3))
    exponentials = np.exp(signal + noise)
    predictions = (exponentials / exponentials.sum(axis=2, keepdims=True)).astype(np.float32)
    problem = replace(problem, names=tuple("ABCD"), predictions=predictions)
    options = [
        Option(name, name, "eager", 1, 1, 64, seconds, 0.0)
        for name, seconds in zip("ABCD", (10.0, 1.0, 1.0, 1.0), strict=True)
    ]
    return Selection(problem, options, Costs(0.0, 0.0, ((64, 0.0),)), 100, learn=False)


def test_autogluons_rule_keeps_the_dear_one_alone() -> None:
    """Limit 10.45: it drops D, C and B to keep A; together they would have been better at 3."""
    selection = anchors()
    peers = Peers(selection)
    assert list(np.argsort(peers.alone)) == [0, 1, 2, 3]
    theirs = peers.autogluon(10.45)
    assert [selection.options[i].name for i in theirs.options] == ["A"]
    subset = selection.subset(10.45)
    assert subset is not None
    assert {selection.options[i].name for i in subset.options} == {"B", "C", "D"}
    assert subset.seconds == 3.0
    assert selection.plan(10.45).score < theirs.score
    late = peers.autogluon(0.5)  # nothing fits: it takes the fastest and is late
    assert late.seconds > 0.5


def test_the_frontier_has_the_peers_beside_it() -> None:
    selection = select(rows=200, members=5)
    points = frontier(selection)
    assert len(points) == 20
    for point in points:
        assert set(point.peers) == {"best_single", "mean_of_fastest", "autogluon", "static_cost"}
        for name, choice in point.peers.items():
            assert name == "autogluon" or not choice.options or choice.seconds <= point.budget
            assert sum(choice.weights) == pytest.approx(1 if choice.options else 0)
    assert points[-1].plan.score <= points[0].plan.score


@pytest.mark.parametrize("kind", RULES)
def test_the_unsure_are_urgent(kind: str) -> None:
    sure, unsure = (0.98, 0.01, 0.01), (0.4, 0.35, 0.25)
    mixture = np.array([sure, unsure])
    members = np.stack([mixture, mixture + np.array([[0.0] * 3, [0.1, -0.1, 0.0]])])
    for rule in RULES[kind]:
        if rule not in ("high", "low"):
            values = urgency(rule, mixture, members, kind)  # type: ignore[arg-type]
            assert values[1] > values[0]
    with pytest.raises(ValueError, match="nonsense"):
        urgency("nonsense", mixture, members, "classes")


def test_the_most_efficient_plan_moves_with_the_price_of_time() -> None:
    plans = select(rows=200, members=5).plans()
    free = most_efficient(plans, "score")
    dear = most_efficient(plans, "score + 1000 * seconds")
    middle = most_efficient(plans, "(score - best) / (base - best) + seconds / 10")
    assert free.score == min(plan.score for plan in plans)
    assert dear.seconds == min(plan.seconds for plan in plans)
    assert dear.seconds < middle.seconds < free.seconds
    with pytest.raises(ConfigError, match="no value"):
        most_efficient(plans, "score / (base - base)")
