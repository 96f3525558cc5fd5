"""Combine the members in oof/ and keep the best combination in models/ensemble/."""

import json
from pathlib import Path

import numpy as np

import harness
from harness.competition import as_plain
from harness.display import Display
from harness.errors import WorkspaceError
from harness.files import digest, file_digest
from harness.stack.honest import MethodScore, choose, evaluate
from harness.stack.problem import Problem
from harness.workspace import Workspace
from harness.workspace.ensemble import Ensemble, Score, read_ensemble, write_ensemble
from harness.workspace.oof import OutOfFold, read_oof
from harness.workspace.training import TrainingRows, read_training


def stack(workspace: Workspace, display: Display) -> tuple[Ensemble, bool]:
    """The ensemble, and whether it was made now (True) or stood there from the same inputs."""
    competition = workspace.competition
    training = read_training(workspace)
    files = member_files(workspace.oof)
    members = [read_oof(path, training) for path in files]
    _require_different(members, files)
    inputs = digest(
        harness.__version__,
        json.dumps(as_plain(competition.stack)),
        competition.metric.name,
        training.folds.digest,
        training.target_digest,
        *(part for path in files for part in (path.stem, file_digest(path))),
    )
    if (workspace.models / "ensemble" / "ensemble.json").exists():
        stored = read_ensemble(workspace.models / "ensemble")
        if stored.inputs == inputs:
            return stored, False

    rows = training.rows_in_folds
    problem = Problem(
        names=tuple(member.name for member in members),
        predictions=np.stack([member.predictions for member in members]),
        truth=training.target[rows],
        folds=training.assignment[rows, 0].astype(np.int64),
        task=training.task,
        metric=competition.metric,
        groups=None if training.groups is None else _codes(training.groups[rows]),
    )
    methods = competition.stack.methods
    with display.progress("stacking", len(methods), unit="methods") as advance:
        done = iter(range(10**6))
        scores = evaluate(
            problem,
            methods,
            seed=competition.stack.seed,
            progress=lambda method: advance(next(done), method),
        )
    ensemble = _ensemble(problem, training, members, scores, inputs)
    write_ensemble(workspace.models / "ensemble", ensemble)
    return ensemble, True


def member_files(folder: Path) -> list[Path]:
    """The OOF files in order of name; predictions of test rows are kept beside some of them."""
    files = sorted(p for p in folder.glob("*.parquet") if not p.name.endswith(".test.parquet"))
    if not files:
        raise WorkspaceError(folder, "holds no OOF file", "run `python -m harness train`")
    return files


def _ensemble(
    problem: Problem,
    training: TrainingRows,
    members: list[OutOfFold],
    scores: list[MethodScore],
    inputs: str,
) -> Ensemble:
    chosen = choose(scores)
    metric = problem.metric
    return Ensemble(
        method=chosen.method,
        metric=metric.name,
        members=problem.names,
        used=tuple(problem.names[i] for i in chosen.blend.members_used),
        targets=training.targets,
        member_scores=tuple(metric.score(problem.truth, m.predictions) for m in members),
        member_seconds=tuple(float(m.metadata.get("seconds", "nan")) for m in members),
        scores=tuple(
            Score(
                method=score.method,
                nested=score.nested.value,
                low=score.nested.low,
                high=score.nested.high,
                in_sample=score.in_sample,
                seconds=score.seconds,
                indistinguishable_from=score.indistinguishable_from,
            )
            for score in scores
        ),
        blend=chosen.blend.to_json(),
        prior=_prior(problem),
        folds=training.folds.digest,
        inputs=inputs,
    )


def _prior(problem: Problem) -> tuple[float, ...]:
    """What to predict where nothing is known: class shares, label shares, or the mean."""
    truth, targets = problem.truth, problem.predictions.shape[2]
    if problem.kind == "classes":
        return tuple((np.bincount(truth, minlength=targets) / len(truth)).tolist())
    return tuple(np.atleast_1d(truth.mean(axis=0)).tolist())


def _require_different(members: list[OutOfFold], files: list[Path]) -> None:
    """Refuse the same predictions under two names: they would count twice in a mean."""
    seen: dict[str, Path] = {}
    for member, path in zip(members, files, strict=True):
        key = digest(member.predictions.tobytes())
        if key in seen:
            raise WorkspaceError(path, f"holds the same as {seen[key].name}", "remove one of them")
        seen[key] = path


def _codes(groups: np.ndarray) -> np.ndarray:
    return np.unique(groups, return_inverse=True)[1]
