"""competition.toml → a frozen, validated Competition. Unknown keys are errors."""

import re
import tomllib
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, Strict, ValidationError, model_validator

from harness.errors import ConfigError, nearest
from harness.metrics import METRICS, Metric
from harness.model import Invariance, ModelSection
from harness.section import SafeName, Section, Strings
from harness.space import TuneSection

FILE_NAME = "competition.toml"

Task = Literal["binary", "multiclass", "multilabel", "ordinal", "regression"]


class CompetitionSection(Section):
    """[competition]: what is asked and how it is scored."""

    name: SafeName
    task: Task
    metric: str
    kaggle: str | None = None

    @model_validator(mode="after")
    def _metric_fits_task(self) -> "CompetitionSection":
        if self.metric not in METRICS:
            raise ValueError(f"unknown metric {self.metric!r}; {nearest(self.metric, METRICS)}")
        wants_values = METRICS[self.metric].needs == "values"
        if wants_values != (self.task == "regression"):
            raise ValueError(f"metric {self.metric!r} does not fit task {self.task!r}")
        return self


class DataSection(Section):
    """[data]: where the tables and images are, and which columns matter."""

    train: str
    images: str
    test: str | None = None
    sample_submission: str | None = None
    id: str = "id"
    label: str | None = None
    labels: Strings = ()
    group: str | None = None
    invariances: Annotated[tuple[Invariance, ...], Strict(False)] = ("hflip",)
    """What never changes a label: training pictures are turned so, and test-time views made."""
    example: Literal["elpv"] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "DataSection":
        if self.label and self.labels:
            raise ValueError("give either 'label' or 'labels', not both")
        if "{id}" not in self.images:
            raise ValueError("'images' needs the placeholder {id}, such as 'data/images/{id}.png'")
        if ".." in PurePosixPath(self.images.replace("\\", "/")).parts:
            raise ValueError("'images' must not climb out of its folder with '..'")
        return self


class FoldsSection(Section):
    """[folds]: how rows are dealt out."""

    k: int = Field(default=5, ge=2, le=1000)
    repeats: int = Field(default=1, ge=1, le=100)
    holdout: float = Field(default=0.0, ge=0.0, lt=1.0)
    seed: int = Field(default=0, ge=0)
    rare: Literal["error", "spread"] = "error"


class StackSection(Section):
    """[stack]: which ways of combining members compete, and what they see beside the members.

    ``metadata`` are columns of the train and test tables (age, site, …) for the meta-learners.
    """

    methods: Strings = ("best", "mean", "rank_mean", "vote", "weighted", "logistic", "lightgbm")
    metadata: Strings = ()
    seed: int = Field(default=0, ge=0)


class BudgetSection(Section):
    """[budget]: the promise about the whole submit process.

    ``efficiency`` is a formula of score, seconds, base (the prior's score) and best that the plan
    makes as small as it can, within ``seconds``; without it the best score is wanted. Up to
    ``views`` test-time views may be averaged, of those that [data] invariances allow.
    """

    seconds: float | None = Field(default=None, gt=0)
    test_rows: int | None = Field(default=None, ge=1)
    efficiency: str | None = None
    views: Literal[1, 2, 4, 8] = 1

    @model_validator(mode="after")
    def _limited(self) -> "BudgetSection":
        if self.efficiency is not None and self.seconds is None:
            raise ValueError("'efficiency' needs 'seconds', the limit that holds all the same")
        return self


class Competition(Section):
    """All of competition.toml."""

    competition: CompetitionSection
    data: DataSection
    folds: FoldsSection = FoldsSection()
    model: Annotated[tuple[ModelSection, ...], Strict(False)] = ()
    stack: StackSection = StackSection()
    budget: BudgetSection = BudgetSection()
    tune: TuneSection = TuneSection()

    @model_validator(mode="after")
    def _names_differ(self) -> "Competition":
        seen: set[str] = set()
        for run in self.runs:
            # case-insensitive: they become folders, and some file systems fold case
            if run.name.lower() in seen:
                raise ValueError(f"two models are called {run.name!r}; names must differ")
            seen.add(run.name.lower())
        for model in self.model:
            fold_models = self.folds.k * self.folds.repeats
            if model.fold_models is not None and model.fold_models > fold_models:
                raise ValueError(
                    f"model {model.name!r}: fold_models = {model.fold_models} of the "
                    f"{fold_models} that there are; k × repeats is the most"
                )
            if model.predict == "soup" and self.folds.holdout == 0:
                raise ValueError(
                    f"model {model.name!r}: a soup can only be judged on rows that none of its "
                    'fold models saw; set [folds] holdout, or predict = "average"'
                )
        many_labels = bool(self.data.labels)
        if self.competition.task == "multilabel" and not many_labels:
            raise ValueError("task 'multilabel' needs 'labels', the list of label columns")
        if self.competition.task == "regression" and many_labels:
            raise ValueError("task 'regression' needs one 'label' column, not 'labels'")
        return self

    @cached_property
    def runs(self) -> tuple[ModelSection, ...]:
        """Every run that the models stand for, with a run a seed and a run a snapshot."""
        trainings = (training for model in self.model for training in model.trainings())
        return tuple(run for training in trainings for run in training.snapshot_runs())

    @cached_property
    def metric(self) -> Metric:
        """The metric that decides the competition."""
        return METRICS[self.competition.metric]

    @property
    def task(self) -> Task:
        """The kind of question."""
        return self.competition.task


def load_competition(path: Path) -> Competition:
    """Read and validate a competition.toml; ConfigError names the line and the nearest key."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            path,
            "there is no such file",
            "run `python -m harness init DIR` to make a workspace, or point -C at one",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(path, f"cannot be read ({error})", "save it as UTF-8 text") from error
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, f"is not valid TOML: {error}", "mend that line") from error
    try:
        return Competition.model_validate(values)
    except ValidationError as error:
        raise _first_error(error, path, text) from None


def _first_error(error: ValidationError, path: Path, text: str) -> ConfigError:
    """The first of pydantic's findings, with its line in the file and what to do."""
    findings = error.errors(include_url=False)
    # an unknown key is usually the cause of a missing one, so it is told first
    first = next((f for f in findings if f["type"] == "extra_forbidden"), findings[0])
    location = tuple(part for part in first["loc"] if not str(part).startswith(":"))
    line = line_of(text, location)
    where = f"{path}:{line}" if line else str(path)
    name = ".".join(f"[{part + 1}]" if isinstance(part, int) else part for part in location)
    name = name.replace(".[", "[")
    match first["type"]:
        case "extra_forbidden":
            known = _keys_at(location[:-1])
            found, fix = f"unknown key '{name}'", nearest(str(location[-1]), known)
        case "missing":
            found, fix = f"missing key '{name}'", "add it"
        case "value_error":
            found = str(first["ctx"]["error"])
            found, _, fix = found.partition("; ")
            found, fix = (f"{name}: {found}" if name else found), fix or "change one of them"
        case _:
            found = f"'{name}' is {first['input']!r}"
            fix = first["msg"][0].lower() + first["msg"][1:]
    others = len(findings) - 1
    return ConfigError(where, found, fix + (f" ({others} more after this)" if others else ""))


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """The keys that the table at that place may have."""
    section: type[BaseModel] = Competition
    for part in location:
        field = section.model_fields.get(str(part))
        section = (_section_in(field.annotation) if field else None) or section
    return list(section.model_fields)


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a field is, or holds several of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)


_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*["']?([A-Za-z0-9_-]+)["']?\s*(\.|=)""")


def line_of(text: str, location: tuple[int | str, ...]) -> int | None:
    """The 1-based line of a key, or of its table's header; None where neither is in the text.

    ``location`` is a path of keys and of indices into arrays of tables: ``("model", 1, "lr")``.
    """
    table: tuple[int | str, ...] = ()
    counts: dict[str, int] = {}
    best: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            name = header[2].strip("\"' ")
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
                table = (name, counts[name])
            else:
                table = tuple(name.split("."))
            if location[: len(table)] == table:
                best = number
        elif (key := _KEY.match(line)) and location[: len(table) + 1] == (*table, key[1]):
            return number
    return best


def as_plain(section: BaseModel) -> dict[str, Any]:
    """A section as plain values that JSON can hold."""
    return section.model_dump(mode="json")
