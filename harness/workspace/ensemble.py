"""models/ensemble/: the members, how they are combined, and how good that is."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.competition import Competition
from harness.data.metadata import Column
from harness.decision import Decision
from harness.errors import WorkspaceError
from harness.estimate import Estimate
from harness.files import digest
from harness.records import read_json, read_record, reading, write_json
from harness.workspace import Workspace
from harness.workspace.runs import run_digest


@dataclass(frozen=True)
class Score:
    """One row of the table of methods; ``low`` and ``high`` bound 95 %.

    ``over_mean`` and ``over_best`` are the paired differences from the mean and from the best
    single member, turned so that positive is better.
    """

    method: str
    nested: float
    low: float
    high: float
    in_sample: float
    seconds: float
    over_mean: Estimate
    over_best: Estimate


@dataclass(frozen=True)
class Ensemble:
    """The chosen combination. ``blend`` is what harness.stack makes a Blend from.

    ``nested``, ``low`` and ``high`` are the ensemble's own figure and 95 % interval: the chosen
    method's, with the choice itself nested; measured on ``rows`` out-of-fold rows.
    ``members`` are all that were combined, in the blend's order; ``used`` those that matter.
    ``member_scores`` are their own OOF scores. ``weights`` names, for each member, the files in
    models/<run>/ whose predictions are averaged (none for a member of another tool), ``runs`` has
    the digest of what decided its training ("" for a member of another tool). ``views`` are the
    test-time views that every run predicts in.
    ``decision`` is what becomes of the blend's predictions; ``fold_decisions`` (one a fold,
    ascending) were fitted without the fold, so that others can be scored on its rows.
    ``metadata`` are the columns that the blend gets beside the members. ``reason`` says by which
    rule the method was chosen; ``diversity`` and ``fold_models`` are what the stage had to say
    about the members, in sentences. ``inputs`` is the digest of all that it came from. ``task`` and
    ``metric_digest`` (``Metric.digest``) say what it was made for.
    """

    method: str
    metric: str
    nested: float
    low: float
    high: float
    rows: int
    members: tuple[str, ...]
    used: tuple[str, ...]
    targets: tuple[str, ...]
    member_scores: tuple[float, ...]
    member_seconds: tuple[float, ...]
    weights: tuple[tuple[str, ...], ...]
    runs: tuple[str, ...]
    views: tuple[str, ...]
    scores: tuple[Score, ...]
    reason: str
    diversity: tuple[str, ...]
    fold_models: tuple[str, ...]
    blend: dict[str, Any]
    decision: Decision
    fold_decisions: tuple[Decision, ...]
    metadata: tuple[Column, ...]
    prior: tuple[float, ...]
    folds: str
    inputs: str
    task: str
    metric_digest: str

    def __post_init__(self) -> None:
        of_members = (self.member_scores, self.member_seconds, self.weights, self.runs)
        if any(len(values) != len(self.members) for values in of_members):
            raise ValueError("every member needs its score, its seconds, its weights and its run")
        if not self.used or not set(self.used) <= set(self.members):
            raise ValueError("what is used is no member")
        names = [self.method, *(name for some in (self.members, *self.weights) for name in some)]
        if any(Path(name).name != name for name in names):
            raise ValueError("its method, a member or its weights lie elsewhere")
        if self.method not in [score.method for score in self.scores]:
            raise ValueError("the chosen method has no score")
        if len(self.prior) != len(self.targets) or not np.isfinite(self.prior).all():
            raise ValueError("every target needs its prior")
        decisions = (self.decision, *self.fold_decisions)
        if not all(decision.fits(len(self.targets)) for decision in decisions):
            raise ValueError("a decision is for other targets")
        if self.rows < 1:
            raise ValueError("it was measured on no row")
        json.dumps(self.blend, allow_nan=False)  # a ValueError where a number is none
        shape = self.blend.get("members"), self.blend.get("targets")
        if shape != (len(self.members), len(self.targets)):
            raise ValueError("the blend is for other members or targets")

    @property
    def chosen(self) -> Score:
        """The chosen method's row."""
        return next(score for score in self.scores if score.method == self.method)

    @property
    def estimate(self) -> Estimate:
        """What to believe of the ensemble as a whole."""
        return Estimate(self.nested, self.low, self.high)

    @property
    def decided_prior(self) -> tuple[float, ...]:
        """What the decision makes of the prior (targets,)."""
        return tuple(self.decision.apply(np.array([self.prior]))[0].tolist())

    @property
    def digest(self) -> str:
        """Changes with the members and with the way they are combined."""
        blend = json.dumps([self.blend, asdict(self.decision)], sort_keys=True)
        return digest(self.inputs, self.method, blend, json.dumps(self.weights))


def write_ensemble(folder: Path, ensemble: Ensemble) -> None:
    """Write ensemble.json."""
    text = json.dumps(asdict(ensemble), indent=2, ensure_ascii=False)
    write_json(folder / "ensemble.json", text)


def read_ensemble(folder: Path) -> Ensemble:
    """The stored ensemble; a WorkspaceError if there is none or it is damaged."""
    return read_record(
        Ensemble,
        folder / "ensemble.json",
        missing="there is no ensemble yet",
        fix="run `python -m harness stack`",
    )


def read_current_ensemble(workspace: Workspace) -> Ensemble:
    """The stored ensemble; a WorkspaceError, too, if it was made for something else.

    That is another task, metric or class, or other folds, runs or views. Where there are no folds,
    as on the machine that only predicts, these are not compared.
    """
    ensemble = read_ensemble(workspace.models / "ensemble")
    _require_same_question(workspace.competition, ensemble)
    _require_same_folds(workspace.folds, ensemble)
    for member, run in zip(ensemble.members, ensemble.runs, strict=True):
        folder = workspace.models / member
        if run and run_digest(folder) not in (run, ""):
            raise WorkspaceError(
                folder,
                "was trained with other settings since the ensemble was made",
                "run `python -m harness stack`",
            )
    asked = workspace.competition.views
    if any(ensemble.runs) and ensemble.views != asked:
        raise WorkspaceError(
            "models/ensemble",
            f"was made of predictions in other views ({', '.join(ensemble.views)}) than "
            f"competition.toml asks for ({', '.join(asked)})",
            "run `python -m harness train`, then `stack`",
        )
    return ensemble


def _require_same_question(competition: Competition, ensemble: Ensemble) -> None:
    """A WorkspaceError if task, metric or classes were changed since.

    The sample's columns are compared where they are read (``harness.submit.forms``).
    """
    data, metric, targets = competition.data, competition.metric, ensemble.targets
    for what, was, now in (
        ("task", ensemble.task, competition.task),
        ("metric", ensemble.metric, metric.name),
        (f"metric {metric.name}, of digest", ensemble.metric_digest, metric.digest),
        ("the classes", ", ".join(targets), ", ".join(data.classes or data.labels or targets)),
    ):
        if was != now:
            found = f"was made for {what} {was[:99]}, and now it is {now[:99]}"
            fix = "run `python -m harness stack`, which says whether to train again"
            raise WorkspaceError("models/ensemble", found, fix)


def _require_same_folds(folds: Path, ensemble: Ensemble) -> None:
    path = folds / "folds.json"
    if not path.exists():
        return
    with reading(path, "restore it"):
        now = json.loads(read_json(path))["digest"]
    if now != ensemble.folds:
        raise WorkspaceError(
            "models/ensemble",
            f"was made with other folds (digest {ensemble.folds}, now {now})",
            "run `train` and `stack` again, or restore the folds it was made with",
        )
