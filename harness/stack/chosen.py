"""Stored plans: the one to follow, and the blend of the stages that it got to. Pure."""

from collections.abc import Sequence

from harness.errors import ConfigError
from harness.formula import value_of
from harness.predict.plan import Array, Combine, Plan, blend
from harness.stack.blend import Blend, blend_from_json


def choose(
    plans: Sequence[Plan], deadline: float, *, elapsed: float = 0.0, formula: str | None = None
) -> Plan:
    """Return the last of the plans that fit, for the rows and the machine here.

    Plans come from the worst to the best, so more seconds never get fewer models or members. With a
    ``formula`` it is what ``most_efficient`` finds among those that fit. Where starting took longer
    (``elapsed`` seconds are gone) than was measured, as from a cold disk cache, so much less is
    left for the rest. The first if none fits: following it, as far as it gets, is the best there
    is. A plan fits if it does on a run that is slower by the measured spread.
    """
    left = deadline - max(0.0, elapsed - plans[0].costs.start)

    def slowest(plan: Plan) -> float:
        return plan.seconds + plan.costs.spread * max(0.0, plan.seconds - plan.costs.start)

    fitting = [plan for plan in plans if slowest(plan) <= left] or plans[:1]
    return most_efficient(fitting, formula) if formula else fitting[-1]


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


def combiner(plan: Plan) -> Combine:
    """Return a function that blends the predictions of any set of a plan's stages.

    Each prefix has its own blend of the members in it. Another set of members (a stage failed, or
    there was no time for one) gets the plan's convex weights. WorkspaceError if a blend's record is
    damaged.
    """
    of_prefix: dict[tuple[int, ...], Blend] = {}
    of_members: dict[tuple[str, ...], Blend] = {}
    for k, record in enumerate(plan.blends):
        if record or not k:
            latest = blend_from_json(dict(record))
        of_prefix[tuple(range(k + 1))] = latest
        of_members[tuple(dict.fromkeys(stage.member for stage in plan.stages[: k + 1]))] = latest

    def combine(stages: Sequence[int], predictions: Array) -> Array:
        members, means = plan.by_member(stages, predictions)
        if found := of_prefix.get(tuple(stages)) or of_members.get(members):
            return found.apply(means)
        return blend(plan.weights_for(members), means, plan.kind)

    return combine
