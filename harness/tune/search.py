"""The search: trials one by one, each an ordinary run, until there are enough of them."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.exceptions import StorageInternalError, TrialPruned
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from harness.errors import ResourceError, TooMuch
from harness.locks import holding
from harness.metrics import Metric
from harness.model import ModelSection
from harness.space import Values
from harness.tune.methods import A_FOLD, PLANNED, decoded, encode, is_done, last_loss, suggest
from harness.tune.setup import Predictions, Rows, Setup
from harness.tune.spaces import grid
from harness.tune.study import ask_lock, claimed, is_here, revive, trial_lock
from harness.tune.zoom import Tried, next_of, next_point

ELSEWHERE = 5.0
"""Seconds between two looks at a storage for trials of other machines."""

Array = NDArray[Any]
Halfway = Callable[[Rows, Predictions], None]
Resample = Callable[[Metric, Array, Array | None, Sequence[Array], int, int], tuple[Array, Array]]


@dataclass(frozen=True)
class Tools:
    """What other verbs do for the search; the command line lends it.

    ``train`` (model, folds, seconds left, halfway) is False if the time was up; without
    folds it trains all of them and makes the run a member. ``halfway`` gets a fold's rows and
    predictions after half of its epochs, and may raise.
    ``resample`` (metric, truth, groups, predictions, samples, seed) → scores and bootstrap
    samples of them. ``loss`` (rows, predictions) of a run is what trials are chosen by.
    ``affordable`` says why a run cannot keep the inference budget, or None.
    """

    train: Callable[[ModelSection, Sequence[int], float | None, Halfway | None], bool]
    resample: Resample
    loss: Callable[[Rows, Predictions], float]
    affordable: Callable[[ModelSection], str | None] = lambda model: None


class TimeUp(Exception):
    """The hours are over."""


class _Left(BaseException):
    """A trial that was cut short. Optuna would write an Exception down as the trial's failure; this
    leaves it running, as a kill does, and ``revive`` finds it."""


@dataclass
class Search:
    """A search that goes on wherever the study stands; ``seconds`` is what is left of its hours."""

    setup: Setup
    study: Study
    tools: Tools
    watch: Callable[[], None] = lambda: None
    seconds: Callable[[], float | None] = lambda: None

    def run(self) -> bool:
        """Do what is left of the trials; False if the time was up before.

        Whatever ends it, a trial that was begun goes on with the next run.
        """
        try:
            while self._one_more():
                self.watch()
        except TimeUp:
            return False
        except StorageInternalError as error:
            said = str(error.__cause__ or error).splitlines()[0]
            where, fix = f"[tune] storage {self.setup.section.storage!r}", "make room on its disk"
            raise ResourceError(where, f"cannot be written ({said})", fix) from error
        return True

    def _one_more(self) -> bool:
        """Do a trial, or wait for one of another process; False if nothing is left to do."""
        # the trial's lock is held until it is told: in between it would look dead
        with ExitStack() as claim, ExitStack() as asking:
            asking.enter_context(holding(ask_lock(self.setup)))
            revive(self.setup, self.study)
            trials = self.study.get_trials(deepcopy=False)
            running = [trial for trial in trials if trial.state == TrialState.RUNNING]
            begun = len(running) + sum(map(is_done, trials))
            if begun < self.setup.section.trials and self._is_something_to_do(trials):
                self._check_time()
                try:
                    self.study.optimize(lambda trial: self._try(trial, claim, asking), n_trials=1)
                except _Left as left:
                    raise left.args[0] from None
                return True
        if running:
            self._wait(running[0])
        return bool(running)

    def _is_something_to_do(self, trials: Sequence[FrozenTrial]) -> bool:
        """Whether a trial can be begun; that of a planned method is queued."""
        if any(trial.state == TrialState.WAITING for trial in trials):
            return True
        if self.setup.section.method not in PLANNED:
            return True
        point = self._planned(trials)
        if point is None:
            return False
        axes = self.setup.axes
        self.study.enqueue_trial({name: encode(axes[name], point[name]) for name in point})
        return True

    def _planned(self, trials: Sequence[FrozenTrial]) -> Values | None:
        axes, model, section = self.setup.axes, self.setup.model, self.setup.section
        tried = [
            Tried(decoded(axes, _parameters(trial)), place)
            for trial, place in zip(trials, places(trials), strict=True)
        ]
        if section.method == "zoom":
            return next_point(axes, model, _settled(tried), section.steps, section.rounds)
        points = grid(axes, model, section.steps)
        # in an order of chance, so that a part of the grid is spread over all of it
        order = np.random.default_rng(section.seed).permutation(len(points))
        return next_of([points[i] for i in order], tried)

    def _try(self, trial: Trial, claim: ExitStack, asking: ExitStack) -> float:
        try:
            claim.enter_context(claimed(self.setup, trial))
            asking.close()
            return self._evaluate(trial)
        except TrialPruned:
            raise
        except BaseException as error:
            raise _Left(error) from error

    def _evaluate(self, trial: Trial) -> float:
        """The trial's loss, fold by fold; what is poor after one, or after half of the first one's
        epochs, is pruned."""
        values = suggest(trial, self.setup.axes, self.setup.model)
        try:
            model = self.setup.run(values)
        except ValueError as error:
            raise _impossible(trial, str(error)) from error
        trial.set_user_attr("run", model.name)
        if why := self.tools.affordable(model):
            raise _impossible(trial, why)
        self.watch()
        folds = self.setup.choosing
        loss = math.inf
        for count, fold in enumerate(folds, start=1):
            self._check_time()
            self._train(trial, model, fold, first=count == 1)
            loss = self.tools.loss(*self.setup.out_of_fold(model.name, folds[:count]))
            self._report(trial, loss, count * A_FOLD, last=count == len(folds))
        return loss

    def _train(self, trial: Trial, model: ModelSection, fold: int, *, first: bool) -> None:
        def halfway(rows: Rows, predictions: Predictions) -> None:
            self._report(trial, self.tools.loss(rows, predictions), 1)

        started = time.perf_counter()
        try:
            done = self.tools.train(model, [fold], self.seconds(), halfway if first else None)
        except TooMuch as error:  # as a learning rate that is too high: no good setting
            raise _impossible(trial, error.found) from error
        finally:
            spent = trial.user_attrs.get("seconds", 0.0) + time.perf_counter() - started
            trial.set_user_attr("seconds", spent)
        if not done:
            raise TimeUp

    def _report(self, trial: Trial, loss: float, step: int, *, last: bool = False) -> None:
        if math.isnan(loss):  # Optuna would count it as a failure, and the search begin another
            raise _impossible(trial, "its loss is no number")
        if step not in self.study.get_trials(deepcopy=False)[trial.number].intermediate_values:
            trial.report(loss, step)  # else it was cut short after this step
        self.watch()
        if not last and trial.should_prune():
            raise TrialPruned

    def _check_time(self) -> None:
        left = self.seconds()
        if left is not None and left <= 0:
            raise TimeUp

    def _wait(self, trial: FrozenTrial) -> None:
        self._check_time()
        if is_here(self.setup, trial):
            with holding(trial_lock(self.setup, trial.number)):
                return
        time.sleep(ELSEWHERE)


def folds_done(trial: FrozenTrial) -> float:
    """How many folds that loss is of; one half if the first one's training ended halfway."""
    return (trial.last_step or 0) / A_FOLD


def _parameters(trial: FrozenTrial) -> dict[str, Any]:
    """What the trial tries, also when it only waits for it."""
    return trial.params or dict(trial.system_attrs.get("fixed_params", {}))


def places(trials: Sequence[FrozenTrial]) -> list[float | None]:
    """The order of the trials, the best one's place being 0; infinity for one that found no loss,
    None for one that is not finished.

    A pruned trial was scored on fewer folds, which may be easier ones, or halfway: it comes after
    all that got further.
    """

    def key(trial: FrozenTrial) -> tuple[float, float]:
        return -folds_done(trial), last_loss(trial)

    order = sorted({key(trial) for trial in trials if last_loss(trial) < math.inf})
    place = {found: float(number) for number, found in enumerate(order)}
    return [
        place.get(key(trial), math.inf) if trial.state.is_finished() else None for trial in trials
    ]


def _settled(tried: Sequence[Tried]) -> list[Tried]:
    """One for each point: its least loss, which is not known while it is tried again."""
    known: dict[str, Tried] = {}
    for one in tried:
        point = str(sorted(one.values.items()))
        before = known.get(point)
        if before is None or before.loss is None or one.loss is None or one.loss < before.loss:
            known[point] = one
    return list(known.values())


def _impossible(trial: Trial, why: str) -> TrialPruned:
    trial.set_user_attr("why", why.splitlines()[0])
    return TrialPruned(why)
