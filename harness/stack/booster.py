"""LightGBM as a meta-learner on out-of-fold features."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np

from harness.errors import WorkspaceError
from harness.predict.plan import KINDS, Kind
from harness.stack.inner import splits_enough, thinned
from harness.stack.link import from_logits, to_logits
from harness.stack.problem import Array, Problem, Rows
from harness.stack.rules import Average

MOST_TREES = 200
LEAVES = 4
PATIENCE = 10
THREADS_WORTH = 1_000_000
"""Numbers from which a second thread gains more than it costs."""
ROWS_ENOUGH = 20_000
"""A meta-learner of few leaves gains nothing from more rows than this; time it would take."""


@dataclass(frozen=True, eq=False)
class Booster:
    """Gradient-boosted trees, kept as LightGBM's own model text: one for all classes, or one a
    label; none when the inner folds found no tree worth having. LightGBM does not read it again:
    its reader trusts what it reads.

    ``base`` is what the trees correct, in logits. ``prior`` (targets,) are the class shares of the
    rows it was fitted on, ``order`` the members' order in the features, ``columns`` the number of
    metadata columns.
    """

    models: tuple[str, ...]
    prior: tuple[float, ...]
    order: tuple[int, ...]
    columns: int
    base: Average | None = None

    @property
    def members_used(self) -> tuple[int, ...]:
        if not self.models and self.base is not None:
            return self.base.members_used
        return tuple(sorted(self.order))

    def apply(self, kind: Kind, predictions: Array, metadata: Array | None) -> Array:
        base = None if self.base is None else self.base.apply(kind, predictions, metadata)
        if not self.models and base is not None:
            return base
        features = _features(kind, predictions, metadata, self.prior, self.order, self.columns)
        columns = np.ascontiguousarray(features.T, np.float64)
        raw = np.hstack([_scores(model, columns) for model in self.models])
        if base is not None:
            raw += _base_scores(kind, base)
        if kind == "classes" and predictions.shape[2] == 2:
            second = from_logits("labels", raw)
            return np.hstack([1 - second, second])
        return from_logits(kind, raw)

    def fits(self, members: int, targets: int) -> bool:
        return (
            len(self.order) == members > 0
            and sorted(self.order) == list(range(members))
            and len(self.prior) == targets
            and (len(self.models) in (1, targets) or (not self.models and self.base is not None))
            and (self.base is None or self.base.fits(members, targets))
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "models": list(self.models),
            "prior": list(self.prior),
            "order": list(self.order),
            "columns": self.columns,
            "base": None if self.base is None else self.base.to_json(),
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        booster = cls(
            tuple(str(model) for model in record["models"]),
            tuple(float(share) for share in record["prior"]),
            tuple(int(member) for member in record["order"]),
            int(record["columns"]),
            None if record["base"] is None else Average.from_json(record["base"]),
        )
        members, targets = int(record["members"]), int(record["targets"])
        if booster.fits(members, targets):  # so that no row is the first to find a wrong feature
            nothing = np.zeros((members, 0, targets)), np.zeros((0, booster.columns))
            if booster.apply(KINDS[record["task"]], *nothing).shape != (0, targets):
                raise ValueError("the trees are for other targets")
        return booster


def fit_booster(problem: Problem, rows: Rows, seed: int, base: Average | None = None) -> Booster:
    """Small, strongly regularised trees; the inner folds choose how many.

    With a ``base`` the trees are fitted to what it leaves over, and there may be none.
    """
    rows = thinned(rows, ROWS_ENOUGH, seed)
    prior = _prior(problem, rows)
    order = tuple(problem.by_name())
    predictions, metadata = problem.predictions[:, rows], problem.metadata_of(rows)
    columns = 0 if metadata is None else metadata.shape[1]
    features = _features(problem.kind, predictions, metadata, prior, order, columns)
    start = None
    if base is not None:
        start = _base_scores(problem.kind, base.apply(problem.kind, predictions, metadata))
    splits = splits_enough(problem, rows)
    models = []
    gain = 0.0
    for number, (target, objective) in enumerate(_targets(problem, rows)):
        score = None
        if start is not None:
            score = start if "num_class" in objective else start[:, number].copy()
            gain += _loss(objective["objective"], target, score)
        model, loss = _fit_trees(features, target, objective, score, splits, seed)
        models.append(model)
        gain -= loss
    worth_having = base is None or gain > 0
    return Booster(tuple(models) if worth_having else (), prior, order, columns, base)


def _targets(problem: Problem, rows: Rows) -> list[tuple[Array, dict[str, Any]]]:
    """What each model learns, with LightGBM's name for it."""
    truth = problem.truth[rows]
    classes = problem.predictions.shape[2]
    if problem.kind == "values":
        objective = "l1" if problem.metric.name == "mae" else "l2"
        return [(truth, {"objective": objective})]
    if problem.kind == "labels":
        return [(label.copy(), {"objective": "binary"}) for label in truth.T]
    if classes == 2:
        return [(truth, {"objective": "binary"})]
    return [(truth, {"objective": "multiclass", "num_class": classes})]


def _fit_trees(
    features: Array,
    target: Array,
    objective: dict[str, Any],
    start: Array | None,
    splits: list[tuple[Rows, Rows]],
    seed: int,
) -> tuple[str, float]:
    """The model's text and its loss on the inner folds."""
    import lightgbm

    parameters = {
        **objective,
        "learning_rate": 0.1,
        "num_leaves": LEAVES,
        "min_data_in_leaf": max(5, min(100, len(target) // 50)),
        "lambda_l2": 10.0,
        "feature_fraction": 0.2,
        "max_bin": 63,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1 if features.size < THREADS_WORTH else 2,
        "verbosity": -1,
    }
    history: dict[str, Any] = lightgbm.cv(
        parameters,
        lightgbm.Dataset(features, target, init_score=start),
        MOST_TREES,
        folds=splits,
        callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
    )
    (curve,) = (curve for name, curve in history.items() if name.endswith("-mean"))
    data = lightgbm.Dataset(features, target, init_score=start)
    model = lightgbm.train(parameters, data, len(curve)).model_to_string()
    return str(model), float(curve[-1])


def _loss(objective: str, target: Array, scores: Array) -> float:
    """What LightGBM reports for the objective, at these raw scores."""
    if objective == "multiclass":
        right = from_logits("classes", scores)[np.arange(len(target)), target]
        return -float(np.mean(np.log(right)))
    if objective == "binary":
        return float(np.mean(np.logaddexp(0, scores) - target * scores))
    error = scores - target
    return float(np.mean(np.abs(error) if objective == "l1" else error**2))


def _base_scores(kind: Kind, base: Array) -> Array:
    """LightGBM's scale for a prediction: (rows, classes), or (rows, labels), or (rows, 1)."""
    if kind == "classes" and base.shape[1] == 2:
        return to_logits("labels", base[:, 1:])
    return to_logits(kind, base)


def _features(
    kind: Kind,
    predictions: Array,
    metadata: Array | None,
    prior: tuple[float, ...],
    order: tuple[int, ...],
    columns: int,
) -> Array:
    """(rows, features): every prediction, each member's confidence, the mean, the mean with the
    class prior divided out, metadata."""
    members = predictions[list(order)]
    if kind == "classes" and members.shape[2] == 2:
        members, prior = members[:, :, 1:], prior[1:]
    mean = members.mean(axis=0)
    parts = [*members, mean]
    if kind == "classes" and len(prior) > 1:
        best_two = np.partition(members, -2, axis=2)[:, :, -2:]
        lift = mean / np.maximum(prior, 1e-3)
        parts += [best_two[:, :, 1].T, (best_two[:, :, 1] - best_two[:, :, 0]).T]
        parts += [lift / np.maximum(lift.sum(axis=1, keepdims=True), 1e-12)]
    else:
        parts += [members.std(axis=0)]
    given = 0 if metadata is None else metadata.shape[1]
    if given < columns:
        found = f"needs {columns} columns of metadata, and there are {given}"
        raise WorkspaceError("the blend", found, "run `stack` again")
    if columns and metadata is not None:
        parts.append(metadata)
    return np.concatenate(parts, axis=1, dtype=np.float32)


def _prior(problem: Problem, rows: Rows) -> tuple[float, ...]:
    truth = problem.truth[rows]
    targets = problem.predictions.shape[2]
    if problem.kind == "classes":
        return tuple(float(share) for share in np.bincount(truth, minlength=targets) / len(rows))
    return tuple(float(mean) for mean in truth.reshape(len(rows), -1).mean(axis=0))


def _scores(model: str, features: Array) -> Array:
    """Return the raw scores (rows, scores) of ``features`` (features, rows).

    They equal LightGBM's own to the last bit: float64, summed in the order of the trees.
    """
    outputs, trees = _read_trees(model)
    missing = np.isnan(features)
    scores = np.zeros((outputs, features.shape[1]))
    for number, (splits, leaves) in enumerate(trees):
        outcomes = np.zeros(features.shape[1], np.uint8)
        for split, (feature, threshold, missing_left) in enumerate(splits):
            left = features[feature] <= threshold
            if missing_left:
                left |= missing[feature]
            outcomes |= left.astype(np.uint8) << split
        scores[number % outputs] += leaves[outcomes]
    return scores.T


_Split = tuple[int, float, bool]
"""A feature, the threshold up to which a row goes left, and whether a row without a number does."""


@lru_cache(maxsize=64)
def _read_trees(model: str) -> tuple[int, list[tuple[list[_Split], Array]]]:
    """Return the number of scores a row, and the trees, which add to these in turn.

    A tree is its splits, and the value of the leaf that each combination of their outcomes leads
    to (2^splits,): bit i of its index says that split i sends the row left. ValueError or KeyError
    where LightGBM has not written the text after ``_fit_trees``.
    """
    head, *blocks = model.partition("\nend of trees")[0].split("\nTree=")
    outputs = int(_fields(head)["num_tree_per_iteration"])
    if outputs < 1 or not blocks or len(blocks) % outputs:
        raise ValueError(f"{len(blocks)} trees cannot add to {outputs} scores in turn")
    return outputs, [_tree(_fields(block)) for block in blocks]


def _tree(fields: dict[str, str]) -> tuple[list[_Split], Array]:
    features, kinds, lefts, rights = (
        [*map(int, fields[name].split())]
        for name in ("split_feature", "decision_type", "left_child", "right_child")
    )
    thresholds, leaves = ([*map(float, fields[n].split())] for n in ("threshold", "leaf_value"))
    splits = len(features)
    # 8 of a kind: NaN is a value of its own, and 2: it goes left; else it is 0. 1 are categories
    sound = {0, 2, 8, 10}.issuperset(kinds) and fields["is_linear"] == "0"
    sound &= splits < LEAVES and bool(np.isfinite(leaves).all()) and min(features, default=0) >= 0
    for values in (kinds, lefts, rights, thresholds, leaves[1:]):
        sound &= len(values) == splits
    for split, child in (*enumerate(lefts), *enumerate(rights)):  # each walk comes to an end
        sound &= split < child < splits or -len(leaves) <= child < 0
    if not sound:
        raise ValueError("a tree is none that is fitted here")
    results = np.empty(1 << splits)
    for outcomes in range(1 << splits):
        node = 0 if splits else -1
        while node >= 0:
            node = (lefts if outcomes >> node & 1 else rights)[node]
        results[outcomes] = leaves[~node]
    missing = [
        kind == 10 if kind & 8 else at >= 0 for kind, at in zip(kinds, thresholds, strict=True)
    ]
    return [*zip(features, thresholds, missing, strict=True)], results


def _fields(block: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
