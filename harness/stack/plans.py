"""The plans for every budget: models/ensemble/plans.json."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.predict.cost import CostSheet
from harness.predict.plan import Plan, Plans
from harness.records import write_json
from harness.stack.cascade import learner
from harness.stack.decide import decide_nested
from harness.stack.honest import NORMAL
from harness.stack.inner import thinned
from harness.stack.methods import METHODS, nested_predictions
from harness.stack.priced import Cascade, Level, Purchase
from harness.stack.problem import Problem
from harness.stack.scored import Judge, Score
from harness.stack.select import TIE, Selection
from harness.workspace.ensemble import Ensemble

Views = dict[tuple[str, int], NDArray[np.float32]]
"""(member, views) → out-of-fold predictions (rows, targets)."""

MOST_ROWS = 20_000
"""Out-of-fold rows that plans are selected and scored on."""


def make_plans(
    ensemble: Ensemble,
    problem: Problem,
    sheet: CostSheet,
    in_views: Views,
    rows: int,
    *,
    base: int = 1,
    repeats: int = 1,
) -> list[Plan]:
    """Plans for every budget, from the worst and cheapest to the best, for ``rows`` test images.

    ``base`` is how many views the ensemble predicts in, ``repeats`` how many models' mean an OOF
    prediction is. The last plan is all of the ensemble, as it predicts without a budget. It is
    left out only if a cheaper plan is better beyond noise. A plan blends by logistic regression
    (ridge for values) only if that method competed for the ensemble.
    """
    some = thinned(np.arange(len(problem.folds)), MOST_ROWS, 0)
    purchases, columns = _purchases(ensemble, problem, sheet, in_views, base, repeats)
    competed = {score.method.partition("+")[0] for score in ensemble.scores}
    selection = Selection(
        columns.of_rows(some),
        purchases,
        sheet.costs(rows),
        rows,
        noise={one.member: max(one.loss, TIE) for one in sheet.averaging},
        learn=learner(problem).name in competed,
    )
    everything = _everything(ensemble, selection)
    first, *more = selection.some()
    cascades = [first, *(one for one in more if one.seconds < everything.seconds)]
    ruled = "+" in ensemble.method
    rule = ensemble.decision.rule if ruled else None
    judge = Judge(selection, rule)
    gains = [_gain(selection, one, sheet) for one in (*cascades, everything)]
    peer = (_nested(ensemble, problem.of_rows(some)), gains[-1][0])
    scores, beaten = judge.scores(cascades, [gain for gain, _ in gains[:-1]], peer)
    if not beaten:
        believed = ensemble.estimate
        error = (believed.high - believed.low) / (2 * NORMAL)
        cascades.append(everything)
        scores.append(Score(believed.value, error, ensemble.decision))
    plans = [
        judge.plan(one, believed, gain)
        for one, believed, gain in zip(cascades, scores, gains, strict=False)
    ]
    return plans if beaten else [*plans[:-1], replace(plans[-1], whole=True)]


def write_plans(path: Path, ensemble: Ensemble, plans: Sequence[Plan]) -> None:
    """Keep the plans beside the digest of the ensemble that they are for."""
    record = asdict(Plans(ensemble.digest, tuple(plans)))
    write_json(path, json.dumps(record, ensure_ascii=False))


def _purchases(
    ensemble: Ensemble,
    problem: Problem,
    sheet: CostSheet,
    in_views: Views,
    base: int,
    repeats: int,
) -> tuple[list[Purchase], Problem]:
    """Return the purchases that each member offers, and a problem of all their columns."""
    columns: dict[str, NDArray[np.float32]] = {}

    def named(member: str, seen: Mapping[int, NDArray[np.float32]]) -> dict[int, str]:
        names = {views: f"{member} in {views}" for views in seen}
        columns.update({names[views]: values for views, values in seen.items()})
        return names

    stored = dict(zip(problem.names, problem.predictions, strict=True))
    purchases = [  # another tool's predictions: there is nothing to run
        Purchase(name, "given", 0, 1, True, 0.0, 0.0, named(name, {1: stored[name]}))
        for name, weights in zip(ensemble.members, ensemble.weights, strict=True)
        if not weights
    ]
    for one in sheet.members:
        name, models = one.member, len(one.weights)
        seen = {views: values for (of, views), values in in_views.items() if of == name}
        purchases.append(
            Purchase(
                member=name,
                engine=one.cost.engine,
                size=one.size,
                models=models,
                shared=one.shared,
                load_seconds=one.fixed_seconds(1),
                image_seconds=one.image_seconds(1),
                columns=named(name, {**seen, base: stored[name]}),
                runtime=one.runtime,
                base=base,
                known=1 if models == 1 else repeats,
            )
        )
    return purchases, replace(
        problem, names=tuple(columns), predictions=np.stack([*columns.values()])
    )


def _nested(ensemble: Ensemble, problem: Problem) -> NDArray[np.float64]:
    """(rows, targets): what the ensemble decides for rows that it was not fitted on."""
    method = METHODS[ensemble.method.partition("+")[0]]
    rows = np.arange(len(problem.folds), dtype=np.intp)
    predictions = nested_predictions(problem, method, rows, 0)
    by_fold = ensemble.fold_decisions or (ensemble.decision,) * len(problem.fold_numbers(rows))
    return decide_nested(problem, predictions, by_fold)


def _everything(ensemble: Ensemble, selection: Selection) -> Cascade:
    """All that the ensemble uses, for every image; its members in more views come last."""
    used = [i for i in selection.first if selection.options[i].member in ensemble.used]
    base = {bought.member: bought.base for bought in selection.purchases}
    climbed = selection.orders.climb(selection.orders.greedy((), used))
    within = [
        i for i in climbed if selection.options[i].views[1] <= base[selection.options[i].member]
    ]
    order = (*within, *(i for i in climbed if i not in within))
    levels = (Level(len(within), 1.0, ""),)
    loss = float(selection.nested.losses(within).mean())
    return Cascade(order, levels, selection.prices.of_levels(order, levels), loss)


def _gain(selection: Selection, cascade: Cascade, sheet: CostSheet) -> tuple[float, float]:
    """Return the gain in score that averaging is expected to bring, and its standard error."""
    score = {one.member: one.score for one in sheet.averaging}
    errors = [selection.gain(cascade, {one.member: one.error}) for one in sheet.averaging]
    return selection.gain(cascade, score), math.hypot(*errors)
