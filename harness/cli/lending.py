"""What other verbs do for a search: training, bootstrap, the ensemble's blend, costs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from rich.console import Console

from harness.data.sample import read_test_ids
from harness.display import Display
from harness.errors import ConfigError, WorkspaceError
from harness.model import ModelSection
from harness.predict.cost import read_costs
from harness.predict.machine import fingerprint
from harness.stack.addition import blended_loss, parts_of
from harness.stack.problem import Problem
from harness.stack.resample import paired_scores
from harness.submit.budgeted import costs_file
from harness.train.jobs import Wish, train
from harness.tune.affordable import Kind, affordability, kind_of
from harness.tune.search import Halfway, Tools
from harness.tune.setup import Setup
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble
from harness.workspace.oof import read_oof
from harness.workspace.training import TrainingRows


def lend(setup: Setup, against: Ensemble | None) -> Tools:
    """What the search works with; ``against`` is the ensemble that trials are to add to."""
    workspace, training = setup.workspace, setup.training
    tools = Tools(
        train=_training(workspace),
        resample=paired_scores,
        loss=_loss(workspace, training, against),
    )
    if setup.section.objective == "budget":
        return replace(tools, affordable=_affordability(workspace, training))
    return tools


def _training(
    workspace: Workspace,
) -> Callable[[ModelSection, Sequence[int], float | None, Halfway | None], bool]:
    """Train a model that need not be in competition.toml, without a word."""
    quiet = Display(Console(quiet=True, force_terminal=False))
    before = workspace.competition

    def train_model(
        model: ModelSection,
        folds: Sequence[int],
        seconds: float | None,
        halfway: Halfway | None = None,
    ) -> bool:
        others = tuple(
            other
            for other in before.model
            if model.name not in {run.name for run in other.trainings()}
        )
        competition = before.with_models((*others, model))
        wish = Wish([model.name], folds=folds, seconds=seconds, members=not folds)
        return train(replace(workspace, competition=competition), quiet, wish, halfway)

    return train_model


def _loss(
    workspace: Workspace, training: TrainingRows, ensemble: Ensemble | None
) -> Callable[[np.ndarray, np.ndarray], float]:
    """A run's own loss on rows, or that of the ensemble with it."""

    metric, truth, decide = workspace.competition.metric, training.target, training.decision.apply
    if ensemble is None:
        return lambda rows, predictions: metric.loss(truth[rows], decide(predictions))

    names = ensemble.used
    files = [workspace.oof / f"{name}.parquet" for name in names]
    members = np.stack([read_oof(file, training).predictions for file in files])
    place = np.full(len(training.ids), -1)
    place[training.rows_in_folds] = np.arange(len(training.rows_in_folds))

    def loss(rows: np.ndarray, predictions: np.ndarray) -> float:
        groups = None if training.groups is None else training.groups[rows]
        problem = Problem(
            names=(*names, "one more"),
            predictions=np.concatenate([members[:, place[rows]], predictions[None]]),
            truth=truth[rows],
            folds=parts_of(groups, len(rows)),
            task=training.task,
            metric=metric,
        )
        return blended_loss(problem, training.decision, workspace.competition.stack.seed)

    return loss


def _affordability(
    workspace: Workspace, training: TrainingRows
) -> Callable[[ModelSection], str | None]:
    budget = workspace.competition.budget
    if budget.seconds is None:
        raise ConfigError(
            "competition.toml [tune]", "objective = 'budget' knows none", "set [budget] seconds"
        )
    rows = budget.test_rows or len(read_test_ids(workspace.competition, workspace.root))
    measured = _engine_seconds(workspace)
    return affordability(rows, budget.seconds, len(training.targets), workspace.root, measured)


def _engine_seconds(workspace: Workspace) -> dict[Kind, float]:
    """Seconds an image by the fastest engine of each kind of network that `cost` measured here."""

    try:
        sheet = read_costs(costs_file(workspace))
    except WorkspaceError:  # nothing was measured
        return {}
    if sheet.machine != fingerprint():
        return {}
    models = {run.name: run for run in workspace.competition.runs}
    fastest: dict[Kind, float] = {}
    for member in sheet.members:
        if model := models.get(member.member):
            seconds = min(member.image_seconds(1), fastest.get(kind_of(model), math.inf))
            fastest[kind_of(model)] = seconds
    return fastest
