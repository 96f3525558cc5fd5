"""A submission scored against a solution, as the competition's grader would."""

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harness.competition import Competition
from harness.data.frame import read_frame
from harness.data.labels import named_last, sorted_names
from harness.data.sample import Sample
from harness.errors import ConfigError, DataError, nearest
from harness.metrics import Metric, decide, metrics_for
from harness.submit.check import check_submission
from harness.submit.forms import form_of
from harness.text import number, split

Array = NDArray[Any]
Strings = NDArray[np.object_]


def grade(
    path: Path,
    solution_path: Path,
    competition: Competition,
    sample: Sample | None,
    metric: Metric,
) -> dict[str, float]:
    """Return the score of a submission CSV against a solution CSV, as ``all``.

    The solution has the ids and either one label column or the submission's own columns; other
    columns do not matter. A column ``Usage`` divides its rows: each part's score is returned under
    its name in small letters, NaN where it has none, and ``ignored`` rows do not count. A DataError
    says what a grader would refuse.
    """
    if competition.task not in metric.tasks:
        raise ConfigError(
            "--metric",
            f"{metric.name!r} does not fit task {competition.task!r}",
            f"what does: {', '.join(metrics_for(competition.task))}",
        )
    for file, fix in ((path, "check the path"), (solution_path, "give --solution CSV")):
        if not file.is_file():
            raise DataError(file, "there is no such file", fix)
    frame, solution = read_frame(path, as_is=True), read_frame(solution_path)
    if sample and sample.spelled:
        own = {cell: text for text, cell in sample.spelled.items()}
        frame = frame.rename(columns=own).map(lambda cell: own.get(cell, cell))
    id_column = sample.id_column if sample else competition.data.id
    for table, where in ((frame, path), (solution, solution_path)):
        if id_column not in table.columns:
            raise DataError(where, f"has no column {id_column!r}", "it names the rows")
    columns = list(sample.target_columns if sample else frame.columns.drop(id_column))
    truth = solution.set_index(id_column)
    usage = [name for name in map(str, truth) if name.lower() == "usage" and name not in columns]
    use = truth.pop(usage[0]).str.strip().str.lower() if usage else pd.Series("", truth.index)
    ids, allowed = solution[id_column], competition.data.allow_empty
    if allowed is None:
        allowed = bool((truth == "").any(axis=None))
    check_submission(path, frame, competition, id_column, columns, ids, allow_empty=allowed)
    truth, parts = truth.loc[frame[id_column]], use.loc[frame[id_column]].to_numpy()
    counted = {"all": parts != "ignored"}
    counted |= {part: parts == part for part in sorted({*parts} - {"", "ignored"}, reverse=True)}
    if not counted["all"].any():
        raise DataError(solution_path, "has no row that counts", f"check its column {usage[0]!r}")
    scores = {}
    for part, rows in counted.items():
        found = _Grader(path, solution_path, truth[rows], frame.loc[rows, columns], competition)
        scores[part] = metric.score(*found.truth_and_predictions())
    if not math.isfinite(scores["all"]):
        raise DataError(
            solution_path,
            f"leaves {metric.name} without a value",
            "such as ranks where every row has the same label; check the solution",
        )
    return scores


class _Grader:
    """The rows of a solution and of a submission, which correspond."""

    def __init__(
        self,
        given: Path,
        path: Path,
        truth: pd.DataFrame,
        cells: pd.DataFrame,
        competition: Competition,
    ) -> None:
        self.given, self.path, self.truth, self.cells = given, path, truth, cells
        self.competition = competition
        self.columns = [str(column) for column in cells.columns]

    def truth_and_predictions(self) -> tuple[Array, Array]:
        """Both in the shapes of harness.metrics."""
        separator = self.competition.data.separator
        submitted: Strings = self.cells.iloc[:, 0].to_numpy(dtype=object)
        match form_of(self.competition, self.columns):
            case "values":
                return self._values(self.columns).ravel(), self.cells.to_numpy(float)
            case "probabilities" if self.competition.task == "multilabel":
                return self._label_matrix(), self.cells.to_numpy(float)
            case "probabilities":
                return self._class_codes(self.columns), self.cells.to_numpy(float)
            case "probability":
                second = self.cells.to_numpy(float)
                labels = self._labels()
                return self._codes(labels, self._two_classes(labels)), np.hstack(
                    [1 - second, second]
                )
            case "label":
                labels = self._labels()
                labels, submitted = _without_noughts(labels), _without_noughts(submitted)
                self._require_alike([[label] for label in labels], [[name] for name in submitted])
                classes = self._classes({*labels, *submitted})
                decided = self._codes(submitted, classes)
                return self._codes(labels, classes), np.eye(len(classes))[decided]
            case "guesses":
                return self._guesses([split(cell, separator) for cell in submitted])
            case "labels":
                true = self._label_sets()
                given = [split(cell, separator) for cell in submitted]
                self._require_alike(true, given)
                known = sorted({name for row in (*true, *given) for name in row})
                return _matrix(true, known), _matrix(given, known).astype(float)

    def _labels(self) -> Strings:
        """The solution's label column: named as the submission's only one is, or as [data] says."""
        label, known = self.competition.data.label_name, list(self.truth.columns)
        wanted = [*(self.columns if len(self.columns) == 1 else ()), label]
        if not (found := [name for name in wanted if name in known]):
            if len(known) != 1:
                raise DataError(self.path, f"has no column {label!r}", nearest(label, known))
            found = known
        label = found[0]
        labels: Strings = self.truth[label].to_numpy(dtype=object)
        if self.competition.task != "multilabel" and (labels == "").any():
            id_ = self.truth.index[int((labels == "").argmax())]
            raise DataError(self.path, f"row of id {id_!r} has no label", "mend the solution")
        return labels

    def _label_sets(self) -> list[list[str]]:
        """The labels in every cell of the solution's label column."""
        return [split(cell, self.competition.data.separator) for cell in self._labels()]

    def _values(self, columns: list[str]) -> Array:
        """The solution's own numbers in the submission's columns."""
        if missing := [name for name in columns if name not in self.truth.columns]:
            raise DataError(
                self.path, f"has no column {missing[0]!r}", "it needs the submission's columns"
            )
        values = self.truth[columns].map(number).to_numpy(dtype=float)
        if not np.isfinite(values).all():
            row, place = np.argwhere(~np.isfinite(values))[0]
            said = f"row of id {self.truth.index[row]!r}, column {columns[place]!r} is not a number"
            raise DataError(self.path, said, "mend the solution")
        return values

    def _class_codes(self, classes: list[str]) -> Array:
        """From a label column, or from the submission's columns, one-hot."""
        if set(classes) <= set(self.truth.columns):
            return decide(self._values(classes))
        return self._codes(self._labels(), classes)

    def _label_matrix(self) -> Array:
        """From the submission's columns, or from a column of joined labels."""
        if set(self.columns) <= set(self.truth.columns):
            return self._values(self.columns).astype(np.int8)
        rows = self._label_sets()
        self._require_known({name for row in rows for name in row}, self.columns)
        return _matrix(rows, self.columns)

    def _two_classes(self, labels: Strings) -> list[str]:
        """The one whose probability is submitted last; a DataError where there are more."""
        names = sorted_names(sorted(set(labels)))
        if order := self._said_order(names):
            return order
        if set(names) <= {"0", "1"}:
            return ["0", "1"]
        if len(names) > 2:
            said = f"holds {len(names)} labels for one probability: {', '.join(names[:4])}"
            raise DataError(self.path, said, "a solution has the two classes")
        return named_last(names, self.columns)

    def _require_alike(self, labels: list[list[str]], submitted: list[list[str]]) -> None:
        """A DataError where labels are written otherwise than in the solution, or not one is in it.

        A label that the solution lacks is a mistake that counts, as graders have it.
        """
        known = [label for row in labels for label in row]
        usual = {label.strip().casefold(): label for label in known}
        spelled, names = set(known), [name for row in submitted for name in row]
        for id_, row in zip(self.truth.index, submitted, strict=True):
            for given in row:
                meant = usual.get(given.strip().casefold())
                if given not in spelled and meant is not None:
                    said = f"column {self.columns[0]!r} of id {id_!r} holds {given!r}"
                    raise DataError(self.given, said, f"write {meant!r} as the solution")
        if names and spelled.isdisjoint(names):
            said = f"holds no label of the solution, neither {names[0]!r} nor any other"
            fix = f"the solution has labels such as {known[0]!r}" if known else "check the solution"
            raise DataError(self.given, said, fix)

    def _classes(self, names: set[str]) -> list[str]:
        """In order; of an ordinal scale of whole numbers also those that do not occur."""
        if order := self._said_order(names):
            return order
        if self.competition.task == "ordinal" and all(name.isdecimal() for name in names):
            numbers = {int(name): name for name in names}
            return [numbers.get(n, str(n)) for n in range(min(numbers), max(numbers) + 1)]
        return named_last(sorted_names(sorted(names)), self.columns)

    def _said_order(self, names: Iterable[str]) -> list[str] | None:
        """[data] classes, if these are some of them: a solution may have numbers instead."""
        said = list(self.competition.data.classes)
        return said if said and set(names) <= set(said) else None

    def _codes(self, labels: Strings, classes: list[str]) -> Array:
        self._require_known(labels, classes)
        return pd.Categorical(labels, categories=classes).codes.astype(np.int64)

    def _require_known(self, labels: Iterable[str], classes: list[str]) -> None:
        if unknown := sorted(set(labels) - set(classes)):
            known = f"known: {', '.join(classes[:9])}"
            raise DataError(self.path, f"holds the label {unknown[0]!r}", known)

    def _guesses(self, given: list[list[str]]) -> tuple[Array, Array]:
        """Guesses as predictions that rank as they do; what was not guessed is ranked below
        as many nobodies as there may be guesses."""
        most = self.competition.metric.k or 1
        several = self.competition.task == "multilabel"
        true = self._label_sets() if several else [[label] for label in self._labels()]
        self._require_alike(true, given)
        names = sorted({name for row in (*true, *given) for name in row})
        code = {name: i for i, name in enumerate(names)}
        predictions = np.full((len(given), len(names) + most), -1.0)
        predictions[:, len(names) :] = 0.0
        for row, guesses in zip(predictions, given, strict=True):
            for place, name in enumerate(guesses):
                row[code[name]] = max(row[code[name]], most - place)
        if several:
            padded = _matrix(true, [*names, *(f" {i}" for i in range(most))])
            return padded, predictions
        return np.array([code[row[0]] for row in true]), predictions


def _without_noughts(labels: Strings) -> Strings:
    """Whole numbers as graders read them, without decimals or words: ``True`` is ``1``."""
    words = {"True": "1", "False": "0"}
    plain = (words.get(label, label) for label in labels)
    return np.array([re.sub(r"^(\d+)\.0*$", r"\1", label) for label in plain], dtype=object)


def _matrix(rows: list[list[str]], names: list[str]) -> NDArray[np.int8]:
    """(rows, names) of 0 and 1."""
    place = {name: i for i, name in enumerate(names)}
    matrix = np.zeros((len(rows), len(names)), dtype=np.int8)
    for row, given in zip(matrix, rows, strict=True):
        row[[place[name] for name in given]] = 1
    return matrix
