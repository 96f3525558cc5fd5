"""What the ensemble costs on this machine, and the plans for every budget: models/ensemble/."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from harness.data.images import Pixels, cached_images, find_images
from harness.display import Display
from harness.files import write_text
from harness.predict.cost import (
    Averaging,
    CostSheet,
    MemberCost,
    Source,
    measure_decoding,
    measure_starts,
    pixels_file,
)
from harness.predict.engines import ENGINES, REFERENCE, Kind, convert, open_run, why_missing
from harness.predict.guard import agreement
from harness.predict.machine import fingerprint, probe
from harness.predict.measure import assess
from harness.predict.plan import Plan, Plans
from harness.predict.views import plan_views
from harness.stack.decide import decide_nested
from harness.stack.fold_models import imagined_rows, noise_of
from harness.stack.honest import NORMAL
from harness.stack.inner import thinned
from harness.stack.members import read_holdout, read_repeats
from harness.stack.methods import METHODS, nested_predictions
from harness.stack.priced import Cascade, Level, Purchase
from harness.stack.problem import Problem
from harness.stack.scored import Judge, Score
from harness.stack.select import TIE, Selection
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble
from harness.workspace.training import TrainingRows

Views = dict[tuple[str, int], NDArray[np.float32]]
"""(member, views) → out-of-fold predictions (rows, targets)."""

ROWS_TIMED = 64
"""Images that each engine is timed on."""
ROWS_HELD = 1000
"""Out-of-fold rows on which an engine's answers are held against the stored ones."""
ROWS_COMPARED, LEAST_COMPARED = 128, 16
"""Test images on which fold models are compared, and how few are not enough."""
MOST_ROWS = 20_000
"""Out-of-fold rows that plans are selected and scored on."""


def measure_costs(
    workspace: Workspace,
    ensemble: Ensemble,
    problem: Problem,
    training: TrainingRows,
    display: Display,
    *,
    kinds: Sequence[Kind],
    starts: Sequence[Sequence[str]],
    write: float,
    write_rows: int,
    views: int,
    test_paths: Sequence[Path],
) -> tuple[CostSheet, Views]:
    """Time the engines ``kinds`` for every member, and keep the fastest that answers the same.

    With it come the out-of-fold predictions of every member in 1, 2, 4, … up to ``views`` views.

    ``starts`` are the commands whose seconds are a budgeted submission's start; ``write`` is what
    combining and writing took for ``write_rows``. ``test_paths`` are images without labels, on
    which fold models can be compared.
    """
    members: list[MemberCost] = []
    notes: list[str] = []
    in_views: Views = {}
    paths = find_images(workspace.competition, workspace.root, training.ids)
    for name, weights in zip(ensemble.members, ensemble.weights, strict=True):
        if weights:
            found, said = _measure_member(
                workspace, name, weights, problem, training, paths, display, kinds
            )
            members += found
            notes += said
            for member in found:
                in_views |= _in_views(workspace, member, training, paths, display, views)
    read, decode = measure_decoding(paths, [member.size for member in members] or [32])
    sheet = CostSheet(
        ensemble=ensemble.digest,
        machine=fingerprint(),
        probe=probe(),
        starts=measure_starts(starts),
        read=read,
        decode=decode,
        write=write,
        rows=write_rows,
        members=tuple(members),
        notes=tuple(notes),
        averaging=_averaging(workspace, members, problem, training, test_paths, display),
    )
    return sheet, in_views


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
    left out only if a cheaper plan is better beyond noise.
    """
    some = thinned(np.arange(len(problem.folds)), MOST_ROWS, 0)
    purchases, columns = _purchases(ensemble, problem, sheet, in_views, base, repeats)
    selection = Selection(
        columns.of_rows(some),
        purchases,
        sheet.costs(rows),
        rows,
        noise={one.member: max(one.loss, TIE) for one in sheet.averaging},
    )
    everything = _everything(ensemble, selection)
    first, *more = selection.some()
    cascades = [first, *(one for one in more if one.seconds < everything.seconds)]
    ruled = "+" in ensemble.method
    rule = ensemble.decision.rule if ruled else None
    judge = Judge(selection, rule, at_least_one=ensemble.decision.at_least_one)
    gains = [_gain(selection, one, sheet) for one in (*cascades, everything)]
    peer = (_nested(ensemble, problem.of_rows(some)), gains[-1][0])
    scores, beaten = judge.scores(cascades, [gain for gain, _ in gains[:-1]], peer)
    if not beaten:
        believed = ensemble.estimate
        error = (believed.high - believed.low) / (2 * NORMAL)
        cascades.append(everything)
        scores.append(Score(believed.value, error, ensemble.decision))
    return [
        judge.plan(one, believed, gain)
        for one, believed, gain in zip(cascades, scores, gains, strict=False)
    ]


def write_plans(path: Path, ensemble: Ensemble, plans: Sequence[Plan]) -> None:
    """Keep the plans beside the digest of the ensemble that they are for."""
    record = asdict(Plans(ensemble.digest, tuple(plans)))
    write_text(path, json.dumps(record, ensure_ascii=False) + "\n")


def _measure_member(
    workspace: Workspace,
    name: str,
    weights: tuple[str, ...],
    problem: Problem,
    training: TrainingRows,
    paths: list[Path],
    display: Display,
    kinds: Sequence[Kind],
) -> tuple[list[MemberCost], list[str]]:
    """(the member's fastest engine that answers the same, and what is worth telling)."""
    run = open_run(workspace.models / name)
    folder, views = workspace.models / "ensemble" / "engines", workspace.competition.views
    pixels = _pixels(workspace, run.model.image_size, paths, display)
    fold_of = training.assignment[:, 0].astype(np.intp)
    timed, held = _some(fold_of, ROWS_TIMED, fold=0), _some(fold_of, ROWS_HELD)
    notes: list[str] = []
    found: list[MemberCost] = []
    with display.progress(f"{name}: engines", len(kinds), unit="engines") as advance:
        for done, kind in enumerate(kinds):
            advance(done, kind.name)
            if why := why_missing(kind, converting=True):
                notes.append(f"{name}: {kind.name} is left out: {why}")
                continue
            # the fold models, too, where a soup or a refit predicts: they are what can be checked
            convert(kind, run, run.weights, folder, pixels[held >= 0][:ROWS_TIMED])
            assessed = assess(kind, run.folder, folder, pixels_file(pixels), timed)
            if isinstance(assessed, str):
                notes.append(f"{name}: {kind.name} is left out: it {assessed}")
                continue
            found.append(
                MemberCost(name, run.model.image_size, run.shares_backbone, weights, assessed.cost)
            )
    found.sort(key=lambda one: one.cost.image_seconds)
    seen = held[training.rows_in_folds] >= 0
    stored = problem.predictions[problem.names.index(name)][seen]
    if training.assignment.shape[1] > 1 and len(found) > 1:
        # stored are means over the repeats, an engine is held against one of them
        assessed = assess(REFERENCE, run.folder, folder, pixels_file(pixels), held, views=views)
        if not isinstance(assessed, str):
            stored = assessed.predictions[held >= 0]
    refused: set[tuple[str, str]] = set()  # whether batches run side by side changes no answer
    for one in found:
        kind = ENGINES[one.cost.engine]
        if len(found) == 1:
            return [one], notes
        if (kind.runtime, kind.precision) in refused:
            continue
        assessed = assess(kind, run.folder, folder, pixels_file(pixels), held, views=views)
        if isinstance(assessed, str):
            notes.append(f"{name}: {kind.name} is left out: it {assessed}")
            continue
        same = agreement(
            problem.metric,
            problem.truth[seen],
            stored,
            assessed.predictions[held >= 0],
            None if problem.groups is None else problem.groups[seen],
        )
        if same.acceptable:
            checked = replace(one, rows=int(seen.sum()), score=same.score, reference=same.reference)
            return [checked], notes
        refused.add((kind.runtime, kind.precision))
        notes.append(
            f"{name}: {kind.runtime} in {kind.precision} is left out: {problem.metric.name} "
            f"{same.score:.4f} instead of {same.reference:.4f} on {int(seen.sum())} rows"
        )
    return [], notes


def _in_views(
    workspace: Workspace,
    member: MemberCost,
    training: TrainingRows,
    paths: list[Path],
    display: Display,
    views: int,
) -> Views:
    """The member's out-of-fold predictions in 1, 2, 4, … views, by the fold models of one repeat.

    Not in as many as the stored ones are made in.
    """
    order, base = plan_views(workspace.competition), len(workspace.competition.views)
    counts = [n for n in (1, 2, 4, 8) if n != base and n <= min(max(views, base), len(order))]
    if not counts:
        return {}
    pixels = _pixels(workspace, member.size, paths, display)
    kind, found = ENGINES[member.cost.engine], {}
    run_folder = workspace.models / member.member
    engines = workspace.models / "ensemble" / "engines"
    fold_of = training.assignment[:, 0].astype(np.intp)
    for count in counts:
        with display.progress(f"{member.member} in {count} views", 1, unit="passes"):
            assessed = assess(
                kind, run_folder, engines, pixels_file(pixels), fold_of, views=order[:count]
            )
        if not isinstance(assessed, str):
            found[(member.member, count)] = assessed.predictions[training.rows_in_folds]
    return found


def _averaging(
    workspace: Workspace,
    members: Sequence[MemberCost],
    problem: Problem,
    training: TrainingRows,
    test_paths: Sequence[Path],
    display: Display,
) -> tuple[Averaging, ...]:
    """Return the worth of averaging each member's fold models, by the best source that there is.

    The holdout's labels, or those of the rows that repeats predicted several times, or how far the
    models disagree about test images. A member whose models share a backbone predicts with all of
    them in any case, so that it is not worth running it for this.
    """
    found: list[Averaging] = []
    for one in members:
        name, folder = one.member, workspace.models / one.member
        source: Source = "holdout"
        rows = training.holdout_rows
        models = read_holdout(folder, training) if len(rows) else None
        if models is None and training.assignment.shape[1] > 1:
            source, rows = "repeats", training.rows_in_folds
            models = read_repeats(folder, training)
        groups = None if training.groups is None else training.groups[rows]
        truth = training.target[rows]
        if models is None and not one.shared and len(one.weights) > 1:
            models = _on_test_images(workspace, one, test_paths, display)
            if models is not None:
                source, rows = "test images", np.arange(models.shape[1])
                stored = problem.predictions[problem.names.index(name)]
                residuals = problem.truth - stored[:, 0] if problem.kind == "values" else stored
                truth, groups, models = imagined_rows(problem.kind, models, residuals, seed=0)
        if models is None or len(models) < 2:
            continue
        noise = noise_of(problem.metric, problem.kind, truth, groups, models, seed=0)
        if noise is not None:
            found.append(
                Averaging(
                    name, noise.loss, noise.score, noise.error, len(models), len(rows), source
                )
            )
    return tuple(found)


def _on_test_images(
    workspace: Workspace, member: MemberCost, paths: Sequence[Path], display: Display
) -> NDArray[np.float32] | None:
    """(models, rows, targets): what every fold model says of some test images; None without any."""
    there = [path for path in paths if path.exists()]
    some = [there[i] for i in np.unique(np.linspace(0, len(there) - 1, ROWS_COMPARED).astype(int))]
    if len(some) < LEAST_COMPARED:
        return None
    pixels = _pixels(workspace, member.size, some, display)
    models = len(member.weights)
    with (
        TemporaryDirectory() as folder,
        display.progress(f"{member.member}: fold models", 1, unit="passes"),
    ):
        repeated = Path(folder) / "pixels.npy"
        np.save(repeated, np.tile(pixels, (models, 1, 1, 1)))
        assessed = assess(
            ENGINES[member.cost.engine],
            workspace.models / member.member,
            workspace.models / "ensemble" / "engines",
            repeated,
            np.repeat(np.arange(models), len(some)),
        )
    if isinstance(assessed, str):
        return None
    return assessed.predictions.reshape(models, len(some), -1)


def _pixels(workspace: Workspace, size: int, paths: list[Path], display: Display) -> Pixels:
    with display.progress(f"reading at {size} px", len(paths)) as advance:
        cache, rendering = workspace.cache / "images", workspace.competition.data.rendering
        return cached_images(
            paths, size, cache, lambda done: advance(done, ""), rendering=rendering
        ).pixels


def _some(fold_of: NDArray[np.intp], count: int, fold: int | None = None) -> NDArray[np.intp]:
    """(rows,) the fold of at most ``count`` rows, spread over the table, −1 for the others."""
    able = np.flatnonzero(fold_of >= 0 if fold is None else fold_of == fold)
    chosen = able[np.unique(np.linspace(0, len(able) - 1, count).astype(int))]
    found = np.full(len(fold_of), -1, dtype=np.intp)
    found[chosen] = fold_of[chosen]
    return found


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
