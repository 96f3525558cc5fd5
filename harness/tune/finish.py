"""After the search: the winner is judged, and the best trials become members if asked for."""

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
    """Train what the verdict needs: the folds that judge, of the best and of the default, with
    several seeds. Then train on all folds what is kept.

    TimeUp if it does not fit into ``seconds``; the same call goes on.
    """
    best = finalists(setup, study, max(1, setup.section.keep))
    if not best:
        return
    judging = list(setup.judging)
    judged = {model.name: model for model in (best[0].model, setup.model)}  # they may be the same
    works = [(run, judging) for model in judged.values() for run in setup.reseeded(model)]
    works += [(one.model, []) for one in best[: setup.section.keep]]
    for run, folds in works:
        if not tools.train(run, folds, seconds, None):
            raise TimeUp


def verdict(setup: Setup, study: Study, tools: Tools) -> Verdict | None:
    """The winner against the default; None while their trainings are not all there."""
    best = finalists(setup, study, 1)
    if not best:
        return None
    models = (best[0].model, setup.model)
    sides = [[run.name for run in setup.reseeded(model)] for model in models]
    if not all(setup.has(run, setup.judging) for runs in sides for run in runs):
        return None
    rows, _ = setup.judged(setup.model.name)
    training = setup.training
    winner, default = ([setup.judged(run)[1] for run in runs] for runs in sides)
    most = max(len(winner), len(default))  # a probe is one training, and would repeat
    return judge(
        setup.workspace.competition.metric,
        training.target[rows],
        None if training.groups is None else training.groups[rows],
        winner * (most // len(winner)),
        default * (most // len(default)),
        tools.resample,
        repeat=all(model.mode == "probe" for model in models),
    )
