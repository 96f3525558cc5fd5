"""What the ensemble costs on this machine, and the plans for every budget: models/ensemble/."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.images import Pixels, cached_images, find_images
from harness.display import Display
from harness.files import write_text
from harness.predict.cost import (
    CostSheet,
    MemberCost,
    measure_decoding,
    measure_starts,
    pixels_file,
)
from harness.predict.engines import ENGINES, REFERENCE, Kind, convert, open_run, why_missing
from harness.predict.guard import agreement
from harness.predict.machine import fingerprint, probe
from harness.predict.measure import assess
from harness.predict.plan import Plan, Plans
from harness.predict.views import allowed_views
from harness.stack.priced import Option
from harness.stack.problem import Problem
from harness.stack.select import Selection
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble
from harness.workspace.training import TrainingRows

Views = dict[tuple[str, int], NDArray[np.float32]]
"""(member, views) → out-of-fold predictions (rows, targets)."""

ROWS_TIMED = 64
"""Images that each engine is timed on."""
ROWS_HELD = 1000
"""Out-of-fold rows on which an engine's answers are held against the stored ones."""


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
) -> tuple[CostSheet, Views]:
    """Time the engines ``kinds`` for every member, and keep the fastest that answers the same.

    With it come the out-of-fold predictions of every member in 2, 4, … up to ``views`` views.

    ``starts`` are the commands whose seconds are a budgeted submission's start; ``write`` is what
    combining and writing took for ``write_rows``.
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
    )
    return sheet, in_views


def make_plans(
    ensemble: Ensemble, problem: Problem, sheet: CostSheet, in_views: Views, rows: int
) -> list[Plan]:
    """Plans for every budget, cheapest first by predicted seconds for ``rows`` test images.

    One frontier for each number of fold models kept: out of fold they score the same, since every
    row is predicted by one; so of two plans alike the dearer has more of them, never a worse score.
    """
    most = max((len(member.weights) for member in sheet.members), default=1)
    counts = sorted({1, (most + 1) // 2, most})
    plans: list[Plan] = []
    for count in counts:
        options, predictions = _options(ensemble, problem, sheet, in_views, count)
        selection = Selection(
            Problem(
                names=tuple(option.name for option in options),
                predictions=predictions,
                truth=problem.truth,
                folds=problem.folds,
                task=problem.task,
                metric=problem.metric,
                groups=problem.groups,
            ),
            options,
            sheet.costs(rows),
            rows,
            fold_decisions=ensemble.fold_decisions,
        )
        plans += selection.plans()
        plans.append(_everything(ensemble, selection))
        if all(member.shared for member in sheet.members):
            break  # the heads of one frozen backbone cost the same, one or all
    return sorted(plans, key=lambda plan: plan.seconds)


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
    folder = workspace.models / "ensemble" / "engines"
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
        assessed = assess(REFERENCE, run.folder, folder, pixels_file(pixels), held)
        if not isinstance(assessed, str):
            stored = assessed.predictions[held >= 0]
    refused: set[tuple[str, str]] = set()  # whether batches run side by side changes no answer
    for one in found:
        kind = ENGINES[one.cost.engine]
        if len(found) == 1:
            return [one], notes
        if (kind.runtime, kind.precision) in refused:
            continue
        assessed = assess(kind, run.folder, folder, pixels_file(pixels), held)
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
    """The member's out-of-fold predictions in 2, 4, … views, by the fold models of one repeat."""
    if views == 1:
        return {}
    pixels = _pixels(workspace, member.size, paths, display)
    kind, found = ENGINES[member.cost.engine], {}
    run_folder = workspace.models / member.member
    engines = workspace.models / "ensemble" / "engines"
    fold_of = training.assignment[:, 0].astype(np.intp)
    allowed = allowed_views(workspace.competition.data.invariances)
    for count in (2, 4, 8):
        if count <= min(views, len(allowed)):
            with display.progress(f"{member.member} in {count} views", 1, unit="passes"):
                assessed = assess(
                    kind, run_folder, engines, pixels_file(pixels), fold_of, views=allowed[:count]
                )
            if not isinstance(assessed, str):
                predictions = assessed.predictions[training.rows_in_folds]
                found[(member.member, count)] = predictions
    return found


def _pixels(workspace: Workspace, size: int, paths: list[Path], display: Display) -> Pixels:
    with display.progress(f"reading at {size} px", len(paths)) as advance:
        cache, white = workspace.cache / "images", workspace.competition.data.white
        return cached_images(paths, size, cache, lambda done: advance(done, ""), white=white).pixels


def _some(fold_of: NDArray[np.intp], count: int, fold: int | None = None) -> NDArray[np.intp]:
    """(rows,) the fold of at most ``count`` rows, spread over the table, −1 for the others."""
    able = np.flatnonzero(fold_of >= 0 if fold is None else fold_of == fold)
    chosen = able[np.unique(np.linspace(0, len(able) - 1, count).astype(int))]
    found = np.full(len(fold_of), -1, dtype=np.intp)
    found[chosen] = fold_of[chosen]
    return found


def _options(
    ensemble: Ensemble, problem: Problem, sheet: CostSheet, in_views: Views, count: int
) -> tuple[list[Option], NDArray[np.float32]]:
    """What can be bought with at most ``count`` fold models a member, and its OOF predictions."""
    options: list[Option] = []
    predictions: list[NDArray[np.float32]] = []
    stored = dict(zip(problem.names, problem.predictions, strict=True))
    for name, weights in zip(ensemble.members, ensemble.weights, strict=True):
        if not weights:  # another tool's predictions: there is nothing to run
            options.append(Option(name, name, "given", 1, 1, 0, 0.0, 0.0))
            predictions.append(stored[name])
    for member in sheet.members:
        name, every = member.member, len(member.weights)
        folds = every if member.shared else min(count, every)
        seen = {1: stored[name]} | {v: p for (of, v), p in in_views.items() if of == name}
        for views, values in seen.items():
            options.append(
                Option(
                    name=f"{name}, {folds} models in {views} views on {member.cost.engine}",
                    member=name,
                    engine=member.cost.engine,
                    folds=folds,
                    views=views,
                    size=member.size,
                    fixed_seconds=member.fixed_seconds(folds),
                    image_seconds=member.image_seconds(folds) * views,
                    runtime=member.runtime,
                )
            )
            predictions.append(values)
    return options, np.stack(predictions)


def _everything(ensemble: Ensemble, selection: Selection) -> Plan:
    """All that the ensemble uses, for every image: combined by its own method in the end."""
    used = [
        i
        for i, option in enumerate(selection.options)
        if option.member in ensemble.used and option.views == 1
    ]
    plan = selection.plan_for_all(used)
    chosen = ensemble.chosen
    return replace(plan, score=chosen.nested, error=(chosen.high - chosen.low) / (2 * 1.96))
