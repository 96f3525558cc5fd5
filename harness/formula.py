"""A formula of a few named numbers, which a competition's page gives: read, never run. Pure."""

import ast
import operator
from collections.abc import Callable, Mapping

LONGEST = 500

_OPERATORS: dict[type[ast.operator] | type[ast.unaryop], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def value_of(formula: str, values: Mapping[str, float]) -> float:
    """The value of a formula such as ``score/(base-best) + seconds/32400``.

    Numbers, the names in ``values``, + - * / and brackets, nothing else. ValueError says what is
    not understood; ArithmeticError where it has no value, as after a division by zero.
    """
    if len(formula) > LONGEST:
        raise ValueError(f"it is longer than {LONGEST} characters")
    try:
        return _value(ast.parse(formula.strip(), mode="eval").body, values)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"it cannot be read ({error})") from error


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
