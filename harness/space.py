"""[tune]: which settings of a model are searched, between which values, how and how long."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from harness.errors import ConfigError, nearest
from harness.model import ModelSection
from harness.section import Section

Number = int | float
Numbers = Annotated[tuple[Number, ...], Strict(False)]
Values = Mapping[str, Any]
"""Settings of a model by name, as far as they differ from the model that is tuned."""

Method = Literal["grid", "zoom", "random", "bayes", "evolution"]
Objective = Literal["score", "ensemble", "budget"]
Pruner = Literal["none", "median", "halving", "hyperband"]

FIXED = ("name", "seed", "seeds", "snapshots", "predict", "fold_models")
"""What is not searched: a lucky seed is no setting, and the rest changes what a run is."""


class Axis(Section):
    """One setting that is searched: numbers from ``low`` to ``high``, or one of ``choices``.

    Numbers are ``step`` apart, or spread by their logarithm (``log``). ``normal`` = [mean] makes
    those near the mean likelier: low and high are three standard deviations from the middle of the
    two. ``grid`` are the values that a grid tries and zoom begins with. ``when`` = { other = value
    }: the setting stays as it is unless the others have these values (or one of a list).
    """

    low: Number | None = None
    high: Number | None = None
    step: Number | None = Field(default=None, gt=0)
    log: bool = False
    normal: Annotated[tuple[Number], Strict(False)] | None = None
    grid: Numbers = ()
    choices: Annotated[tuple[Any, ...], Strict(False), Field(min_length=2)] | None = None
    when: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_kind(self) -> "Axis":
        numeric = self.model_fields_set - {"choices", "when"}
        if self.choices is not None:
            if numeric:
                raise ValueError(f"'choices' leave nothing for {sorted(numeric)[0]!r} to say")
            return self
        if self.low is None or self.high is None:
            raise ValueError("a setting is searched from 'low' to 'high', or among 'choices'")
        if self.low >= self.high:
            raise ValueError(f"low = {self.low} is not below high = {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low = {self.low} has no logarithm; it must be above 0")
        if self.log and self.step is not None:
            raise ValueError("'step' and 'log' contradict each other; use 'grid' for both")
        if self.step is not None and not _is_whole((self.high - self.low) / self.step):
            raise ValueError(f"high = {self.high} is not a number of steps above low = {self.low}")
        for value in (*self.grid, *(self.normal or ())):
            if not self.low <= value <= self.high:
                raise ValueError(f"{value} is not between low = {self.low} and high = {self.high}")
        return self

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers in an order."""
        return self.choices is None

    @property
    def span(self) -> tuple[Number, Number]:
        """(low, high) of a numeric one."""
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    @property
    def integer(self) -> bool:
        """Whether only whole numbers will do."""
        return isinstance(self.low, int)


class TuneSection(Section):
    """[tune]: the search. ``folds`` are used for choosing, and the others to judge the choice.

    With a holdout it is the judge. ``steps`` values an axis make a grid, and a round of zoom, of
    which there are ``rounds``. ``seeds`` trainings each of the winner and the default measure what
    chance does. ``keep`` of the best are trained on all folds and become members. ``surrogate`` of
    bayes: a Gaussian process learns faster where nothing is pruned (it looks at finished trials
    only) and nothing depends on ``when``; "auto" is it there, else TPE.
    ``storage`` is the path of an SQLite file, journal:PATH, or a database's URL, in
    which $NAMES are taken from the environment.
    """

    model: str | None = None
    method: Method = "bayes"
    surrogate: Literal["auto", "tpe", "gp"] = "auto"
    trials: int = Field(default=30, ge=1)
    hours: float | None = Field(default=None, gt=0)
    objective: Objective = "score"
    pruner: Pruner = "median"
    folds: int | None = Field(default=None, ge=1)
    seeds: int = Field(default=3, ge=1)
    keep: int = Field(default=0, ge=0)
    steps: int = Field(default=4, ge=2, le=1000)
    rounds: int = Field(default=3, ge=1, le=1000)
    seed: int = Field(default=0, ge=0)
    storage: str = "tune/study.sqlite"
    space: dict[str, Axis] = Field(default_factory=dict)

    @field_validator("space")
    @classmethod
    def _fits_the_model(cls, space: dict[str, Axis]) -> dict[str, Axis]:
        """Every value one that the setting may have; numbers of the setting's own kind."""
        fitted: dict[str, Axis] = {}
        for name, axis in space.items():
            try:
                fitted[name] = _fitted(name, axis)
            except ValueError as error:
                raise _at(name, error) from None
        list(_in_order(fitted))
        return fitted

    def with_options(self, **options: Any) -> "TuneSection":
        """The section with the options that were given; a ConfigError names one that cannot be."""
        given = {name: value for name, value in options.items() if value is not None}
        for name, value in given.items():
            try:
                _checked(_field_adapter(TuneSection, name), name, value)
            except ValueError as error:
                found, _, fix = str(error).partition("; ")
                raise ConfigError(f"--{name}", found, fix) from None
        return self.model_copy(update=given)

    @property
    def gaussian(self) -> bool:
        """Whether bayes means a Gaussian process."""
        if self.surrogate == "auto":
            return self.pruner == "none" and not any(axis.when for axis in self.space.values())
        return self.surrogate == "gp"

    @property
    def axes(self) -> dict[str, Axis]:
        """The space in an order in which what ``when`` looks at comes first."""
        return {name: self.space[name] for name in _in_order(self.space)}


def _fitted(name: str, axis: Axis) -> Axis:
    adapter = _adapter(name)

    def checked(value: Any) -> Any:
        return _checked(adapter, name, value)

    update: dict[str, Any] = {
        "when": {
            other: tuple(_checked(_adapter(other), other, value) for value in _alternatives(values))
            for other, values in axis.when.items()
        }
    }
    if axis.choices is not None:
        update["choices"] = tuple(map(checked, axis.choices))
        if len({str(choice) for choice in update["choices"]}) < len(axis.choices):
            raise ValueError("a choice stands there twice")
    else:
        if isinstance(checked(axis.low), bool):
            raise ValueError("true and false are choices = [true, false]")
        update |= {"low": checked(axis.low), "high": checked(axis.high)}
        update["grid"] = tuple(sorted(map(checked, axis.grid)))
        if isinstance(update["low"], int) and isinstance(axis.step, float):
            raise ValueError(f"{name!r} takes whole numbers, and step = {axis.step}")
    return axis.model_copy(update=update)


def _adapter(name: str) -> TypeAdapter[Any]:
    """What checks a value of that setting."""
    known = [field for field in ModelSection.model_fields if field not in FIXED]
    if name not in known:
        raise ValueError(f"{name!r} is no setting that can be searched; {nearest(name, known)}")
    return _field_adapter(ModelSection, name)


def _field_adapter(section: type[Section], name: str) -> TypeAdapter[Any]:
    field = section.model_fields[name]
    annotation: Any = field.annotation
    if field.metadata:
        annotation = Annotated[annotation, *field.metadata]
    return TypeAdapter(annotation, config={"strict": True})


def _checked(adapter: TypeAdapter[Any], name: str, value: Any) -> Any:
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        said = error.errors(include_url=False)[0]["msg"]
        raise ValueError(f"{name!r} cannot be {value!r}; {said[0].lower()}{said[1:]}") from None


def _alternatives(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _in_order(space: Mapping[str, Axis]) -> Iterator[str]:
    """The names, what ``when`` looks at first; an error where that leads in a circle."""
    left = dict(space)
    while left:
        free = [n for n, axis in left.items() if not any(other in left for other in axis.when)]
        if not free:
            raise _at(next(iter(left)), ValueError("'when' depends on itself in the end"))
        del left[free[0]]
        yield free[0]


def _is_whole(number: float) -> bool:
    return abs(number - round(number)) < 1e-8


def _at(name: str, error: ValueError) -> ValidationError:
    """The error at the axis of that name, so that its line is found."""
    return ValidationError.from_exception_data(
        "space",
        [
            InitErrorDetails(
                type=PydanticCustomError("value_error", "{error}", {"error": str(error)}),
                loc=(name,),
                input=None,
            )
        ],
    )
