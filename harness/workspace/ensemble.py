"""models/ensemble/: the members, how they are combined, and how good that is."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.metadata import Column
from harness.decision import Decision, decision_from_json
from harness.errors import WorkspaceError
from harness.estimate import Estimate
from harness.files import digest, write_text


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
    indistinguishable_from: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ensemble:
    """The chosen combination. ``blend`` is what harness.stack makes a Blend from.

    ``nested``, ``low`` and ``high`` are the ensemble's own figure and 95 % interval: the chosen
    method's, with the choice itself nested; measured on ``rows`` out-of-fold rows.
    ``members`` are all that were combined, in the blend's order; ``used`` those that matter.
    ``member_scores`` are their own OOF scores. ``weights`` names, for each member, the files in
    models/<run>/ whose predictions are averaged (none for a member of another tool).
    ``decision`` is what becomes of the blend's predictions; ``fold_decisions`` (one a fold,
    ascending) were fitted without the fold, so that others can be scored on its rows.
    ``metadata`` are the columns that the blend gets beside the members. ``diversity`` and
    ``fold_models`` are what the stage had to say about the members, in sentences. ``inputs`` is
    the digest of all that it came from.
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
    scores: tuple[Score, ...]
    diversity: tuple[str, ...]
    fold_models: tuple[str, ...]
    blend: dict[str, Any]
    decision: Decision
    fold_decisions: tuple[Decision, ...]
    metadata: tuple[Column, ...]
    prior: tuple[float, ...]
    folds: str
    inputs: str

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
    write_text(folder / "ensemble.json", text + "\n")


def read_ensemble(folder: Path) -> Ensemble:
    """The stored ensemble; a WorkspaceError if there is none or it is damaged."""
    path = folder / "ensemble.json"
    fix = "run `python -m harness stack`"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        values["scores"] = tuple(_score(score) for score in values["scores"])
        values["metadata"] = tuple(Column(**_tuples(column)) for column in values["metadata"])
        values["decision"] = decision_from_json(values["decision"])
        values["fold_decisions"] = tuple(map(decision_from_json, values["fold_decisions"]))
        if not values["decision"].fits(len(values["targets"])):
            raise ValueError("the decision is for other targets")
        values["weights"] = tuple(tuple(files) for files in values["weights"])
        return Ensemble(**_tuples(values))
    except FileNotFoundError:
        raise WorkspaceError(path, "there is no ensemble yet", fix) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(path, f"is damaged ({error})", fix) from error


def _score(values: dict[str, Any]) -> Score:
    differences = {name: Estimate(**values[name]) for name in ("over_mean", "over_best")}
    return Score(**_tuples(values) | differences)


def require_same_folds(folds: Path, ensemble: Ensemble) -> None:
    """WorkspaceError if the folds in that folder are not those that the ensemble was made with.

    Where there are none, as on the machine that only predicts, there is nothing to compare.
    """
    path = folds / "folds.json"
    try:
        now = json.loads(path.read_text(encoding="utf-8"))["digest"]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WorkspaceError(path, f"is damaged ({error})", "restore it") from error
    if now != ensemble.folds:
        raise WorkspaceError(
            "models/ensemble",
            f"was made with other folds (digest {ensemble.folds}, now {now})",
            "run `train` and `stack` again, or restore the folds it was made with",
        )


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
