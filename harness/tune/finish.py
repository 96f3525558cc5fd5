"""After the search: the best trials become members, and the winner is judged."""

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from harness.model import ModelSection
from harness.tune.judge import Verdict, judge
from harness.tune.methods import decoded
from harness.tune.search import TimeUp, Tools
from harness.tune.setup import Setup


@dataclass(frozen=True)
class Finalist:
    """A trial among the best, with the model that it tried."""

    trial: FrozenTrial
    model: ModelSection


def finalists(setup: Setup, study: Study, count: int) -> list[Finalist]:
    """The best complete trials, best first, each model once."""
    found: dict[str, Finalist] = {}
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    for trial in sorted(complete, key=lambda trial: (trial.value, trial.number)):
        model = setup.run(decoded(setup.axes, trial.params))
        found.setdefault(model.name, Finalist(trial, model))
    return list(found.values())[:count]


def finish(setup: Setup, study: Study, tools: Tools, seconds: float | None) -> None:
    """Train what the verdict needs: all folds of the best and of the default, and other seeds.

    TimeUp if it does not fit into ``seconds``; the same call goes on.
    """
    best = finalists(setup, study, setup.section.keep)
    if not best:
        return
    for model in (best[0].model, setup.model, *(one.model for one in best[1:])):
        if not tools.train(model, [], seconds, None):
            raise TimeUp
    for model in _judged(setup, best[0]):
        for run in setup.reseeded(model)[1:]:
            if not tools.train(run, list(setup.judging), seconds, None):
                raise TimeUp


def verdict(setup: Setup, study: Study, tools: Tools) -> Verdict | None:
    """The winner against the default; None while their trainings are not all there."""
    best = finalists(setup, study, 1)
    if not best:
        return None
    sides = [[run.name for run in setup.reseeded(model)] for model in (best[0].model, setup.model)]
    if not all(setup.has(run, setup.judging) for runs in sides for run in runs):
        return None
    rows, _ = setup.judged(setup.model.name)
    training = setup.training
    winner, default = ([setup.judged(run)[1] for run in runs] for runs in sides)
    return judge(
        setup.workspace.competition.metric,
        training.target[rows],
        None if training.groups is None else training.groups[rows],
        winner,
        default,
        tools.resample,
    )


def _judged(setup: Setup, winner: Finalist) -> Sequence[ModelSection]:
    """The winner and the default, which may be one and the same."""
    return list({model.name: model for model in (winner.model, setup.model)}.values())
