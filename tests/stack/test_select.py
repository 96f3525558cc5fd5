"""Selection: the search is exact, the budget is kept, more of it never hurts, plans are whole."""

import json
from dataclasses import asdict, replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.peers import Peers
from stack.problems import TASKS, make_problem, permute_members

from harness.decision import Decision
from harness.errors import ConfigError, WorkspaceError
from harness.predict.plan import (
    RULES,
    Costs,
    Plan,
    Plans,
    predicted_seconds,
    urgency,
)
from harness.records import read_record
from harness.stack.cascade import DOUBT, SHARES, luck, row_losses, send
from harness.stack.chosen import choose, combiner, most_efficient
from harness.stack.priced import Cascade, Purchase, ladder, whole
from harness.stack.problem import Problem
from harness.stack.scored import Judge, Score
from harness.stack.select import Selection
from harness.stack.subset import Blends, best_subset

SIZES = (64, 128, 224)
COSTS = Costs(start=2.0, write=0.1, decode=tuple((s, 1e-5 * s) for s in SIZES), read=1e-3)


def make_purchases(
    problem: Problem, seed: int, *, models: int = 1, shared: bool = False
) -> list[Purchase]:
    """Members of random cost, with so many fold models each."""
    draw = np.random.default_rng([seed, 7])
    return [
        Purchase(
            member=name,
            engine="eager",
            size=int(draw.choice(SIZES)),
            models=models,
            shared=shared,
            load_seconds=float(draw.uniform(0.05, 0.5)),
            image_seconds=float(np.exp(draw.uniform(-7, -3))),
            columns={1: name},
        )
        for name in problem.names
    ]


def select(
    seed: int = 0,
    *,
    learn: bool = False,
    models: int = 1,
    noise: float | None = None,
    **how: object,
) -> Selection:
    problem = make_problem(seed=seed, **how)  # type: ignore[arg-type]
    known = {} if noise is None else dict.fromkeys(problem.names, noise)
    purchases = make_purchases(problem, seed, models=models)
    return Selection(problem, purchases, COSTS, 500, learn=learn, noise=known)


def plans_of(selection: Selection, most: int = 64) -> list[Plan]:
    """The frontier's plans with their scores."""
    cascades, judge = selection.some(most), Judge(selection)
    scores, _ = judge.scores(cascades)
    return [judge.plan(one, score) for one, score in zip(cascades, scores, strict=True)]


def plan_at(selection: Selection, budget: float) -> Plan:
    """The plan for the budget, whatever it scores."""
    return replace(selection.plan_of(selection.cascade(budget)), score=0.5, error=0.1)


def brute_force(selection: Selection, budget: float) -> float:
    """The least loss of all subsets that fit."""
    losses = [np.inf]
    for size in range(1, len(selection.options) + 1):
        for chosen in combinations(range(len(selection.options)), size):
            if selection.prices.of_all(chosen) <= budget:
                losses.append(selection.nested.whole.fit(chosen)[0])
    return min(losses)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), share=st.floats(0.02, 1.2))
def test_the_search_is_exact(seed: int, share: float) -> None:
    problem = make_problem(rows=150, members=6, seed=seed)
    purchases = make_purchases(problem, seed)
    blends = Blends(problem, np.arange(150))

    def seconds(chosen: object) -> float:
        return sum(purchases[i].image_seconds for i in chosen)  # type: ignore[attr-defined]

    budget = share * seconds(range(6))
    least = np.inf
    for size in range(1, 7):
        for chosen in combinations(range(6), size):
            if seconds(chosen) <= budget:
                least = min(least, blends.fit(chosen)[0])
    found = best_subset(blends.fit, 6, seconds, budget)
    if found is None:
        assert least == np.inf
    else:
        assert found.loss == pytest.approx(least, abs=1e-6)
        assert found.gap == 0
        assert found.seconds <= budget


def test_a_search_that_stops_early_tells_the_gap() -> None:
    problem = make_problem(rows=300, members=18)
    draw = np.random.default_rng(0)
    cost = np.exp(draw.uniform(0, 3, 18))
    blends = Blends(problem, np.arange(300))

    def seconds(chosen: object) -> float:
        return float(sum(cost[i] for i in chosen))  # type: ignore[attr-defined]

    early = best_subset(blends.fit, 18, seconds, 20.0, nodes=1)
    exact = best_subset(blends.fit, 18, seconds, 20.0, nodes=100_000)
    assert early is not None
    assert exact is not None
    assert exact.gap == 0
    assert early.gap > 0
    assert early.loss - early.gap <= exact.loss + 1e-9 <= early.loss + 2e-9


def test_the_front_of_subsets_falls_in_seconds_and_rises_in_loss() -> None:
    selection = select(rows=200, members=6)
    front = selection.subsets
    assert len(front) > 2
    for dear, cheap in pairwise(front):
        assert cheap.seconds < dear.seconds
        assert cheap.loss >= dear.loss - 1e-9
        middle = (cheap.seconds + dear.seconds) / 2
        if middle < dear.seconds * 0.99:
            assert brute_force(selection, middle) == pytest.approx(cheap.loss, abs=1e-6)


@settings(max_examples=6)
@given(seed=st.integers(0, 1000), models=st.sampled_from([1, 5]))
def test_plans_keep_the_budget_and_more_of_it_never_hurts(seed: int, models: int) -> None:
    selection = select(seed, rows=200, members=5, models=models, noise=0.02)
    loss = np.inf
    for budget in np.geomspace(1.0, 60.0, 12):
        cascade, plan = selection.cascade(budget), plan_at(selection, budget)
        assert plan.seconds == pytest.approx(predicted_seconds(plan.stages, COSTS, 500))
        if any(stage.share for stage in plan.stages):
            assert plan.seconds <= budget
        else:
            assert plan.seconds == COSTS.base
        assert cascade.loss <= loss
        loss = cascade.loss
    scores = [plan.score for plan in plans_of(selection, 12)]
    assert scores == sorted(scores, reverse=True)  # more seconds never look worse


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), members=st.integers(1, 3), known=st.booleans())
def test_a_larger_budget_never_uses_fewer_models_at_equal_score(
    seed: int, members: int, known: bool
) -> None:
    """Whatever averaging is worth, or if nobody knows: more models come with more time.

    Among plans that all images get, of which a larger budget takes the dearer one.
    """
    noise = 0.03 if known else None
    selection = select(seed, rows=150, members=members, models=5, noise=noise)

    def models(cascade: Cascade) -> int:
        stages = (selection.options[i] for i in cascade.order[: cascade.levels[0].stages])
        return sum(option.models[1] - option.models[0] for option in stages)

    every = [one for one in selection.frontier if [level.share for level in one.levels] == [1]]
    for cheap, dear in combinations(every, 2):
        if cheap.loss - dear.loss < 1e-4:
            assert models(dear) >= models(cheap)
    best = selection.plan_of(selection.frontier[-1])
    used = [best.models_of(member) for member in best.members]
    assert all(planned in ((0, 5), (5, 5)) for planned in used)


def test_a_learner_does_not_blend_members_whose_models_can_be_averaged() -> None:
    assert "logistic" in select(rows=300, members=3, learn=True).nested.method.values()
    several = select(rows=300, members=3, learn=True, models=5, noise=0.05)
    assert "logistic" not in several.nested.method.values()


def test_the_gain_of_averaging_is_that_of_the_blends_noise() -> None:
    selection = select(rows=150, members=3, models=5, noise=0.3)
    order = selection.orders.climb(selection.first)
    assert len(order) == 9  # one model, three, five
    every = selection.nested.gain(order)
    weights = selection.nested.weights(order)
    assert every == pytest.approx(sum(w**2 for w in weights.values()) * 0.3 * (1 - 1 / 5))
    assert selection.nested.gain(selection.first) == 0
    losses = selection.nested.losses(order) - selection.nested.losses(selection.first)
    np.testing.assert_allclose(losses, -every)


@pytest.mark.parametrize("learn", [False, True])
def test_every_prefix_is_an_ensemble_of_its_own(learn: bool) -> None:
    selection = select(rows=200, members=4, learn=learn)
    plan = plan_at(selection, np.inf)
    combine = combiner(plan)
    assert (selection.nested.learner.name in selection.nested.method.values()) == learn
    order = [selection.problem.names.index(stage.member) for stage in plan.stages]
    seen = selection.problem.predictions[order]
    for count in range(1, len(order) + 1):
        blended = combine(range(count), seen[:count])
        np.testing.assert_allclose(blended.sum(axis=1), 1)
        assert blended.min() > 0
        others = tuple(range(count))[1:]
        if others:  # not a prefix: still an ensemble
            left = combine(others, seen[list(others)])
            np.testing.assert_allclose(left.sum(axis=1), 1)


def test_more_than_the_mean_is_taken_only_where_it_is_better_beyond_noise() -> None:
    learning = select(rows=300, members=4, learn=True)
    assert {"mean", "logistic"} <= set(learning.nested.method.values())
    problem = learning.problem
    for columns, method in learning.nested.method.items():
        if method != "mean":
            seen = problem.predictions[list(columns)].mean(axis=0)
            chosen = [i for i in learning.first if learning.nested.column[i] in columns]
            gained = row_losses(problem, seen) - learning.nested.losses(chosen)
            assert gained.mean() > gained.std() / np.sqrt(300)
    convex = select(rows=300, members=4)
    assert learning.cascade(np.inf).loss <= convex.cascade(np.inf).loss


@pytest.mark.parametrize("learn", [False, True])
def test_the_scored_fold_is_never_seen(learn: bool) -> None:
    """Its nested predictions and their order stay the same when its truth is spoilt."""
    clean = select(rows=200, members=3, learn=learn)
    spoilt = make_problem(rows=200, members=3)
    first = spoilt.folds == 0
    spoilt.truth[first] = (spoilt.truth[first] + 1) % 3
    other = Selection(spoilt, make_purchases(spoilt, 0), COSTS, 500, learn=learn)
    for chosen in [(), (0,), (0, 1), (0, 1, 2)]:
        if clean.nested.method.get(chosen) == other.nested.method.get(chosen):
            np.testing.assert_array_equal(
                clean.nested.predictions(chosen)[first], other.nested.predictions(chosen)[first]
            )
            changed = clean.nested.predictions(chosen) != other.nested.predictions(chosen)
            assert changed[~first].any() == (clean.nested.method[chosen] != "mean" or not chosen)


def test_the_order_of_options_changes_nothing() -> None:
    problem = make_problem(rows=200, members=5)
    purchases = make_purchases(problem, 0)
    order = np.random.default_rng(3).permutation(5)
    one = Selection(problem, purchases, COSTS, 500, learn=False)
    permuted = [purchases[i] for i in order[::-1]]
    other = Selection(permute_members(problem, order), permuted, COSTS, 500, learn=False)
    for budget in (3.0, 6.0, 12.0, np.inf):
        assert plan_at(one, budget) == plan_at(other, budget)


def test_images_are_sent_on_only_if_that_pays() -> None:
    """A budget between two ensembles is spent on the images for which the dearer one matters."""
    selection = select(rows=300, members=4)
    cascades = [one for one in selection.frontier if len(one.levels) > 1]
    assert cascades
    two = [one for one in cascades if len(one.levels) == 2 and one.levels[1].share < 0.9]
    assert two
    over_chance = []  # what choosing the images takes off, over sending the same share at random
    for one in two:
        short, longer = (
            row_losses(
                selection.problem, selection.nested.predictions(one.order[: level.stages])
            ).mean()
            for level in one.levels
        )
        sent = row_losses(selection.problem, selection.predictions(one)).mean()
        over_chance.append(short + one.levels[1].share * (longer - short) - sent)
    assert np.mean(over_chance) > 0
    assert np.mean(np.array(over_chance) > 0) > 0.8


def test_luck_is_what_chance_alone_explains() -> None:
    """Equal members are all but equally good; those that differ stay as they are."""
    truth = make_problem(rows=600, members=6, seed=1)
    draw = np.random.default_rng(0)
    logits = np.log(truth.predictions[0]) + 0.5 * draw.normal(size=(6, 600, 3))
    equal = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    problem = replace(truth, predictions=equal.astype(np.float32))
    places = {name: i for i, name in enumerate(problem.names)}
    own = np.array([row_losses(problem, one).mean() for one in problem.predictions])
    shrunk = own + np.array(list(luck(problem, places).values()))
    assert shrunk.std() < 0.6 * own.std()
    assert shrunk.mean() == pytest.approx(own.mean())
    unequal = make_problem(rows=600, members=6, seed=1)
    assert max(map(abs, luck(unequal, places).values())) < 0.01


def test_the_rule_that_knows_the_gain_is_found_and_sends_the_first() -> None:
    nested = select(rows=200, members=2).nested
    draw = np.random.default_rng(0)
    gain = draw.normal(size=200)
    worth = send(nested, np.stack([draw.normal(size=200), gain]), gain, np.ones(200, dtype=bool))
    assert (worth.rule[:-1] == 1).all()
    place = int(np.abs(SHARES - 0.1).argmin())
    first = np.sort(gain)[::-1][: round(SHARES[place] * 200)]
    doubt = DOUBT * np.sqrt((first**2).sum())
    assert worth.gain[place] == pytest.approx((first.sum() - doubt) / 200)


def test_those_who_are_sent_on_are_the_most_urgent() -> None:
    selection = select(rows=300, members=4)
    cascade = next(
        one for one in selection.frontier if len(one.levels) == 2 and one.levels[1].share < 0.9
    )
    first, problem = cascade.levels[0].stages, selection.problem
    followed = selection.applied(cascade, problem.predictions)
    chosen = cascade.order[:first]
    seen = problem.predictions[list(selection.nested.last(chosen).values())]
    before = selection.nested.blend(chosen).apply(seen)
    values = urgency(cascade.levels[1].rule, before, seen, "classes")
    changed = (followed != before).any(axis=1)
    assert changed.sum() == round(cascade.levels[1].share * 300)
    assert values[changed].min() >= values[~changed].max()


@pytest.mark.parametrize("task", TASKS)
def test_every_task_gets_a_frontier(task: str) -> None:
    selection = select(rows=200, members=3, task=task)
    scores = [plan.score for plan in plans_of(selection, 8)]
    greater = selection.problem.metric.greater_is_better
    assert scores == sorted(scores, reverse=not greater)
    assert len(set(scores)) > 2


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc", "f1_macro", "brier"])
def test_every_kind_of_metric_gets_a_frontier(metric: str) -> None:
    selection = select(rows=200, members=3, metric=metric)
    plans = plans_of(selection, 6)
    assert plans[-1].metric == metric
    assert selection.problem.metric.better(plans[-1].score, plans[0].score)


def test_a_score_knows_nothing_of_the_fold_that_is_scored() -> None:
    """With labels that mean nothing no plan looks better than the prior, however many there are."""
    problem = make_problem(rows=240, members=6, seed=3)
    problem.truth[:] = np.random.default_rng(1).permutation(problem.truth)
    selection = Selection(problem, make_purchases(problem, 0), COSTS, 500, learn=False)
    prior = selection.nested.losses(()).mean()
    honest = [plan.score for plan in plans_of(selection)]
    assert min(honest) > prior - 0.005
    assert selection.frontier[-1].loss <= prior


def test_selection_is_repeated_on_other_folds() -> None:
    """What predicts a fold does not change when that fold's truth is spoilt."""
    problem = make_problem(rows=200, members=3)
    clean = Selection(problem, make_purchases(problem, 0), COSTS, 500, learn=False)
    spoilt = make_problem(rows=200, members=3)
    first = spoilt.folds == 0
    spoilt.truth[first] = (spoilt.truth[first] + 1) % 3
    other = Selection(spoilt, make_purchases(spoilt, 0), COSTS, 500, learn=False)
    cascades = clean.some(5)
    predicted = (Judge(one).honest_predictions(cascades) for one in (clean, other))
    for one, two in zip(*predicted, strict=True):
        np.testing.assert_array_equal(one[first], two[first])
    assert (one[~first] != two[~first]).any()


def test_a_plan_cut_short_is_believed_no_more_than_what_was_reached() -> None:
    selection = select(rows=200, members=4)
    everyone = selection.for_all(range(4))
    own = selection.problem.metric.score(selection.problem.truth, selection.predictions(everyone))
    plan = Judge(selection).plan(everyone, Score(own + 0.1, 0.02, Decision()))
    prior, first, *_, last = plan.prefix_scores
    assert last == pytest.approx(plan.score)  # what flatters the whole is taken off all prefixes
    assert len(plan.prefix_scores) == len(plan.stages) + 1
    assert max(last, first) < prior  # log loss
    assert plan.score_of({(): 7}) == prior
    assert plan.score_of({(): 30, (0,): 10}) == pytest.approx((3 * prior + first) / 4)
    assert plan.score_of({(0, 2): 5}) == first  # no prefix: what its longest prefix is known for
    assert plan.score_of({(0, 1, 2, 3): 9}) == pytest.approx(last)


def test_plans_survive_their_file(tmp_path: Path) -> None:
    plans = Plans("digest", (plan_at(select(rows=120, members=3, learn=True), np.inf),))
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
        {"stages": [*stages[:-1], stages[-1] | {"models": [1, 2]}]},
        {"more": 1},
    ):
        file.write_text(json.dumps({**record, "plans": [record["plans"][0] | damage]}))
        with pytest.raises(WorkspaceError, match=r"plans\.json: is damaged .*plan again"):
            read_record(Plans, file, **told)
    file.write_text(json.dumps({**record, "plans": []}))
    with pytest.raises(WorkspaceError, match="there is no plan"):
        read_record(Plans, file, **told)


def test_a_plan_whose_shares_rise_is_refused() -> None:
    plan = plan_at(select(rows=120, members=3), np.inf)
    rising = tuple(replace(s, share=0.1 * (i + 1)) for i, s in enumerate(plan.stages))
    with pytest.raises(ValueError, match="fall"):
        replace(plan, stages=rising)


def test_stored_plans_are_chosen_by_the_rows_and_the_time_that_are_there() -> None:
    plans = plans_of(select(rows=200, members=5))
    few = [plan.on(50) for plan in plans]
    slow = [plan.on(500, 2.0) for plan in plans]
    for budget in (3.0, 6.0, 12.0):
        chosen = choose(plans, budget)
        assert chosen.seconds <= budget
        assert chosen == max((p for p in plans if p.seconds <= budget), key=lambda p: p.seconds)
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
    first = selection.purchases[0]
    twins = [replace(first, member=o.member, columns=o.columns) for o in selection.purchases]
    same = Selection(selection.problem, twins, COSTS, 500, learn=False)
    one, two = same.prices.of_all((0,)), same.prices.of_all((0, 1))
    assert two - one == pytest.approx(first.load_seconds + 500 * first.image_seconds)


def test_a_runtime_is_paid_once() -> None:
    selection = select(rows=120, members=3)
    costs = replace(COSTS, runtimes=(("a", 3.0), ("b", 5.0)))
    purchases = [
        replace(bought, runtime=name)
        for bought, name in zip(selection.purchases, ("a", "a", "b"), strict=True)
    ]
    with_runtimes = Selection(selection.problem, purchases, costs, 500, learn=False)
    for chosen in ((0,), (0, 1), (0, 2), (2, 1, 0)):
        extra = with_runtimes.prices.of_all(chosen) - selection.prices.of_all(chosen)
        used = {purchases[i].runtime for i in chosen}
        assert extra == pytest.approx(costs.imports(used))
    for one in with_runtimes.some(8):
        plan = replace(with_runtimes.plan_of(one), score=0.5, error=0.1)
        assert plan.seconds == pytest.approx(predicted_seconds(plan.stages, plan.costs, 500))
        assert plan.on(500, 2.0).seconds == pytest.approx(2 * plan.seconds)


def test_a_ladder_adds_models_and_views_one_after_the_other() -> None:
    bought = Purchase("a", "e", 64, 5, False, 0.2, 0.01, {1: "a1", 2: "a2", 4: "a4"}, base=2)
    rungs = ladder(bought, {"a1": 0.5, "a2": 0.45, "a4": 0.44}, 0.01)
    assert [(rung.models, rung.views) for rung in rungs] == [
        ((0, 1), (0, 1)),
        ((0, 1), (1, 2)),  # the second view gains more than models
        ((1, 3), (0, 2)),
        ((3, 5), (0, 2)),
        ((0, 5), (2, 4)),  # more views than the ensemble has come last
    ]
    assert [rung.column for rung in rungs] == ["a1", "a2", "a2", "a2", "a4"]
    assert [rung.fixed_seconds for rung in rungs] == pytest.approx([0.2, 0, 0.4, 0.4, 0])
    assert [rung.image_seconds for rung in rungs] == pytest.approx([0.01, 0.01, 0.04, 0.04, 0.1])
    all_at_once = whole(bought, 4)
    assert sum(r.image_seconds for r in rungs) == pytest.approx(all_at_once.image_seconds)
    heads = ladder(replace(bought, shared=True), {"a1": 0.5, "a2": 0.45, "a4": 0.44}, 0.01)
    assert [(rung.models, rung.views) for rung in heads] == [
        ((0, 5), (0, 1)),
        ((0, 5), (1, 2)),
        ((0, 5), (2, 4)),
    ]


def anchors() -> Selection:
    """Scores A > B > C > D at 10, 1, 1 and 1 seconds; B, C and D complement each other."""
    problem = make_problem(rows=2000, members=4, seed=1)
    draw = np.random.default_rng(0)
    signal = np.eye(3)[problem.truth] * 1.6
    noise = np.array([1.0, 1.04, 1.08, 1.12])[:, None, None] * draw.normal(size=(4, 2000, 3))
    exponentials = np.exp(signal + noise)
    predictions = (exponentials / exponentials.sum(axis=2, keepdims=True)).astype(np.float32)
    problem = replace(problem, names=tuple("ABCD"), predictions=predictions)
    purchases = [
        Purchase(name, "eager", 64, 1, False, seconds, 0.0, {1: name})
        for name, seconds in zip("ABCD", (10.0, 1.0, 1.0, 1.0), strict=True)
    ]
    return Selection(problem, purchases, Costs(0.0, 0.0, ((64, 0.0),)), 100, learn=False)


def test_autogluons_rule_keeps_the_dear_one_alone() -> None:
    """Limit 10.45: it drops D, C and B to keep A; together they would have been better at 3."""
    selection = anchors()
    peers = Peers(selection)
    assert list(np.argsort(peers.alone)) == [0, 1, 2, 3]
    theirs = peers.autogluon(10.45)
    assert [peers.options[i].member for i in theirs.options] == ["A"]
    subset = selection.subset(10.45)
    assert subset is not None
    assert {selection.options[i].member for i in subset.options} == {"B", "C", "D"}
    assert subset.seconds == 3.0
    assert selection.cascade(10.45).loss < theirs.score
    late = peers.autogluon(0.5)  # nothing fits: it takes the fastest and is late
    assert late.seconds > 0.5


def test_peers_keep_the_budget() -> None:
    selection = select(rows=200, members=5)
    peers = Peers(selection)
    assert set(peers.rules) == {"best_single", "mean_of_fastest", "autogluon", "static_cost"}
    for budget in np.geomspace(2.0, selection.frontier[-1].seconds, 20):
        for name, rule in peers.rules.items():
            choice = rule(float(budget))
            assert name == "autogluon" or not choice.options or choice.seconds <= budget
            assert sum(choice.weights) == pytest.approx(1 if choice.options else 0)


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
    plans = plans_of(select(rows=200, members=5))
    free = most_efficient(plans, "score")
    dear = most_efficient(plans, "score + 1000 * seconds")
    middle = most_efficient(plans, "(score - best) / (base - best) + seconds / 10")
    assert free.score == min(plan.score for plan in plans)
    assert dear.seconds == min(plan.seconds for plan in plans)
    assert dear.seconds < middle.seconds < free.seconds
    with pytest.raises(ConfigError, match="no value"):
        most_efficient(plans, "score / (base - base)")


def test_left_over_time_buys_nothing_that_makes_the_plan_worse() -> None:
    """A learner mends one member's scale; blends that average fold models do without one."""
    problem = make_problem(rows=300, members=2)
    columns = {"a": problem.predictions[0] ** 0.2, "b": problem.predictions[1] ** 0.2}
    predictions = np.stack([c / c.sum(axis=1, keepdims=True) for c in columns.values()])
    unsure = replace(problem, names=("a", "b"), predictions=predictions.astype(np.float32))
    bought = [
        Purchase("a", "torch-fp32", 64, 5, True, 0.1, 0.001, {1: "a"}),
        Purchase("b", "torch-fp32", 64, 5, False, 0.1, 0.001, {1: "b"}),
    ]
    costs = Costs(1.0, 0.1, ((0, 0.0), (64, 0.001)))
    selection = Selection(unsure, bought, costs, 500)
    for cascade in selection.some():
        planned = cascade.levels[-1].stages if cascade.levels else 0
        plan = Judge(selection).plan(cascade, Score(0.5, 0.1, Decision()))
        losses = [
            selection.nested.losses(cascade.order[:k]).mean()
            for k in range(max(1, planned), len(plan.stages) + 1)
        ]
        assert losses[-1] == pytest.approx(min(losses), abs=1e-6)
