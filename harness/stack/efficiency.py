"""Prizes for efficiency: a formula of score and seconds that a submission should make small."""

from collections.abc import Sequence

from harness.errors import ConfigError
from harness.formula import value_of
from harness.predict.plan import Plan


def most_efficient(plans: Sequence[Plan], formula: str, best: float | None = None) -> Plan:
    """The plan for which the formula is least; of equals the one of fewer seconds.

    ``score`` (as expected) and whole-process ``seconds`` are the plan's. ``best`` is the best score
    that anybody reaches, by default that of the plans. ``base`` is the score of the plan of no
    stage, which the frontier begins with, else of the cheapest. ConfigError where the formula has
    no value.
    """
    greater = plans[0].greater_is_better
    scores = [plan.expected for plan in plans]
    base = min(plans, key=lambda plan: plan.seconds).expected
    top = (max(scores) if greater else min(scores)) if best is None else best

    def prize(plan: Plan) -> tuple[float, float]:
        values = {"score": plan.expected, "seconds": plan.seconds, "base": base, "best": top}
        try:
            return value_of(formula, values), plan.seconds
        except ArithmeticError as error:
            raise ConfigError(
                "competition.toml [budget] efficiency",
                f"{formula!r} has no value for a score of {plan.expected:.4g} ({error})",
                "check the formula",
            ) from error

    return min(plans, key=prize)
