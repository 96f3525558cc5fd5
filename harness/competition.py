"""competition.toml → a frozen, validated Competition. Unknown keys are errors."""

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Discriminator,
    Field,
    PrivateAttr,
    Strict,
    Tag,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from harness.errors import ConfigError
from harness.files import require_file
from harness.formula import value_of
from harness.metrics import Metric, get_metric, metrics_for
from harness.metrics.custom import custom_metric
from harness.model import Invariance, ModelSection
from harness.patterns import placeholders
from harness.section import SafeName, Section, Strings
from harness.space import TuneSection
from harness.text import comparable, slashed
from harness.toml_errors import first_error, line_of
from harness.views import DEFAULT_VIEWS, View, allowed_views

FILE_NAME = "competition.toml"

Task = Literal["binary", "multiclass", "multilabel", "ordinal", "regression"]
_OF_CLASSES = ("binary", "multiclass", "ordinal")

TablePath = Annotated[str, AfterValidator(slashed)]
ColumnName = Annotated[str, AfterValidator(comparable)]
# one string is a list of one
Patterns = Annotated[
    tuple[TablePath, ...],
    Strict(False),
    BeforeValidator(lambda given: (given,) if isinstance(given, str) else given),
]


class CompetitionSection(Section):
    """[competition]: what is asked and how it is scored.

    ``metric`` is a known name or a function of your own, ``module:function``, with
    ``greater_is_better`` and what it ``needs`` (by default values for regression, else
    probabilities; "labels" if it only looks at what is decided for). ``kaggle`` is
    the competition's slug, ``public_share`` the share of the test rows that the public leaderboard
    is computed on, as its page says.
    """

    name: SafeName
    task: Task
    metric: str
    greater_is_better: bool | None = None
    needs: Literal["probabilities", "ranks", "labels", "values"] | None = None
    kaggle: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")] | None = None
    public_share: float | None = Field(default=None, gt=0, le=1)

    @property
    def own_metric(self) -> bool:
        """Whether the metric is a function of the user's own."""
        return ":" in self.metric

    @field_validator("metric")
    @classmethod
    def _metric_fits_task(cls, name: str, info: ValidationInfo) -> str:
        if ":" in name:  # the user's own, which is looked up once the folder is known
            return name
        try:
            metric = get_metric(name)
        except ConfigError as error:
            raise ValueError(f"{error.found}; {error.fix}") from None
        task = info.data.get("task")
        if task and task not in metric.tasks:
            fitting = ", ".join(metrics_for(task))
            raise ValueError(f"{name!r} does not fit task {task!r}; what does: {fitting}")
        return name

    @model_validator(mode="after")
    def _direction_is_declared(self) -> "CompetitionSection":
        if not self.own_metric:
            if self.greater_is_better is not None or self.needs is not None:
                raise ValueError(
                    "'greater_is_better' and 'needs' are for a metric of your own; remove them"
                )
        elif self.greater_is_better is None:
            raise ValueError(
                f"the direction of {self.metric!r} is not known; "
                "add greater_is_better = true, or false"
            )
        elif self.needs is not None and (self.needs == "values") != (self.task == "regression"):
            raise ValueError(f"needs = {self.needs!r} does not fit task {self.task!r}")
        return self


@dataclass(frozen=True)
class Rendering:
    """The settings by which the values of an image file become 8-bit colours.

    ``white`` is the value that becomes 255 in grey pictures of more than 8 bits, None the usual
    one. ``background`` is the colour that is seen where a picture is transparent.
    """

    white: float | None = None
    background: str = "white"

    @property
    def key(self) -> str:
        """Return the settings as a text for digests."""
        return str(self.white) + (f" on {self.background}" if self.background != "white" else "")


class DataSection(Section):
    """[data]: where the tables and images are, and which columns matter.

    With a ``train`` table, ``images`` (one pattern, or several of which the first that has the
    file counts) is where an id's image lies. Without one the images that it finds are the training
    rows, and the names in braces are their columns: ``"train/{label}/{id}.png"``. An image's id is
    then its path below the folder that the patterns share.

    ``white`` is the value of white in grey pictures of more than 8 bits: 4095 where only 12 of 16
    are used. ``background`` is the colour that is seen where a picture is transparent. ``classes``
    is their order where the sample's columns do not say it: of two, the second is the one whose
    probability is submitted; a scale begins with its lowest step. ``extra`` is a table of pictures
    that are trained on and never validated on (see ``add``). ``allow_empty`` says whether a cell of
    joined labels may stay empty in a submission; without it that is so if it is in the training
    table.

    ``test_ids`` says where the ids to predict are taken from if sample submission, test table and
    test images disagree; ``repeats = "merge"`` makes identical training rows of an id one.
    """

    train: TablePath | None = None
    images: Patterns
    test: TablePath | None = None
    test_images: Patterns = ()
    sample_submission: TablePath | None = None
    test_ids: Literal["sample_submission", "test", "test_images"] | None = None
    id: ColumnName = "id"
    repeats: Literal["error", "merge"] = "error"
    label: ColumnName | None = None
    white: float | None = Field(default=None, gt=0)
    background: Annotated[str, Field(pattern=r"^(white|black|#[0-9a-f]{6})$")] = "white"
    labels: Annotated[tuple[ColumnName, ...], Strict(False)] = ()
    classes: Strings = ()
    separator: str = Field(default=" ", min_length=1)
    allow_empty: bool | None = None
    group: ColumnName | None = None
    invariances: Annotated[tuple[Invariance, ...], Strict(False)] = ("hflip",)
    """What never changes a label: training pictures are turned so, and test-time views made."""
    extra: str | None = None
    example: Literal["elpv"] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> "DataSection":
        if self.label and self.labels:
            raise ValueError("give either 'label' or 'labels', not both")
        if self.test_ids and not getattr(self, self.test_ids):
            raise ValueError(f"'test_ids' is {self.test_ids!r}, which is not set; set it")
        if not self.images:
            raise ValueError("'images' is empty; give a pattern such as 'data/images/{id}.png'")
        for key, patterns in (("images", self.images), ("test_images", self.test_images)):
            for pattern in patterns:
                _check_pattern(key, pattern)
        by_id = (*self.images, *self.test_images) if self.train else self.test_images
        if any(placeholders(pattern) != ["id"] for pattern in by_id):
            raise ValueError(
                "'images' and 'test_images' hold {id} once and no other name in braces; "
                "only without 'train' may 'images' read more out of a path"
            )
        if not self.train:
            needed = {self.label or "label", *([self.group] if self.group else [])}
            if self.labels:
                raise ValueError("'labels' are columns of a table; name it as 'train'")
            for pattern in self.images:
                if absent := sorted(needed - set(placeholders(pattern))):
                    raise ValueError(
                        f"there is no 'train' table and 'images' has no {{{absent[0]}}}; name the "
                        "table, or say where the paths hold the label: 'train/{label}/{id}.png'"
                    )
        return self

    @property
    def rendering(self) -> Rendering:
        """The settings that images are decoded with."""
        return Rendering(self.white, self.background)

    @property
    def label_name(self) -> str:
        """The label column where the paths are the table, or a submission has one column."""
        return self.label or "label"

    @property
    def decides(self) -> str:
        """The key whose ids are predicted: ``test_ids``, else the first of them that is set."""
        keys = (key for key in ("sample_submission", "test") if getattr(self, key))
        return self.test_ids or next(keys, "test_images")

    @property
    def patterns_for_test(self) -> tuple[str, ...]:
        """Where the images to predict lie: ``test_images``, else ``images``."""
        return self.test_images or self.images


def _check_pattern(key: str, pattern: str) -> None:
    """A ValueError unless the pattern is well formed and stays in its folder."""
    names = placeholders(pattern)
    if not names or "{" in (rest := re.sub(r"\{[^{}]*\}", "", pattern)) or "}" in rest:
        raise ValueError(
            f"{key!r} needs the placeholder {{id}}, such as 'data/images/{{id}}.png'; "
            f"it is {pattern!r}"
        )
    if odd := [name for name in names if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)]:
        raise ValueError(f"{key!r} holds {{{odd[0]}}}; a name has letters, digits and _")
    if len(set(names)) != len(names):
        raise ValueError(f"{key!r} holds a name in braces twice; each may stand once")
    if ".." in PurePosixPath(pattern).parts:
        raise ValueError(f"{key!r} must not climb out of its folder with '..'; give the whole path")


class FoldsSection(Section):
    """[folds]: how rows are dealt out.

    ``group_duplicates`` keeps pictures together that ``audit`` found to be copies of one another.
    """

    k: int = Field(default=5, ge=2, le=1000)
    repeats: int = Field(default=1, ge=1, le=100)
    holdout: float = Field(default=0.0, ge=0.0, lt=1.0)
    seed: int = Field(default=0, ge=0)
    rare: Literal["error", "spread"] = "error"
    group_duplicates: bool = False


# parts of an error's place that begin with a colon are not shown
Views = Annotated[
    Annotated[int, Field(ge=1, le=8), Tag(":count")]
    | Annotated[tuple[View, ...], Strict(False), Field(min_length=1), Tag(":names")],
    Discriminator(lambda given: ":names" if isinstance(given, list | tuple) else ":count"),
]


class PredictSection(Section):
    """[predict]: the test-time views that every model predicts in, out of fold and in ``submit``.

    A prediction is the mean over ``views``: the picture mirrored, turned or enlarged. A number
    takes at most so many of the views that [data] invariances allow; without one it is four. A list
    names them, whether they are allowed or not: ``identity``, ``hflip``, ``vflip``, ``rot90``,
    ``rot180``, ``rot270``, ``transpose`` and ``transverse`` (mirrored at a diagonal), and ``zoom``,
    the centre of the picture (7/8 of each side) enlarged to all of it. Other views train nothing
    again; ``train`` then predicts again.
    """

    views: Views | None = None

    @field_validator("views")
    @classmethod
    def _differ(cls, views: Views | None) -> Views | None:
        if isinstance(views, tuple) and len(set(views)) < len(views):
            raise ValueError("'views' names a view twice; list each once")
        return views


class StackSection(Section):
    """[stack]: which ways of combining members compete, and what they see beside the members.

    Unless ``methods`` are named, ``ridge`` is one of them for regression.
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

    @field_validator("efficiency")
    @classmethod
    def _readable(cls, formula: str | None) -> str | None:
        if formula is not None:
            try:
                value_of(formula, {"score": 0.7, "seconds": 60.0, "base": 1.1, "best": 0.6})
            except ArithmeticError:  # which depends on the values
                pass
            except ValueError as error:
                known = "numbers and score, seconds, base, best"
                raise ValueError(f"{formula!r}: {error}; use + - * / ( ), {known}") from None
        return formula


class Competition(Section):
    """All of competition.toml."""

    competition: CompetitionSection
    data: DataSection
    folds: FoldsSection = FoldsSection()
    model: Annotated[tuple[ModelSection, ...], Strict(False)] = ()
    predict: PredictSection = PredictSection()
    stack: StackSection = Field(default=StackSection(), validate_default=True)
    budget: BudgetSection = BudgetSection()
    tune: TuneSection = TuneSection()
    _folder: Path = PrivateAttr(default=Path())

    @field_validator("stack")
    @classmethod
    def _ridge_for_values(cls, stack: StackSection, info: ValidationInfo) -> StackSection:
        section = info.data.get("competition")
        if section and section.task == "regression" and "methods" not in stack.model_fields_set:
            return stack.model_copy(update={"methods": (*stack.methods, "ridge")})
        return stack

    @model_validator(mode="after")
    def _names_differ(self) -> "Competition":
        seen: set[str] = set()
        for run in self.runs:
            # case-insensitive: they become folders, and some file systems fold case
            if run.name.lower() in seen:
                raise ValueError(f"two models are called {run.name!r}; names must differ")
            seen.add(run.name.lower())
        for model in self.model:
            model.require_trainable(self.competition.task)
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
        if self.competition.task == "multilabel" and not (many_labels or self.data.label):
            raise ValueError(
                "task 'multilabel' needs 'labels', the list of label columns, or 'label', the "
                "column of labels joined by 'separator'; add one of them to [data]"
            )
        if self.data.allow_empty is not None and self.competition.task != "multilabel":
            raise ValueError("'allow_empty' is for task 'multilabel'; remove it")
        if self.competition.task == "regression" and many_labels:
            raise ValueError("task 'regression' needs one 'label' column, not 'labels'")
        if len(set(self.data.classes)) < len(self.data.classes):
            raise ValueError("'classes' names a class twice; list each once")
        if self.data.classes and (many_labels or self.competition.task not in _OF_CLASSES):
            raise ValueError(
                "'classes' is the order of one label column's classes; remove it, or check 'task'"
            )
        return self

    def with_models(self, models: tuple[ModelSection, ...]) -> "Competition":
        """The same competition with other models."""
        sections = {name: getattr(self, name) for name in type(self).model_fields}
        other = Competition(**{**sections, "model": models})
        other._folder = self._folder
        return other

    @cached_property
    def runs(self) -> tuple[ModelSection, ...]:
        """Every run that the models stand for, with a run a seed and a run a snapshot."""
        trainings = (training for model in self.model for training in model.trainings())
        return tuple(run for training in trainings for run in training.snapshot_runs())

    @property
    def views(self) -> tuple[View, ...]:
        """The test-time views that every model predicts in without a budget."""
        asked = self.predict.views
        if isinstance(asked, tuple):
            return asked
        return allowed_views(self.data.invariances)[: asked or DEFAULT_VIEWS]

    @cached_property
    def metric(self) -> Metric:
        """The metric that decides the competition."""
        asked = self.competition
        if not asked.own_metric:
            return get_metric(asked.metric)
        return custom_metric(
            asked.metric,
            self._folder,
            greater_is_better=bool(asked.greater_is_better),
            needs=asked.needs or ("values" if asked.task == "regression" else "probabilities"),
            task=asked.task,
        )

    @property
    def task(self) -> Task:
        """The kind of question."""
        return self.competition.task


def load_competition(path: Path) -> Competition:
    """Read and validate a competition.toml; ConfigError names the line and the nearest key."""
    require_file(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
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
    except RecursionError:
        raise ConfigError(path, "is nested too deeply", "remove those brackets") from None
    try:
        competition = Competition.model_validate(values)
    except ValidationError as error:
        raise first_error(error, path, text, Competition) from None
    competition._folder = path.parent  # where a metric of the user's own is looked for
    try:
        _ = competition.metric
    except ConfigError as error:
        line = line_of(text, ("competition", "metric"))
        raise ConfigError(f"{path}:{line}", f"{error.where}: {error.found}", error.fix) from None
    return competition


def as_plain(section: BaseModel) -> dict[str, Any]:
    """A section as plain values that JSON can hold."""
    return section.model_dump(mode="json")
