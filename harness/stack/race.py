"""The engine that serves each member, and all that predicting with the ensemble costs here.

Engines race on one model of a member. The guard checks the winner on out-of-fold rows; if it
refuses it, the next one's turn comes. Engines that were far slower do not enter for later
members, and for a backbone that has raced only its winner does, and the engines before it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from harness.data.images import Pixels, cached_images, find_images
from harness.display import Display, one_line
from harness.errors import HarnessError
from harness.model import ModelSection
from harness.predict.cost import (
    Averaging,
    CostSheet,
    MemberCost,
    Source,
    measure_decoding,
    measure_starts,
    pixels_file,
)
from harness.predict.engine import choose_device
from harness.predict.engines import ENGINES, REFERENCE, Kind, Run, convert, open_run, why_missing
from harness.predict.guard import agreement
from harness.predict.machine import fingerprint, probe
from harness.predict.measure import ROWS_TIMED, EngineCost, predict_apart, time_engines
from harness.predict.views import plan_views
from harness.stack.fold_models import imagined_rows, noise_of
from harness.stack.members import read_holdout, read_repeats
from harness.stack.plans import Views
from harness.stack.problem import Problem
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble
from harness.workspace.training import TrainingRows

SECONDS = 0.3
"""Seconds for which each batch size of an engine is timed."""
CLOSE = 1.5
"""Times the fastest engine's seconds with which another one races for the next backbone, too."""
ROWS_HELD = 1000
"""Out-of-fold rows on which an engine's answers are compared with the stored ones."""
ROWS_COMPARED, LEAST_COMPARED = 128, 16
"""Test images on which fold models are compared, and how few are not enough."""


def measure_costs(
    workspace: Workspace,
    ensemble: Ensemble,
    problem: Problem,
    training: TrainingRows,
    display: Display,
    *,
    kinds: Sequence[Kind],
    thorough: bool,
    starts: Sequence[Sequence[str]],
    write: float,
    write_rows: int,
    test_paths: Sequence[Path],
) -> tuple[CostSheet, Views]:
    """Let the engines ``kinds`` race for every member, and measure all that a submission costs.

    Engines in int8 take long to make. They race only where the ensemble is too slow for [budget]
    seconds without them, or if ``thorough``; then every engine races for every member, too.

    Return with it the out-of-fold predictions of every member in 1, 2, 4, … up to [budget] views.

    ``starts`` are the commands whose seconds are a budgeted submission's start; ``write`` is the
    seconds of combining and writing ``write_rows``. ``test_paths`` are images without labels, on
    which fold models can be compared.
    """
    paths = find_images(workspace.competition, workspace.root, training.ids)
    race = Race(workspace, problem, training, paths, display, thorough)
    models = {n: w for n, w in zip(ensemble.members, ensemble.weights, strict=True) if w}
    quantised = [kind for kind in kinds if kind.precision == "int8"]
    usual = [kind for kind in kinds if thorough or kind not in quantised] or quantised
    members = race.serve(models, {name: usual for name in models})
    budget = workspace.competition.budget
    rows, late = budget.test_rows or write_rows, [kind for kind in quantised if kind not in usual]
    forward = sum(rows * one.image_seconds(len(one.weights)) for one in members.values())
    if late and budget.seconds and forward * len(workspace.competition.views) > budget.seconds:
        more = {name: [ENGINES[one.cost.engine], *late] for name, one in members.items()}
        members |= race.serve({name: models[name] for name in members}, more)
    in_views: Views = {}
    for member in members.values():
        in_views |= race.in_views(member, budget.views)
    read, decode = measure_decoding(paths, [one.size for one in members.values()] or [32])
    sheet = CostSheet(
        ensemble=ensemble.digest,
        machine=fingerprint(),
        probe=probe(),
        starts=measure_starts(starts),
        read=read,
        decode=decode,
        write=write,
        rows=write_rows,
        members=tuple(members.values()),
        notes=tuple(race.notes),
        averaging=race.averaging(list(members.values()), test_paths),
    )
    return sheet, in_views


@dataclass
class Race:
    """The engines that were timed, by backbone, image size and channels, and remarks on them."""

    workspace: Workspace
    problem: Problem
    training: TrainingRows
    paths: list[Path]
    display: Display
    thorough: bool
    notes: list[str] = field(default_factory=list)
    timed: dict[tuple[str, int, int], dict[str, EngineCost | str]] = field(default_factory=dict)
    raced: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    won: dict[str, set[str]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The folder of converted networks."""
        return self.workspace.models / "ensemble" / "engines"

    def serve(
        self, weights: dict[str, tuple[str, ...]], kinds: dict[str, list[Kind]]
    ) -> dict[str, MemberCost]:
        """Return each member's fastest engine that answers as well; a member with none is left
        out. ``weights`` are the files that it predicts with, ``kinds`` the engines that may race.
        """
        members: dict[str, MemberCost] = {}
        with self.display.progress("engines", len(weights), unit="members") as advance:
            for done, (name, files) in enumerate(weights.items()):
                advance(done, name)
                if (one := self._fastest(name, files, kinds[name])) is not None:
                    members[name] = one
        return members

    def _fastest(self, name: str, files: tuple[str, ...], kinds: list[Kind]) -> MemberCost | None:
        run = open_run(self.workspace.models / name)
        model = run.model
        pixels = self._pixels(model.image_size, self.paths)
        refused: set[tuple[str, str]] = set()  # whether batches run side by side changes no answer
        for entrants in self._heats(model, kinds):
            faster: set[str] = set()
            for cost in self._times(run, entrants, pixels):
                kind = ENGINES[cost.engine]
                faster.add(kind.name)
                if (kind.runtime, kind.precision) in refused:
                    continue
                checked = self._checked(run, files, kind, cost, pixels)
                if not isinstance(checked, str):
                    self.won[model.backbone] = faster
                    return checked
                refused.add((kind.runtime, kind.precision))
                self.notes.append(f"{name}: {checked}")
        return None

    def _heats(self, model: ModelSection, kinds: list[Kind]) -> Iterator[list[Kind]]:
        """The engines that may win, then, if none of them serves, the others."""
        won = self.won.get(model.backbone)
        first = [
            kind
            for kind in kinds
            if self.thorough
            or kind.name not in self.raced
            or (kind.name in won if won else kind.name not in self.slow)
        ]
        yield first
        yield [kind for kind in kinds if kind not in first]

    def _times(self, run: Run, kinds: list[Kind], pixels: Pixels) -> list[EngineCost]:
        """The costs of those engines that work, the fastest first."""
        model, name = run.model, run.folder.name
        timed = self.timed.setdefault((model.backbone, model.image_size, model.channels), {})
        able = []
        for kind in kinds:
            if kind.name in timed:
                continue
            if why := why_missing(kind, converting=True):
                self.notes.append(f"{name}: {kind.name} is left out: {why}")
            elif why := self._convert(run, kind, run.weights[:1], pixels):
                self.notes.append(f"{name}: {why}")
            else:
                able.append(kind)
        seconds = SECONDS * (1 + self.thorough)
        found = time_engines(able, run.folder, self.folder, pixels_file(pixels), seconds=seconds)
        timed |= found
        self.raced |= {kind.name for kind in kinds}
        for engine, cost in found.items():
            if isinstance(cost, str):
                self.notes.append(f"{name}: {engine} is left out: it {cost}")
        costs = [timed.get(kind.name, "") for kind in kinds]
        ranked = sorted(
            (one for one in costs if not isinstance(one, str)),
            key=lambda one: one.image_seconds,
        )
        least = ranked[0].image_seconds if ranked else 0.0
        self.slow |= {cost.engine for cost in ranked if cost.image_seconds > CLOSE * least}
        return ranked

    def _convert(self, run: Run, kind: Kind, weights: Sequence[str], pixels: Pixels) -> str:
        """Make the networks that are missing; return why that is impossible, else ""."""
        try:
            convert(kind, run, weights, self.folder, pixels[spread(len(pixels), ROWS_TIMED)])
        except HarnessError:
            raise
        except Exception as error:  # exporters know only some networks, and raise anything
            why = one_line(error)[:200]
            return f"{kind.name} is left out: the network cannot be converted ({why})"
        return ""

    def _checked(
        self, run: Run, files: tuple[str, ...], kind: Kind, cost: EngineCost, pixels: Pixels
    ) -> MemberCost | str:
        """The member served by that engine, or why its answers are not good enough."""
        name, problem, training = run.folder.name, self.problem, self.training
        member = MemberCost(name, run.model.image_size, run.shares_backbone, files, cost)
        # the fold models, too, where a soup or a refit predicts: they are what can be checked
        if why := self._convert(run, kind, run.weights, pixels):
            return why
        if _made_the_stored(kind, run.model):
            return member
        fold_of = training.assignment[:, 0].astype(np.intp)
        able = np.flatnonzero(fold_of >= 0)
        held = np.full(len(fold_of), -1, dtype=np.intp)
        chosen = able[spread(len(able), ROWS_HELD)]
        held[chosen] = fold_of[chosen]
        seen = held[training.rows_in_folds] >= 0
        views = self.workspace.competition.views
        stored = problem.predictions[problem.names.index(name)][seen]
        if training.assignment.shape[1] > 1:
            # stored are means over the repeats, an engine is compared with one of them
            reference = EngineCost(REFERENCE.name, cost.batch, 1, 0, 0, 0, 0, 0, 0)
            once = self._predict(run.folder, reference, pixels, held, views)
            stored = stored if isinstance(once, str) else once[held >= 0]
        predictions = self._predict(run.folder, cost, pixels, held, views)
        if isinstance(predictions, str):
            return f"{kind.name} is left out: it {predictions}"
        same = agreement(
            problem.metric,
            problem.truth[seen],
            stored,
            predictions[held >= 0],
            None if problem.groups is None else problem.groups[seen],
        )
        if same.acceptable:
            return replace(member, rows=int(seen.sum()), score=same.score, reference=same.reference)
        return (
            f"{kind.runtime} in {kind.precision} is left out: {problem.metric.name} "
            f"{same.score:.4f} instead of {same.reference:.4f} on {int(seen.sum())} rows"
        )

    def in_views(self, member: MemberCost, most: int) -> Views:
        """Return the member's OOF predictions in 1, 2, 4, … views, by fold models of one repeat.

        Not in as many as the stored ones are made in.
        """
        competition = self.workspace.competition
        order, base = plan_views(competition), len(competition.views)
        found: Views = {}
        for count in (
            n for n in (1, 2, 4, 8) if n != base and n <= min(max(most, base), len(order))
        ):
            fold_of = self.training.assignment[:, 0].astype(np.intp)
            with self.display.progress(f"{member.member} in {count} views", 1, unit="passes"):
                predictions = self._predict(
                    self.workspace.models / member.member,
                    member.cost,
                    self._pixels(member.size, self.paths),
                    fold_of,
                    order[:count],
                )
            if not isinstance(predictions, str):
                found[(member.member, count)] = predictions[self.training.rows_in_folds]
        return found

    def averaging(
        self, members: Sequence[MemberCost], test_paths: Sequence[Path]
    ) -> tuple[Averaging, ...]:
        """Return the worth of averaging each member's fold models, by the best source there is.

        The holdout's labels, or those of the rows that repeats predicted several times, or how far
        the models disagree about test images. A member whose models share a backbone predicts with
        all of them in any case, so that it is not worth running it for this.
        """
        problem, training = self.problem, self.training
        found: list[Averaging] = []
        for one in members:
            name, folder = one.member, self.workspace.models / one.member
            source: Source = "holdout"
            rows = training.holdout_rows
            models = read_holdout(folder, training) if len(rows) else None
            if models is None and training.assignment.shape[1] > 1:
                source, rows = "repeats", training.rows_in_folds
                models = read_repeats(folder, training)
            groups = None if training.groups is None else training.groups[rows]
            truth = training.target[rows]
            if models is None and not one.shared and len(one.weights) > 1:
                models = self._on_test_images(one, test_paths)
                if models is not None:
                    source, rows = "test images", np.arange(models.shape[1])
                    stored = problem.predictions[problem.names.index(name)]
                    residuals = problem.truth - stored[:, 0] if problem.kind == "values" else stored
                    truth, groups, models = imagined_rows(problem.kind, models, residuals, seed=0)
            if models is None or len(models) < 2:
                continue
            noise = noise_of(problem.metric, problem.kind, truth, groups, models, seed=0)
            if noise is not None:
                worth = (noise.loss, noise.score, noise.error)
                found.append(Averaging(name, *worth, len(models), len(rows), source))
        return tuple(found)

    def _on_test_images(
        self, member: MemberCost, paths: Sequence[Path]
    ) -> NDArray[np.float32] | None:
        """(models, rows, targets): each fold model's predictions of some test images, if any."""
        there = [path for path in paths if path.exists()]
        some = [there[i] for i in spread(len(there), ROWS_COMPARED)]
        if len(some) < LEAST_COMPARED:
            return None
        pixels, models = self._pixels(member.size, some), len(member.weights)
        with (
            TemporaryDirectory() as scratch,
            self.display.progress(f"{member.member}: fold models", 1, unit="passes"),
        ):
            repeated = Path(scratch) / "pixels.npy"
            np.save(repeated, np.tile(pixels, (models, 1, 1, 1)))
            folds = np.repeat(np.arange(models), len(some))
            predictions = predict_apart(
                member.cost, self.workspace.models / member.member, self.folder, repeated, folds
            )
        if isinstance(predictions, str):
            return None
        return predictions.reshape(models, len(some), -1)

    def _predict(
        self,
        run: Path,
        cost: EngineCost,
        pixels: Pixels,
        folds: NDArray[np.intp],
        views: Sequence[str],
    ) -> NDArray[np.float32] | str:
        return predict_apart(cost, run, self.folder, pixels_file(pixels), folds, views=views)

    def _pixels(self, size: int, paths: list[Path]) -> Pixels:
        with self.display.progress(f"reading at {size} px", len(paths)) as advance:
            cache, rendering = (
                self.workspace.cache / "images",
                self.workspace.competition.data.rendering,
            )
            return cached_images(
                paths, size, cache, lambda done: advance(done, ""), rendering=rendering
            ).pixels


def spread(rows: int, most: int) -> NDArray[np.intp]:
    """Return the positions of at most ``most`` rows, evenly spread over all ``rows``."""
    return np.unique(np.linspace(0, rows - 1, min(most, max(rows, 0))).astype(np.intp))


def _made_the_stored(kind: Kind, model: ModelSection) -> bool:
    """Whether the stored predictions are this engine's own."""
    device = choose_device(model.precision)
    plain = kind.runtime == "torch" and not kind.compiled
    return plain and (kind.device, kind.precision) == (device.torch.type, device.precision)
