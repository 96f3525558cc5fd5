"""The methods that draw at random or learn from what was tried: Optuna's, with our spaces."""

import json
import warnings
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from harness.errors import ConfigError
from harness.files import digest
from harness.model import ModelSection
from harness.space import Axis, Pruner, TuneSection, Values
from harness.tune.spaces import Axes, applies, draw

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
        return Reseeded(
            section.seed, lambda s: TPESampler(seed=s, multivariate=True, group=conditional)
        )
    if section.method == "bayes":
        return Reseeded(
            section.seed,
            lambda s: GPSampler(seed=s, independent_sampler=prior, warn_independent_sampling=False),
        )
    if section.method == "evolution":
        if sum(axis.numeric and not axis.when for axis in axes.values()) < 2:
            raise ConfigError(
                "competition.toml [tune]",
                "evolution needs two settings that are numbers and have no 'when'",
                "add one, or use zoom or bayes",
            )
        return Reseeded(
            section.seed,
            lambda s: CmaEsSampler(
                seed=s,
                independent_sampler=prior,
                warn_independent_sampling=False,
                consider_pruned_trials=True,
            ),
        )
    return prior


class Prior(BaseSampler):
    """Every setting by its own prior, as a function of the seed and the trial's number."""

    def __init__(self, axes: Axes, seed: int) -> None:
        self._axes, self._seed = axes, seed

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Nothing depends on anything."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
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


class Reseeded(BaseSampler):
    """A sampler made anew for each trial, with a seed of the trial's own.

    Several processes on one study would else draw the same: each would begin with the one seed.
    """

    def __init__(self, seed: int, make: Callable[[int], BaseSampler]) -> None:
        self._seed, self._make = seed, make
        self._inner = _quietly(make, seed)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Another seed for each trial."""
        seed = int(digest("trial", str(self._seed), str(trial.number))[:7], 16)
        self._inner = _quietly(self._make, seed)
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """As the sampler says."""
        return self._inner.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the sampler says."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """As the sampler says."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """As the sampler says."""
        self._inner.after_trial(study, trial, state, values)


def _quietly(make: Callable[[int], BaseSampler], seed: int) -> BaseSampler:
    with warnings.catch_warnings():  # that an option is experimental is for us to know
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return make(seed)


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
