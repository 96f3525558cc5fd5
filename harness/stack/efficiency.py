"""Prizes for efficiency: a formula of score and seconds that a submission should make small."""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence

from harness.errors import ConfigError
from harness.predict.plan import Plan

NAMES = ("score", "seconds", "base", "best")
"""The plan's score and whole-process seconds, the score of the prior, and the best score of all."""

_OPERATORS: dict[type[ast.operator] | type[ast.unaryop], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def efficiency(expression: str, values: Mapping[str, float]) -> float:
    """The value of a formula such as ``score/(base-best) + seconds/32400`` (Kaggle's prizes).

    Numbers, the names in ``values``, + - * / and brackets, nothing else: it is read, never run.
    ConfigError names what is not understood, or a division by zero.
    """
    if len(expression) > 500:
        raise _refused(expression[:40] + "…", "is longer than 500 characters")
    try:
        return _value(ast.parse(expression.strip(), mode="eval").body, values)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refused(expression, f"cannot be read ({error})") from error
    except (ZeroDivisionError, OverflowError) as error:
        raise _refused(expression, f"has no value here ({error})") from error


def most_efficient(plans: Sequence[Plan], expression: str, best: float | None = None) -> Plan:
    """The plan for which the formula is least; of equals the one of fewer seconds.

    ``best`` is the best score that anybody reaches, by default that of the plans. ``base`` is the
    score of the plan of no stage, which the frontier begins with, else of the cheapest.
    """
    greater = plans[0].greater_is_better
    scores = [plan.score for plan in plans]
    base = min(plans, key=lambda plan: plan.seconds).score
    top = (max(scores) if greater else min(scores)) if best is None else best

    def prize(plan: Plan) -> tuple[float, float]:
        values = {"score": plan.score, "seconds": plan.seconds, "base": base, "best": top}
        return efficiency(expression, values), plan.seconds

    return min(plans, key=prize)


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.Name):
        if node.id in values:
            return values[node.id]
        raise ValueError(f"{node.id!r} is none of {', '.join(values)}")
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.left, values), _value(node.right, values))
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.operand, values))
    raise ValueError(f"{type(node).__name__} is no arithmetic")


def _refused(expression: str, why: str) -> ConfigError:
    return ConfigError(
        "competition.toml [budget] efficiency",
        f"{expression!r} {why}",
        f"use + - * / ( ), numbers and {', '.join(NAMES)}",
    )
