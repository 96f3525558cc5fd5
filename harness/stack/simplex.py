"""Convex optima over the simplex: weights that are not negative and sum to one."""

import numpy as np

from harness.stack.problem import Array

ROWS_AT_ONCE = 1 << 15
TOLERANCE = 1e-12


def log_optimum(likelihood: Array) -> Array:
    """Weights of the mixture of least log loss: minimises -mean log(weights @ likelihood).

    ``likelihood`` (members, rows): each member's probability of what came true, above zero.
    Newton steps whose quadratic model is solved on w ≥ 0 (mixsqp: Kim, Carbonetto, Stephens and
    Anitescu 2020; the minimum of -mean log(w @ likelihood) + sum w sums to one by itself).
    """
    members = len(likelihood)
    weights = np.full(members, 1 / members)
    loss, slope, curvature = _log_model(likelihood, weights)
    for _ in range(100):
        target = _quadratic_optimum(curvature, -2 * slope - 1)
        direction = target - weights
        decrease = float(-(slope + 1) @ direction)
        if decrease < TOLERANCE:
            break
        step = 1.0
        while True:
            moved = np.maximum(weights + step * direction, 0)
            new = _log_model(likelihood, moved)
            if new[0] + moved.sum() <= loss + weights.sum() - 0.01 * step * decrease:
                break
            step /= 2
            if step < 1e-6:
                return weights / weights.sum()
        weights, (loss, slope, curvature) = moved, new
    return weights / weights.sum()


def square_optimum(gram: Array) -> Array:
    """Weights that minimise w @ gram @ w on the simplex.

    ``gram`` (members, members) holds the inner products of the members' errors. The minimum of
    w @ gram @ w + (sum w - 1)² over w ≥ 0 is proportional to it, and that is non-negative least
    squares.
    """
    scaled = gram / max(float(np.trace(gram)) / len(gram), 1e-300)
    weights = _quadratic_optimum(scaled + 1.0, np.ones(len(gram)))
    return weights / weights.sum()


def _quadratic_optimum(curvature: Array, linear: Array) -> Array:
    """The w ≥ 0 that minimises w @ curvature @ w / 2 - linear @ w."""
    from scipy.linalg import solve_triangular
    from scipy.optimize import nnls

    ridge = 1e-10 * float(np.trace(curvature)) / len(curvature)
    root = np.linalg.cholesky(curvature + ridge * np.eye(len(curvature)))
    solution, _ = nnls(root.T, solve_triangular(root, linear, lower=True), maxiter=100 * len(root))
    return np.asarray(solution)


def _log_model(likelihood: Array, weights: Array) -> tuple[float, Array, Array]:
    """Loss, slope and curvature of -mean log(weights @ likelihood)."""
    members, rows = likelihood.shape
    loss, slope, curvature = 0.0, np.zeros(members), np.zeros((members, members))
    for start in range(0, rows, ROWS_AT_ONCE):
        piece = likelihood[:, start : start + ROWS_AT_ONCE].astype(np.float64)
        mixture = np.maximum(weights @ piece, 1e-300)
        loss -= float(np.log(mixture).sum())
        piece /= mixture
        slope -= piece.sum(axis=1)
        curvature += piece @ piece.T
    return loss / rows, slope / rows, curvature / rows
