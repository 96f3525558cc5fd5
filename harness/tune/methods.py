"""The methods that draw at random or learn from what was tried: Optuna's, with our spaces."""

import json
import math
import warnings
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from harness.errors import ConfigError
from harness.files import digest
from harness.model import ModelSection
from harness.space import Axis, Pruner, TuneSection, Values
from harness.tune.spaces import Axes, applies, draw, share_of, value_at

Scalar = str | int | float | bool

PLANNED = ("grid", "zoom")
"""Methods that say themselves which points come next."""
A_FOLD = 2
"""Optuna's steps a fold: step 1 is the first fold after half of its epochs, step 2 all of it."""


def distribution(axis: Axis) -> BaseDistribution:
    """The axis as Optuna knows it."""
    if axis.choices is not None:
        return CategoricalDistribution([encode(axis, choice) for choice in axis.choices])
    low, high = axis.span
    if axis.integer:
        return IntDistribution(int(low), int(high), log=axis.log, step=int(axis.step or 1))
    return FloatDistribution(low, high, log=axis.log, step=axis.step)


def encode(axis: Axis, value: Any) -> Scalar:
    """A value as a storage can hold it: choices that are lists become JSON."""
    if axis.choices is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value)


def decoded(axes: Axes, parameters: Mapping[str, Any]) -> Values:
    """A trial's stored parameters as settings."""
    return {name: _decode(axes[name], value) for name, value in parameters.items()}


def _decode(axis: Axis, stored: Any) -> Any:
    if axis.choices is None:
        return stored
    return next(choice for choice in axis.choices if encode(axis, choice) == stored)


def suggest(trial: Trial, axes: Axes, model: ModelSection) -> Values:
    """The trial's settings, drawn axis by axis; those that do not apply are left out."""
    values: dict[str, Any] = {}
    for name, axis in axes.items():
        if not applies(axis, values, model):
            continue
        match distribution(axis):
            case CategoricalDistribution() as d:
                drawn = trial.suggest_categorical(name, d.choices)
            case IntDistribution() as d:
                drawn = trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
            case FloatDistribution() as d:
                drawn = trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)
        values[name] = _decode(axis, drawn)
    return values


def sampler(section: TuneSection, axes: Axes) -> BaseSampler:
    """What draws the trials; the same study draws the same, in one process or in several."""
    prior = Prior(axes, section.seed)
    if section.method == "bayes" and not section.gaussian:
        conditional = any(axis.when for axis in axes.values())
        return _reseeded(TPESampler, section.seed, multivariate=True, group=conditional)
    if section.method == "bayes":
        fallback = {"independent_sampler": prior, "warn_independent_sampling": False}
        return _reseeded(GPSampler, section.seed, **fallback)
    if section.method == "evolution":
        if sum(axis.numeric and not axis.when for axis in axes.values()) < 2:
            raise ConfigError(
                "competition.toml [tune]",
                "evolution needs two settings that are numbers and have no 'when'",
                "add one, or use zoom or bayes",
            )
        return Evolution(axes, section.seed)
    return prior


class Prior(BaseSampler):
    """Every setting by its own prior, as a function of the seed and the trial's number."""

    def __init__(self, axes: Axes, seed: int) -> None:
        self._axes, self._seed = axes, seed

    def infer_relative_search_space(self, *_: Any, **__: Any) -> dict[str, BaseDistribution]:
        """Nothing depends on anything."""
        return {}

    def sample_relative(self, *_: Any, **__: Any) -> dict[str, Any]:
        """Nothing depends on anything."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Scalar:
        """One setting's value."""
        axis = self._axes[param_name]
        generator = np.random.default_rng(
            [self._seed, trial.number, zlib.crc32(param_name.encode())]
        )
        return encode(axis, draw(axis, generator))


class Evolution(Prior):
    """CMA-ES (Hansen 2016), computed anew from the trials that ended; nothing of it is stored.

    Optuna's own sampler keeps it in the study as a pickle, which whoever writes to the study could
    replace by a program.
    """

    def infer_relative_search_space(self, *_: Any, **__: Any) -> dict[str, BaseDistribution]:
        """The numbers that are searched in every trial; the others have their priors."""
        always = {name: axis for name, axis in self._axes.items() if axis.numeric and not axis.when}
        return {name: distribution(axis) for name, axis in always.items()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the trial's numbers together, after a generation for every so many trials."""
        from cmaes import CMA

        axes = [self._axes[name] for name in search_space]
        seed, cube = _seed_of(self._seed, trial), np.tile([0.0, 1.0], (len(axes), 1))
        cma = CMA(np.full(len(axes), 0.5), 1 / 6, cube, 10 * len(axes), seed)
        told = []
        for one in filter(is_done, study.get_trials(deepcopy=False)):
            shares = np.array([*map(share_of, axes, map(one.params.get, search_space))])
            if np.isfinite(
                [*shares, last_loss(one)]
            ).all():  # a study is a file: it may hold anything
                told.append((shares, last_loss(one)))
        for end in range(cma.population_size, len(told) + 1, cma.population_size):
            cma.tell(told[end - cma.population_size : end])
        return dict(zip(search_space, map(value_at, axes, cma.ask().tolist()), strict=True))


def _reseeded(kind: Any, seed: int, **options: Any) -> BaseSampler:
    """A sampler of that kind, made anew for each trial with a seed of the trial's own.

    Several processes on one study would else draw the same: each would begin with the one seed.
    """

    class Reseeded(kind):  # type: ignore[misc]
        def __init__(self, seed: int) -> None:
            with warnings.catch_warnings():  # that an option is experimental is for us to know
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                super().__init__(seed=seed, **options)

        def before_trial(self, study: Study, trial: FrozenTrial) -> None:
            self.__init__(_seed_of(seed, trial))  # type: ignore[misc]
            super().before_trial(study, trial)

    sampler: BaseSampler = Reseeded(seed)
    return sampler


def _seed_of(seed: int, trial: FrozenTrial) -> int:
    """Another seed for each trial, the same in every process."""
    return int(digest("trial", str(seed), str(trial.number))[:7], 16)


def is_done(trial: FrozenTrial) -> bool:
    """Whether the trial counts: it ended by itself."""
    return trial.state in (TrialState.COMPLETE, TrialState.PRUNED)


def last_loss(trial: FrozenTrial) -> float:
    """Its loss on the folds that it was given; infinity where it has none."""
    if trial.state == TrialState.COMPLETE and trial.value is not None:
        return trial.value
    return trial.intermediate_values[trial.last_step] if trial.last_step else math.inf


def pruner(kind: Pruner, folds: int) -> optuna.pruners.BasePruner:
    """What ends poor trials before all their ``folds``, of A_FOLD steps each."""
    match kind:
        case "median":
            return optuna.pruners.MedianPruner(n_startup_trials=4)
        case "halving":
            return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2)
        case "hyperband":
            return optuna.pruners.HyperbandPruner(
                min_resource=1, max_resource=folds * A_FOLD, reduction_factor=2
            )
    return optuna.pruners.NopPruner()
