"""The members in oof/, with what is known of the runs that they came from, and their holdout."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import WorkspaceError
from harness.estimate import Estimate
from harness.files import digest, file_digest
from harness.model import ModelSection
from harness.stack.decide import as_scored
from harness.stack.fold_models import HoldoutScores, Way, leak_in_errors, score_holdout
from harness.stack.problem import Problem
from harness.workspace import Workspace
from harness.workspace.oof import (
    OutOfFold,
    given_file,
    oof_files,
    read_oof,
    read_predictions,
    views_of_run,
)
from harness.workspace.runs import (
    fold_file,
    fold_files,
    fold_predictions_file,
    holdout_file,
    load_arrays,
    noted_views,
    read_model,
    refit_file,
    soup_file,
    training_seconds,
    write_holdout_scores,
)
from harness.workspace.training import TrainingRows

Predictions = NDArray[np.float32]

LEAK_ERRORS = 4.0
"""A lead over the holdout of so many standard errors is no luck, not even of the best of many."""
NO_HOLDOUT = "What averaging fold models is worth is not measured: no holdout."


@dataclass(frozen=True)
class Member:
    """An OOF file and its run. ``model`` is None for a member of another tool.

    ``fold_models`` (k, rows, targets) are predictions for the holdout rows, ``others`` those of
    the soup or the refit; None and empty where there are none.
    """

    path: Path
    out_of_fold: OutOfFold
    folder: Path
    model: ModelSection | None
    fold_models: Predictions | None
    others: Mapping[str, Predictions] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The run's name, which is the file's."""
        return self.out_of_fold.name

    @property
    def family(self) -> str:
        """The backbone's architecture; the name where that is not known."""
        return self.model.backbone.partition(".")[0] if self.model else self.name

    @property
    def seconds(self) -> float:
        """What its training took; what another tool's took it may have noted."""
        if self.model:
            return training_seconds(self.folder)
        return float(self.out_of_fold.metadata.get("seconds", "nan"))

    @property
    def digest(self) -> str:
        """Changes with all that stacking reads of it."""
        holdout = {} if self.fold_models is None else {"fold_models": self.fold_models}
        arrays = {**holdout, **self.others}
        return digest(
            self.name,
            file_digest(self.path),
            *((self.model.predict, str(self.model.fold_models)) if self.model else ()),
            *(file.name for file in fold_files(self.folder)),
            *(part for name, array in arrays.items() for part in (name, array.tobytes())),
        )


@dataclass(frozen=True)
class Judged:
    """Which weights files of models/<run>/ predict for a member, and why, in a sentence."""

    weights: tuple[str, ...]
    sentence: str | None


def read_members(workspace: Workspace, training: TrainingRows) -> list[Member]:
    """Every member in oof/, checked; a WorkspaceError names the file that does not fit."""
    listed = {model.name: model for model in workspace.competition.runs}
    members: list[Member] = []
    seen: dict[str, Path] = {}
    for path in oof_files(workspace.oof):
        out_of_fold = read_oof(path, training)
        content = digest(out_of_fold.predictions.tobytes())
        if content in seen:  # it would count twice in a mean
            raise WorkspaceError(
                path, f"holds the same as {seen[content].name}", "remove one of them"
            )
        seen[content] = path
        members.append(_read_member(workspace, training, path, out_of_fold, listed))
    return members


def judge(member: Member, training: TrainingRows, problem: Problem, seed: int) -> Judged:
    """Hold the member against the holdout: how it predicts best, and that nothing leaked.

    Writes models/<run>/holdout.json. A WorkspaceError names a member whose out-of-fold score is
    too good to be true.
    """
    files = fold_files(member.folder) if member.model else []
    predict = member.model.predict if member.model else "average"
    count = training.folds.repeats * training.folds.k if files else 0
    if member.model and member.model.fold_models:
        count = min(count, member.model.fold_models)
    wanted = tuple(fold_file(member.folder, number) for number in range(count))
    scores = _scores(member, training, problem, seed)
    if scores is None:
        sentence = None
        if predict == "soup":
            raise WorkspaceError(
                member.folder,
                "its soup cannot be judged: there is no score on holdout rows",
                'set [folds] holdout and train again, or set predict = "average"',
            )
        if len(training.holdout_rows):
            why = "no predictions for it" if member.fold_models is None else "too few rows"
            sentence = f"{member.name}: not measured on the holdout ({why})."
        return Judged(_weights(member, predict, wanted), sentence)
    # another tool's prediction may be an average of any number of models
    repeats = training.folds.repeats if member.model else 1
    _require_no_leak(member, training, problem, scores, repeats, seed)
    taken = predict
    if predict == "soup" and scores.way("soup").does_harm:
        taken = "average"
    if member.model:
        record = {"metric": problem.metric.name, **asdict(scores), "taken": taken}
        write_holdout_scores(member.folder, record)
    sentence = _sentence(member.name, problem.metric.name, scores, count, predict, taken)
    return Judged(_weights(member, taken, wanted), sentence)


def _read_member(
    workspace: Workspace,
    training: TrainingRows,
    path: Path,
    out_of_fold: OutOfFold,
    listed: Mapping[str, ModelSection],
) -> Member:
    name, folder = out_of_fold.name, workspace.models / out_of_fold.name
    if not (folder / "run.json").exists():
        file, given = given_file(workspace.oof, name, "holdout"), None
        if len(training.holdout_rows) and file.exists():
            ids = training.ids[training.holdout_rows]
            given = read_predictions(file, ids, training.targets, training.task)[None]
        return Member(path, out_of_fold, folder, None, given)
    model = read_model(folder)
    if name in listed:  # how it was trained is the run's to say, how it predicts the user's
        wanted = listed[name]
        choice = {"predict": wanted.predict, "fold_models": wanted.fold_models}
        model = model.model_copy(update=choice)
    others: dict[str, Predictions] = {}
    views = views_of_run(path, folder)
    for kind, file in (("soup", soup_file(folder)), ("refit", refit_file(folder))):
        if model.predict == kind:
            if not file.exists():
                raise WorkspaceError(
                    file, f"is missing, and {name!r} predicts with it", "run `train` again"
                )
            if len(training.holdout_rows):
                others[kind] = _holdout(holdout_file(file), training)["holdout"]
                views[holdout_file(file)] = noted_views(holdout_file(file))
    for file, seen in views.items():
        if seen != (asked := workspace.competition.views):
            raise WorkspaceError(
                file,
                f"holds predictions in other views ({', '.join(seen)}) than competition.toml asks "
                f"for ({', '.join(asked)})",
                "run `python -m harness train`: it predicts again and trains nothing again",
            )
    return Member(path, out_of_fold, folder, model, read_holdout(folder, training), others)


def read_repeats(folder: Path, training: TrainingRows) -> Predictions | None:
    """Return (repeats, rows in folds, targets): each row by a model of every repeat.

    None where a fold has no predictions.
    """
    shape = (training.assignment.shape[1], len(training.ids), len(training.targets))
    found = np.full(shape, np.nan, np.float32)
    for repeat, folds in enumerate(training.assignment.T):
        for fold in range(training.folds.k):
            file = fold_predictions_file(folder, repeat * training.folds.k + fold)
            if not file.exists():
                return None
            found[repeat, folds == fold] = load_arrays(file)["predictions"]
    return found[:, training.rows_in_folds]


def read_holdout(folder: Path, training: TrainingRows) -> Predictions | None:
    """Return (k, rows, targets) for the holdout; None where not every fold model predicted it."""
    if not len(training.holdout_rows):
        return None
    numbers = range(len(fold_files(folder)))
    files = [fold_predictions_file(folder, number) for number in numbers]
    if not files or not all(file.exists() for file in files):
        return None
    stored = [_holdout(file, training) for file in files]
    if not all("holdout" in arrays for arrays in stored):  # from before there was a holdout
        return None
    return np.stack([arrays["holdout"] for arrays in stored])


def _holdout(file: Path, training: TrainingRows) -> dict[str, NDArray[Any]]:
    arrays = load_arrays(file)
    expected = (len(training.holdout_rows), len(training.targets))
    if "holdout" in arrays and arrays["holdout"].shape != expected:
        raise WorkspaceError(
            file,
            f"has holdout predictions of shape {arrays['holdout'].shape}, not {expected}",
            "train that member again",
        )
    return arrays


def _scores(
    member: Member, training: TrainingRows, problem: Problem, seed: int
) -> HoldoutScores | None:
    if member.fold_models is None:
        return None
    rows = training.holdout_rows
    groups = None if training.groups is None else training.groups[rows]
    return score_holdout(
        problem.metric,
        training.target[rows],
        groups,
        member.fold_models,
        member.others,
        seed=seed,
        treat=partial(as_scored, problem.kind, training.decision),
    )


def _require_no_leak(
    member: Member,
    training: TrainingRows,
    problem: Problem,
    scores: HoldoutScores,
    repeats: int,
    seed: int,
) -> None:
    predictions = as_scored(problem.kind, training.decision, member.out_of_fold.predictions)
    errors = leak_in_errors(
        problem.metric,
        problem.truth,
        problem.groups,
        predictions,
        scores,
        seed=seed,
        repeats=repeats,
    )
    if errors > LEAK_ERRORS:
        score = problem.metric.score(problem.truth, predictions)
        raise WorkspaceError(
            member.path,
            f"is too good out of fold: {problem.metric.name} {score:.4f}, but {scores.one:.4f} on "
            f"the {scores.rows} holdout rows, {errors:.0f} standard errors apart",
            "look for what leaks between folds (copies, groups, labels in the inputs), or remove "
            "the file",
        )


def _weights(member: Member, taken: str, fold_models: tuple[Path, ...]) -> tuple[str, ...]:
    if taken == "soup":
        return (soup_file(member.folder).name,)
    if taken == "refit":
        return (refit_file(member.folder).name,)
    for file in fold_models:
        if not file.exists():
            fix = f"remove {member.path.name} and run `train`, which makes what is missing"
            raise WorkspaceError(file, "is missing, and predictions are the mean of all", fix)
    return tuple(file.name for file in fold_models)


def _sentence(
    name: str, metric: str, scores: HoldoutScores, count: int, predict: str, taken: str
) -> str:
    said = f"{name}: {metric} on {scores.rows} holdout rows is {scores.one:.4f}"
    if len(scores.ways) == 1:  # another tool's predictions
        return f"{said}."
    said += f" by one fold model, {_gain(scores.way('average', count))} by {count} averaged"
    if predict == "average":
        return f"{said}."
    said += f", {_gain(scores.way(predict))} by the {predict}"
    verdict = "which is taken" if taken == predict else "which does harm: the average is taken"
    return f"{said}, {verdict}."


def _gain(way: Way) -> str:
    gain: Estimate = way.over_one
    return f"{way.score:.4f} ({gain.value:+.4f}, 95 % {gain.low:+.4f} to {gain.high:+.4f})"
