"""Combine the members in oof/ and keep the best combination in models/ensemble/."""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import harness
from harness.competition import as_plain
from harness.data.metadata import Column, choose_columns, encode
from harness.data.table import read_metadata
from harness.display import Display
from harness.errors import WorkspaceError
from harness.files import digest
from harness.metrics import Metric
from harness.stack.diversity import diversity
from harness.stack.honest import (
    MethodScore,
    choose,
    cost_of_a_label,
    evaluate,
    member_scores,
    reason,
    score_of_choice,
)
from harness.stack.members import NO_HOLDOUT, Judged, Member, judge, read_members
from harness.stack.problem import Problem
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble, Score, read_ensemble, write_ensemble
from harness.workspace.runs import run_digest
from harness.workspace.training import TrainingRows, read_training


def stack(workspace: Workspace, display: Display) -> tuple[Ensemble, bool]:
    """The ensemble, and whether it was made now (True) or stood there from the same inputs."""
    competition = workspace.competition
    training = read_training(workspace)
    members = read_members(workspace, training)
    names = competition.stack.metadata
    texts = read_metadata(competition, workspace.root, training.ids, names, test=False)
    metric = competition.metric
    inputs = digest(
        harness.__version__,
        json.dumps(as_plain(competition.stack)),
        metric.digest,
        str(training.decision.at_least_one),
        training.folds.digest,
        training.target_digest,
        json.dumps(texts.tolist()),
        *(member.digest for member in members),
    )
    if stored := _stored(workspace, inputs):
        return stored, False

    rows = training.rows_in_folds
    columns = choose_columns(names, texts[rows], workspace.root / (competition.data.train or ""))
    problem = _problem(training, members, metric, encode(columns, texts[rows]))
    seed = competition.stack.seed
    judged = [judge(member, training, problem, seed) for member in members]
    methods = competition.stack.methods
    with display.progress("stacking", len(methods), unit="methods") as advance:
        done = iter(range(10**6))
        scores = evaluate(
            problem,
            methods,
            seed=seed,
            progress=lambda method: advance(next(done), method),
        )
    ensemble = _ensemble(
        problem, training, members, judged, columns, scores, seed, inputs, competition.views
    )
    write_ensemble(workspace.models / "ensemble", ensemble)
    return ensemble, True


def read_problem(workspace: Workspace) -> tuple[TrainingRows, Problem]:
    """The labelled rows, and the members in oof/ as a problem without metadata."""
    training = read_training(workspace)
    members = read_members(workspace, training)
    return training, _problem(training, members, workspace.competition.metric, None)


def _problem(
    training: TrainingRows,
    members: Sequence[Member],
    metric: Metric,
    metadata: NDArray[np.float32] | None,
) -> Problem:
    rows = training.rows_in_folds
    return Problem(
        names=tuple(member.name for member in members),
        predictions=np.stack([member.out_of_fold.predictions for member in members]),
        truth=training.target[rows],
        folds=training.assignment[rows, 0].astype(np.int64),
        task=training.task,
        metric=metric,
        groups=None if training.groups is None else _codes(training.groups[rows]),
        metadata=metadata,
        at_least_one=training.decision.at_least_one,
    )


def _stored(workspace: Workspace, inputs: str) -> Ensemble | None:
    """The ensemble that was made of the same; one that cannot be read is made again."""
    try:
        stored = read_ensemble(workspace.models / "ensemble")
    except WorkspaceError:
        return None
    return stored if stored.inputs == inputs else None


def _ensemble(
    problem: Problem,
    training: TrainingRows,
    members: list[Member],
    judged: list[Judged],
    columns: tuple[Column, ...],
    scores: list[MethodScore],
    seed: int,
    inputs: str,
    views: tuple[str, ...],
) -> Ensemble:
    chosen = choose(scores)
    believed = score_of_choice(problem, scores, seed=seed)
    families = [member.family for member in members]
    decision = training.decision
    said = tuple(one.sentence for one in judged if one.sentence)
    return Ensemble(
        method=chosen.method,
        metric=problem.metric.name,
        nested=believed.value,
        low=believed.low,
        high=believed.high,
        rows=len(problem.folds),
        members=problem.names,
        used=tuple(problem.names[i] for i in chosen.blend.members_used),
        targets=training.targets,
        member_scores=member_scores(problem),
        member_seconds=tuple(member.seconds for member in members),
        weights=tuple(one.weights for one in judged),
        runs=tuple(run_digest(member.folder) for member in members),
        views=views,
        scores=tuple(
            Score(
                method=score.method,
                nested=score.nested.value,
                low=score.nested.low,
                high=score.nested.high,
                in_sample=score.in_sample,
                seconds=score.seconds,
                over_mean=score.over_mean,
                over_best=score.over_best,
            )
            for score in scores
        ),
        reason=f"{reason(scores)} {cost_of_a_label(problem, chosen, seed=seed)}".strip(),
        diversity=diversity(problem, seed=seed, families=families, treat=decision.apply).sentences,
        fold_models=said if len(training.holdout_rows) else (NO_HOLDOUT,),
        blend=chosen.blend.to_json(),
        decision=chosen.decision,
        fold_decisions=chosen.fold_decisions,
        metadata=columns,
        prior=_prior(problem),
        folds=training.folds.digest,
        inputs=inputs,
        task=problem.task,
        metric_digest=problem.metric.digest,
    )


def _prior(problem: Problem) -> tuple[float, ...]:
    """What to predict where nothing is known: class shares, label shares, or the mean."""
    truth, targets = problem.truth, problem.predictions.shape[2]
    if problem.kind == "classes":
        return tuple((np.bincount(truth, minlength=targets) / len(truth)).tolist())
    return tuple(np.atleast_1d(truth.mean(axis=0)).tolist())


def _codes(groups: NDArray[np.object_]) -> NDArray[np.intp]:
    return np.unique(groups, return_inverse=True)[1]
