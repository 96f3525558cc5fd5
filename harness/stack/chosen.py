"""Stored plans: which one is followed, and what blends the stages that it got to. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from harness.predict.plan import Combine, Plan, blend
from harness.stack.blend import blend_from_json
from harness.stack.efficiency import most_efficient
from harness.stack.methods import METHODS
from harness.stack.problem import Array, Problem


def choose(
    plans: Sequence[Plan], deadline: float, *, elapsed: float = 0.0, formula: str | None = None
) -> Plan:
    """Of plans for the rows and the machine here (cheapest first), the best that fits.

    The best score, or with a ``formula`` what ``most_efficient`` finds. Where starting took longer
    (``elapsed`` seconds are gone) than was measured, as from a cold disk cache, so much less is
    left for the rest. The cheapest if none fits: following it, as far as it gets, is the best there
    is.
    """
    left = deadline - max(0.0, elapsed - plans[0].costs.start)
    fitting = [plan for plan in plans if plan.seconds <= left] or plans[:1]
    if formula:
        return most_efficient(fitting, formula)
    sign = 1 if plans[0].greater_is_better else -1
    return max(fitting, key=lambda plan: sign * plan.score)


def combiner(plan: Plan, problem: Problem | None = None) -> Combine:
    """What blends the predictions of any set of a plan's stages.

    A prefix has its own blend. Another set (a stage failed, or there was no time for one) is fitted
    on the spot if the ``problem`` with the options' OOF predictions is given, else it gets the
    plan's convex weights for those stages. WorkspaceError if a blend's record is damaged.
    """
    fitted = {tuple(range(k + 1)): blend_from_json(dict(b)) for k, b in enumerate(plan.blends)}

    def combine(stages: Sequence[int], predictions: Array) -> Array:
        key = tuple(stages)
        if key not in fitted and problem is not None:
            places = [problem.names.index(plan.stages[i].option) for i in key]
            part = replace(
                problem,
                names=tuple(problem.names[i] for i in places),
                predictions=problem.predictions[places],
                metadata=None,
            )
            method = plan.blends[-1]["method"]
            fitted[key] = METHODS[method].fit(part, slice(None), 0)
        if key in fitted:
            return fitted[key].apply(predictions)
        return blend(plan.weights_for(key), predictions, plan.kind)

    return combine
