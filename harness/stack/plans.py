"""What the ensemble costs on this machine, and the plans for every budget: models/ensemble/."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data.images import cached_images, find_images
from harness.display import Display
from harness.files import write_text
from harness.predict.cost import (
    CostSheet,
    MemberCost,
    measure_decoding,
    measure_starts,
    pixels_file,
)
from harness.predict.engines import ENGINES, Kind, convert, open_run, why_missing
from harness.predict.guard import agreement
from harness.predict.machine import fingerprint, probe
from harness.predict.measure import assess
from harness.predict.plan import Plan
from harness.stack.problem import Problem
from harness.stack.select import Option, Selection
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble
from harness.workspace.training import TrainingRows

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
) -> CostSheet:
    """Time the engines ``kinds`` for every member, and keep the fastest that answers the same.

    ``starts`` are the commands whose seconds are a budgeted submission's start; ``write`` is what
    combining and writing took for ``write_rows``.
    """
    members: list[MemberCost] = []
    notes: list[str] = []
    paths = find_images(workspace.competition, workspace.root, training.ids)
    for name, weights in zip(ensemble.members, ensemble.weights, strict=True):
        if weights:
            found, said = _measure_member(
                workspace, name, weights, problem, training, paths, display, kinds
            )
            members += found
            notes += said
    read, decode = measure_decoding(paths, [member.size for member in members] or [32])
    return CostSheet(
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


def make_plans(ensemble: Ensemble, problem: Problem, sheet: CostSheet, rows: int) -> list[Plan]:
    """Plans for every budget, cheapest first by predicted seconds for ``rows`` test images.

    One frontier for each number of fold models kept: out of fold they score the same, since every
    row is predicted by one; so of two plans alike the dearer has more of them, never a worse score.
    """
    most = max((len(member.weights) for member in sheet.members), default=1)
    counts = sorted({1, (most + 1) // 2, most})
    plans: list[Plan] = []
    for count in counts:
        options, predictions = _options(ensemble, problem, sheet, count)
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
        )
        plans += selection.plans()
        plans.append(_everything(ensemble, selection))
        if all(member.shared for member in sheet.members):
            break  # the heads of one frozen backbone cost the same, one or all
    return sorted(plans, key=lambda plan: plan.seconds)


def write_plans(path: Path, ensemble: Ensemble, plans: Sequence[Plan]) -> None:
    """Keep the plans beside the digest of the ensemble that they are for."""
    record = {"ensemble": ensemble.digest, "plans": [plan.to_json() for plan in plans]}
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
    with display.progress(f"reading at {run.model.image_size} px", len(paths)) as advance:
        pixels = cached_images(
            paths, run.model.image_size, workspace.cache / "images", lambda done: advance(done, "")
        ).pixels
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
    stored = problem.predictions[problem.names.index(name)]
    for one in found:
        kind = ENGINES[one.cost.engine]
        if len(found) == 1:
            return [one], notes
        assessed = assess(kind, run.folder, folder, pixels_file(pixels), held)
        if isinstance(assessed, str):
            notes.append(f"{name}: {kind.name} is left out: it {assessed}")
            continue
        seen = held[training.rows_in_folds] >= 0
        same = agreement(
            problem.metric,
            problem.truth[seen],
            stored[seen],
            assessed.predictions[held >= 0],
            None if problem.groups is None else problem.groups[seen],
        )
        if same.acceptable:
            checked = replace(one, rows=int(seen.sum()), score=same.score, reference=same.reference)
            return [checked], notes
        notes.append(
            f"{name}: {kind.name} is left out: {problem.metric.name} {same.score:.5f} instead of "
            f"{same.reference:.5f} on {int(seen.sum())} rows"
        )
    return [], notes


def _some(fold_of: NDArray[np.intp], count: int, fold: int | None = None) -> NDArray[np.intp]:
    """(rows,) the fold of at most ``count`` rows, spread over the table, −1 for the others."""
    able = np.flatnonzero(fold_of >= 0 if fold is None else fold_of == fold)
    chosen = able[np.unique(np.linspace(0, len(able) - 1, count).astype(int))]
    found = np.full(len(fold_of), -1, dtype=np.intp)
    found[chosen] = fold_of[chosen]
    return found


def _options(
    ensemble: Ensemble, problem: Problem, sheet: CostSheet, count: int
) -> tuple[list[Option], NDArray[np.float32]]:
    """What can be bought with at most ``count`` fold models a member, and its OOF predictions."""
    options: list[Option] = []
    rows: list[int] = []
    for number, name in enumerate(ensemble.members):
        if not ensemble.weights[number]:  # another tool's predictions: there is nothing to run
            options.append(Option(name, name, "given", 1, 1, 0, 0.0, 0.0))
            rows.append(problem.names.index(name))
        for member in sheet.members:
            if member.member == name:
                folds = len(member.weights) if member.shared else min(count, len(member.weights))
                options.append(
                    Option(
                        name=f"{name}, {folds} models on {member.cost.engine}",
                        member=name,
                        engine=member.cost.engine,
                        folds=folds,
                        views=1,
                        size=member.size,
                        fixed_seconds=member.fixed_seconds(folds) + sheet.extra_start(member),
                        image_seconds=member.image_seconds(folds),
                    )
                )
                rows.append(problem.names.index(name))
    return options, problem.predictions[rows]


def _everything(ensemble: Ensemble, selection: Selection) -> Plan:
    """All that the ensemble uses, for every image: combined by its own method in the end."""
    used = [i for i, option in enumerate(selection.options) if option.member in ensemble.used]
    plan = selection.plan_for_all(used)
    chosen = ensemble.chosen
    return replace(plan, score=chosen.nested, error=(chosen.high - chosen.low) / (2 * 1.96))
