"""Linear meta-learners on the members' logits: logistic regression and ridge."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np

from harness.errors import WorkspaceError
from harness.predict.plan import Kind
from harness.stack.inner import inner_splits, splits_enough, thinned
from harness.stack.link import from_logits, to_logits
from harness.stack.problem import Array, Problem, Rows

PENALTIES = (1.0, 0.1, 0.01, 0.001)
"""Candidates, strongest first; the inner folds choose."""
ROWS_ENOUGH = 50_000
"""Rows for the logistic regression, whose fit is repeated for every penalty and fold."""


@dataclass(frozen=True, eq=False)
class Linear:
    """Logits (``output`` "logit") or probabilities and values ("value"), linear in the features.

    ``coefficients`` (blocks, features, outputs). Three or more classes are one block that sees
    every member's logit of every class. Each label, the log odds of two classes, and a value are
    a block with one output that sees only the members' logits for it. Then come the metadata
    columns, standardised with ``centre`` and ``spread`` (NaN counts as the centre), and a one.
    """

    coefficients: Array
    centre: Array
    spread: Array
    members: int
    output: Literal["logit", "value"]
    floor: float = 0.0

    @property
    def members_used(self) -> tuple[int, ...]:
        return tuple(range(self.members))

    def apply(self, kind: Kind, predictions: Array, metadata: Array | None) -> Array:
        features = _features(kind, predictions, metadata, self.centre, self.spread)
        raw = _product(features, self.coefficients)
        return _as_predictions(kind, predictions.shape[2], raw, self.output, self.floor)

    def fits(self, members: int, targets: int) -> bool:
        if self.members != members or self.centre.shape != self.spread.shape:
            return False
        columns = len(self.centre) + 1
        shapes = [(targets, members + columns, 1), (1, members * targets + columns, targets)]
        if targets == 2:
            shapes.append((1, members + columns, 1))
        return self.coefficients.shape in shapes

    def to_json(self) -> dict[str, Any]:
        return {
            "coefficients": self.coefficients.tolist(),
            "centre": self.centre.tolist(),
            "spread": self.spread.tolist(),
            "output": self.output,
            "floor": self.floor,
        }

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Self:
        if record["output"] not in ("logit", "value"):
            raise ValueError(f"output {record['output']!r}")
        return cls(
            np.array(record["coefficients"], dtype=np.float64),
            np.array(record["centre"], dtype=np.float64),
            np.array(record["spread"], dtype=np.float64),
            int(record["members"]),
            record["output"],
            float(record["floor"]),
        )


def fit_logistic(problem: Problem, rows: Rows, seed: int) -> Linear:
    """Logistic regression on logits, shrunk towards the members' geometric mean.

    The penalty is on the distance from equal weights, not from zero: the strongest penalty is
    already a good ensemble, and the inner folds decide how far the data may lead away from it.
    """
    rows = thinned(rows, ROWS_ENOUGH, seed)
    centre, spread = _standard(problem, rows)
    start = _equal_weights(problem, len(centre))

    def data(part: Rows) -> tuple[Array, Array]:
        return _design(problem, part, centre, spread), _target(problem, part)

    losses = np.zeros(len(PENALTIES))
    for inside, outside in splits_enough(problem, rows):
        weights = start
        inside_data, outside_data = data(rows[inside]), data(rows[outside])
        for position, penalty in enumerate(PENALTIES):
            weights = _minimise(*inside_data, start, weights, penalty)
            losses[position] += _cross_entropy(*outside_data, weights)[0] * len(outside)
    weights, all_data = start, data(rows)
    for penalty in PENALTIES[: int(losses.argmin()) + 1]:
        weights = _minimise(*all_data, start, weights, penalty)
    return Linear(weights, centre, spread, len(problem.names), "logit")


def fit_ridge(problem: Problem, rows: Rows) -> Linear:
    """Least squares on logits: classes and labels as 0 and 1, values shrunk towards the mean.

    Probabilities below 1 / (rows + targets) are raised to it: so many rows cannot tell less.
    """
    centre, spread = _standard(problem, rows)
    prior = _equal_weights(problem, len(centre))
    if problem.kind != "values":
        prior = np.zeros_like(prior)

    def moments(part: Rows) -> tuple[Array, Array, float]:
        features = _design(problem, part, centre, spread).astype(np.float64)
        target = _target(problem, part) - features @ prior
        return features.swapaxes(1, 2) @ features, features.swapaxes(1, 2) @ target, len(part)

    def solve(gram: Array, product: Array, count: float, penalty: float) -> Array:
        size = gram.shape[1]
        scale = np.trace(gram, axis1=1, axis2=2)[:, None, None] / size
        diagonal = np.eye(size)
        diagonal[-1, -1] = 1e-9  # the intercept is all but free
        return np.linalg.solve(gram + penalty * scale * diagonal, product)

    total = moments(rows)
    losses = np.zeros(len(PENALTIES))
    for _, outside in inner_splits(problem, rows):
        gram, product, count = moments(rows[outside])
        for position, penalty in enumerate(PENALTIES):
            change = solve(total[0] - gram, total[1] - product, total[2] - count, penalty)
            losses[position] += float(
                np.sum(change * (gram @ change)) - 2 * np.sum(change * product)
            )
    weights = prior + solve(*total, PENALTIES[int(losses.argmin())])
    targets = problem.predictions.shape[2]
    floor = 0.0 if problem.kind == "values" else 1 / (len(rows) + targets)
    return Linear(weights, centre, spread, len(problem.names), "value", floor)


def _design(problem: Problem, rows: Rows, centre: Array, spread: Array) -> Array:
    predictions, metadata = problem.predictions[:, rows], problem.metadata_of(rows)
    return _features(problem.kind, predictions, metadata, centre, spread)


def _features(
    kind: Kind, predictions: Array, metadata: Array | None, centre: Array, spread: Array
) -> Array:
    """(blocks, rows, features) in float32; see ``Linear``."""
    members, rows, targets = predictions.shape
    if kind == "classes" and targets == 2:
        kind, predictions, targets = "labels", predictions[:, :, 1:], 1
    logits = to_logits(kind, predictions).astype(np.float32, copy=False)
    if kind == "classes":
        logits -= logits.mean(axis=2, keepdims=True)
        features = logits.transpose(1, 0, 2).reshape(1, rows, members * targets)
    else:
        features = logits.transpose(2, 1, 0)
    given = 0 if metadata is None else metadata.shape[1]
    if given < len(centre):
        found = f"needs {len(centre)} columns of metadata, and there are {given}"
        raise WorkspaceError("the blend", found, "run `stack` again")
    extra = np.ones((rows, len(centre) + 1), dtype=np.float32)
    if len(centre) and metadata is not None:
        extra[:, :-1] = np.nan_to_num((metadata - centre) / spread)
    blocks = len(features)
    return np.concatenate([features, np.broadcast_to(extra, (blocks, *extra.shape))], axis=2)


def _as_predictions(kind: Kind, targets: int, raw: Array, output: str, floor: float) -> Array:
    """(blocks, rows, outputs) → (rows, targets)."""
    if kind == "values":
        return raw[:, :, 0].T
    if kind == "classes" and targets > 2:
        return from_logits(kind, raw[0]) if output == "logit" else np.maximum(raw[0], floor)
    columns = raw[:, :, 0].T
    if output == "logit":
        columns = from_logits("labels", columns)
    else:
        columns = np.clip(columns, floor, 1 - floor)
    return np.hstack([1 - columns, columns]) if kind == "classes" else columns


def _target(problem: Problem, rows: Rows) -> Array:
    """(blocks, rows, outputs): one-hot classes, 0/1 labels, or values."""
    truth = problem.truth[rows]
    targets = problem.predictions.shape[2]
    if problem.kind == "classes" and targets > 2:
        return (truth[:, None] == np.arange(targets)).astype(np.float32)[None]
    columns = truth if truth.ndim == 2 else truth[:, None]
    return columns.T[:, :, None].astype(np.float64 if problem.kind == "values" else np.float32)


def _equal_weights(problem: Problem, columns: int) -> Array:
    """Coefficients with which the output is the mean of the members' logits."""
    members, _, targets = problem.predictions.shape
    if problem.kind == "classes" and targets > 2:
        blocks = np.tile(np.eye(targets) / members, (members, 1))[None]
    else:
        blocks = np.full((1 if problem.kind == "classes" else targets, members, 1), 1 / members)
    return np.concatenate([blocks, np.zeros((len(blocks), columns + 1, blocks.shape[2]))], axis=1)


def _standard(problem: Problem, rows: Rows) -> tuple[Array, Array]:
    """Centre and spread of the metadata columns on ``rows``; empty without metadata."""
    if problem.metadata is None:
        return np.zeros(0), np.ones(0)
    columns = np.ma.masked_invalid(problem.metadata[rows].astype(np.float64))
    centre = np.ma.filled(columns.mean(axis=0), 0.0)
    spread = np.ma.filled(columns.std(axis=0), 0.0)
    return np.asarray(centre), np.where(spread > 0, spread, 1.0)


def _product(features: Array, weights: Array) -> Array:
    """features @ weights in float32, without the warnings that some BLAS kernels raise at random.

    Vector kernels compute on the padding too, and what lies there may be anything (NumPy issue
    24067). Finite operands have a finite product here, so nothing is hidden.
    """
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        return np.asarray(features @ weights.astype(np.float32))


def _cross_entropy(features: Array, target: Array, weights: Array) -> tuple[float, Array]:
    """Mean log loss and its slope (blocks, features, outputs)."""
    logits = _product(features, weights)
    rows = features.shape[1]
    if target.shape[2] > 1:
        logits -= logits.max(axis=2, keepdims=True)
        exponentials = np.exp(logits)
        total = exponentials.sum(axis=2, keepdims=True)
        losses = np.log(total[..., 0]) - np.sum(target * logits, axis=2)
        error = exponentials / total - target
    else:
        losses = np.logaddexp(0, logits) - target * logits
        error = from_logits("labels", logits) - target
    slope = features.swapaxes(1, 2) @ error / rows
    return float(losses.sum(dtype=np.float64)) / rows, slope.astype(np.float64)


def _minimise(features: Array, target: Array, prior: Array, start: Array, penalty: float) -> Array:
    """Coefficients of least cross-entropy + penalty / 2 · distance² from the prior.

    Members agree, so their logits are nearly collinear and plain L-BFGS crawls. The bound of the
    curvature (Böhning 1992) is the same at every point: measured in its metric, the problem is
    nearly round and some ten steps do.
    """
    from scipy.optimize import minimize

    free = np.eye(features.shape[2])
    free[-1, -1] = 0  # the intercept is not penalised
    gram = features.swapaxes(1, 2) @ features / (4 * features.shape[1])
    root = np.linalg.cholesky(gram.astype(np.float64) + penalty * free + 1e-6 * np.eye(len(free)))
    back = np.linalg.inv(root).swapaxes(1, 2)

    def objective(flat: Array) -> tuple[float, Array]:
        distance = back @ flat.reshape(prior.shape)
        loss, slope = _cross_entropy(features, target, prior + distance)
        penalised = penalty * (free @ distance)
        loss += float(np.sum(penalised * distance)) / 2
        return loss, (back.swapaxes(1, 2) @ (slope + penalised)).ravel()

    first = root.swapaxes(1, 2) @ (start - prior)
    found = minimize(
        objective,
        first.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 50, "ftol": 1e-7},
    )
    return np.asarray(prior + back @ found.x.reshape(prior.shape))
