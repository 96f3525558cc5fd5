"""Scores of plans, from the whole selection repeated without each fold that is scored. Pure.

The best-looking of thousands of cascades was picked for its luck as well. So for every fold the
search is made again on the other folds (members, order, shares, rules and blends), and predicts the
fold with what it found for the same number of seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.decision import Decision, Rule
from harness.predict.plan import Plan
from harness.stack.decide import fit_decision
from harness.stack.priced import Cascade
from harness.stack.problem import Array, Problem
from harness.stack.resample import bootstrap_scores
from harness.stack.select import Selection

BOOTSTRAP = 400
SURE = 1.96
"""Standard errors of a difference beyond which it is no noise."""


@dataclass(frozen=True)
class Score:
    """A plan's ``score`` with its ``decision``, and the score's standard ``error``."""

    score: float
    error: float
    decision: Decision


class Judge:
    """Scores the cascades of a selection, each with a decision of its own.

    ``rule`` is the decision rule that is searched for each of them, as for the ensemble's
    predictions (None: the plain decision).
    """

    def __init__(self, selection: Selection, rule: Rule | None = None) -> None:
        self.selection, self.rule = selection, rule

    def scores(
        self,
        cascades: Sequence[Cascade],
        gains: Sequence[float] | None = None,
        peer: tuple[Array, float] | None = None,
    ) -> tuple[list[Score], bool]:
        """Return what each cascade is believed to score, and whether the last beats the ``peer``.

        ``cascades`` are part of the selection's frontier, cheapest first, and ``gains`` (positive
        is better) what averaging adds to each: with it more seconds never look worse, since scores
        that fall by chance are replaced by their mean (isotonic regression). ``peer`` are nested
        predictions (rows, targets), decided, and a gain; beating them means by more than ``SURE``
        standard errors of the paired difference.
        """
        from sklearn.isotonic import isotonic_regression

        problem = self.selection.problem
        gained = np.zeros(len(cascades)) if gains is None else np.array(gains)
        rivals = [] if peer is None else [peer[0]]
        honest = self.honest_predictions(cascades)
        whole, samples = bootstrap_scores(problem, [*honest, *rivals], slice(None), BOOTSTRAP, 0)
        sign = 1 if problem.metric.greater_is_better else -1
        expected = isotonic_regression(sign * whole[: len(honest)] + gained)
        scores = sign * (expected - gained)
        beats = False
        if peer is not None:
            lead = sign * (whole[-2] - whole[-1]) + gained[-1] - peer[1]
            beats = bool(lead > SURE * float((samples[:, -2] - samples[:, -1]).std()))
        errors = samples[:, : len(honest)].std(axis=0)
        return [
            Score(float(score), float(error), self.decision(self.selection, one))
            for score, error, one in zip(scores, errors, cascades, strict=True)
        ], beats

    def honest_predictions(self, cascades: Sequence[Cascade]) -> list[Array]:
        """Return decided predictions (rows, targets) for the seconds of each cascade.

        Each fold is predicted by what a search without it finds.
        """
        selection, problem = self.selection, self.selection.problem
        found = [np.empty(problem.predictions.shape[1:]) for _ in cascades]
        for fold in problem.fold_numbers(slice(None)):
            outside = np.flatnonzero(problem.folds == fold)
            inner = Selection(
                _foldable(problem.of_rows(np.flatnonzero(problem.folds != fold))),
                selection.purchases,
                selection.costs,
                selection.rows,
                noise=selection.noise,
                learn=selection.learn,
            )
            known: dict[float, Array] = {}
            for place, one in enumerate(cascades):
                chosen = inner.cascade(one.seconds)
                if chosen.seconds not in known:
                    predicted = inner.applied(chosen, problem.predictions[:, outside])
                    known[chosen.seconds] = self.decision(inner, chosen).apply(predicted)
                found[place][outside] = known[chosen.seconds]
        return found

    def decision(self, selection: Selection, cascade: Cascade) -> Decision:
        """Return the decision for what a cascade predicts, fitted on its nested predictions."""
        problem = selection.problem
        if self.rule is None:
            return problem.plain_decision
        everything = np.arange(len(problem.folds), dtype=np.intp)
        predictions = selection.predictions(cascade)
        return fit_decision(problem, predictions, self.rule, 0, everything)

    def prefix_scores(self, cascade: Cascade, believed: Score) -> tuple[float, ...]:
        """Return ``Plan.prefix_scores`` of a cascade of which that is believed.

        What the selection flatters the whole cascade by is taken off its prefixes, too.
        """
        problem, nested = self.selection.problem, self.selection.nested

        def score_of(predictions: Array) -> float:
            return problem.metric.score(problem.truth, believed.decision.apply(predictions))

        optimism = score_of(self.selection.predictions(cascade)) - believed.score
        prefixes = [cascade.order[:k] for k in range(len(cascade.order) + 1)]
        own = {nested.columns(chosen): chosen for chosen in prefixes}
        known = {key: score_of(nested.predictions(chosen)) for key, chosen in own.items()}
        return tuple(known[nested.columns(chosen)] - optimism for chosen in prefixes)

    def plan(
        self, cascade: Cascade, believed: Score, gain: tuple[float, float] = (0.0, 0.0)
    ) -> Plan:
        """Return the cascade as a plan; ``gain`` is that of averaging, and its error."""
        cascade = self.selection.trimmed(cascade)
        return replace(
            self.selection.plan_of(cascade),
            score=believed.score,
            error=believed.error,
            decision=believed.decision,
            prefix_scores=self.prefix_scores(cascade, believed),
            gain=gain[0],
            gain_error=gain[1],
        )


def _foldable(problem: Problem) -> Problem:
    """The problem; where one fold is left of two, its rows (or groups) are dealt into three."""
    if len(problem.fold_numbers(slice(None))) > 1:
        return problem
    keys = np.arange(len(problem.folds)) if problem.groups is None else problem.groups
    return replace(problem, folds=np.unique(keys, return_inverse=True)[1] % 3)
