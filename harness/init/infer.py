"""From what lies in a competition's folder to [data] and the task, each with its reason. Pure.

What cannot be decided becomes a question for the user, never a silent guess.
"""

import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from harness.competition import Task
from harness.init.classes import LabelsInPaths, labels_in_paths
from harness.init.hints import group_candidates, guesses_in, metadata_candidates, usual_metric
from harness.init.labels import Question, is_marks, is_yes_or_no, question_of
from harness.init.places import Index, places_called_test, places_of
from harness.init.records import Columns, Proposal, Seen, Setting, listed
from harness.init.tables import (
    TrainTable,
    is_called_label,
    no_image,
    sample_submissions,
    train_tables,
)
from harness.text import comparable, disagreement, id_key, number, split

FOLDS = 5
_ORDER = (
    *("train", "test", "images", "test_images", "sample_submission", "test_ids"),
    *("id", "repeats", "label", "labels", "separator", "classes"),
)


def infer(seen: Seen) -> Proposal:
    """The settings for a competition whose folder looks like that."""
    return _Inference(seen).proposal()


class _Inference:
    """The findings so far, in the order in which they build on each other."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.index = Index(seen.images)
        self.data: dict[str, Setting] = {}
        self.questions: list[str] = []
        samples = sample_submissions(seen.tables)
        self.sample = samples[0] if samples else None
        self.asked = list(seen.tables[samples[0]]) if samples else []  # the id first
        if len(samples) > 1:
            self.questions.append(
                f"{listed(samples[1:])} may be the sample submission instead of {self.sample}"
            )

    def proposal(self) -> Proposal:
        train, question, labels = self._rows()
        self._sample_and_test(train)
        groups, metadata = self._of_use(train)
        folds = {}
        few = {label: rows for label, rows in labels.items() if 0 < rows < FOLDS}
        if few:
            label = min(few, key=lambda one: (few[one], one))
            why = f"class {label!r} has {few[label]} rows for {FOLDS} folds"
            folds["rare"] = Setting("spread", why)
        return Proposal(
            {
                "task": Setting(question.task, question.why, question.doubt),
                "metric": self._metric(question.task, labels),
            },
            {key: self.data[key] for key in _ORDER if key in self.data},
            folds,
            groups,
            metadata,
            tuple(self.questions),
        )

    # ---- the training rows

    def _rows(self) -> tuple[TrainTable | None, Question, Counter[str]]:
        """A table with labels; else labels in paths; else a table whose label nobody knows."""
        tables = {name: has for name, has in self.seen.tables.items() if name != self.sample}
        fit = train_tables(tables, self.asked, self.index)
        known = bool(fit and fit[0].labels and not fit[0].repeats)
        in_paths = None if known else labels_in_paths(self.seen.images)
        if in_paths is not None and fit:
            self.questions.append(
                f"{fit[0].name} names images, too: does a column of it hold the label?"
            )
        train = fit[0] if fit and in_paths is None else None
        if train is not None and len(fit) > 1 and fit[0].score == fit[1].score:
            self.questions.append(
                f"{fit[1].name} fits as the training table as well as {fit[0].name}"
            )
        if train is not None:
            return train, *self._rows_from_table(train)
        if in_paths is not None:
            return None, *self._rows_from_paths(in_paths)
        return None, *self._rows_from_nothing(tables)

    def _rows_from_table(self, train: TrainTable) -> tuple[Question, Counter[str]]:
        columns, labels = train.columns, train.labels
        ids = columns[train.id].tolist()
        places = places_of(ids, self.index, "train", avoid="test")
        has = "has labels and" if labels else "names images in"
        self.data["train"] = Setting(train.name, f"{has} {len(ids)} rows")
        self.data["id"] = _id_setting(train.id, ids)
        rows = set(zip(ids, *(columns[name].tolist() for name in labels), strict=True))
        if len(set(ids)) == len(rows) < len(ids):
            self.data["repeats"] = Setting("merge", "all rows of an id have the same label")
        self._place("images", places.patterns, len(set(ids)), places.found, places.others)
        if not labels:
            self.questions.append(
                f"which column is the label? {train.name} has {listed(list(columns)[:20])}"
            )
            return Question("multiclass", "not known without a label", "what is asked?"), Counter()
        if len(labels) > 1:
            return self._rows_of_marks(columns, labels)
        (label,) = labels
        asked = None
        if self.sample and label in self.asked:
            asked = self.seen.tables[self.sample][label].tolist()
            why = "is the sample's column"
        elif len(self.asked) > 2:
            why = "holds the sample's columns as its values"
        else:
            why = "by its name" if is_called_label(label) else "the only column beside the id"
        cells = columns[label]
        said = cells[cells != ""]
        question = question_of(label, said, asked)
        doubt = None
        if len(said) < len(cells) and question.task != "multilabel":  # there a blank means none
            first = ids[cells.tolist().index("")]
            doubt = f"{len(cells) - len(said)} row(s) have no label, the first is id {first!r}"
        self.data["label"] = Setting(label, why, doubt)
        if question.separator != " ":
            self.data["separator"] = Setting(question.separator, "joins the labels of a cell")
        counts = _class_counts(question, said)
        self._order(question, sorted(counts))
        return question, counts

    def _rows_of_marks(
        self, columns: Columns, labels: Sequence[str]
    ) -> tuple[Question, Counter[str]]:
        self.data["labels"] = Setting(list(labels), "the sample's columns, which the table has")
        if not all(is_marks(columns[name]) for name in labels):
            doubt = f"the columns {listed(labels)} hold more than 0 and 1"
            return Question("multilabel", "several label columns", doubt), Counter()
        marks = [[number(cell) == 1 for cell in columns[name]] for name in labels]
        counts = Counter({name: sum(row) for name, row in zip(labels, marks, strict=True)})
        if all(sum(row) == 1 for row in zip(*marks, strict=True)):
            return Question("multiclass", "each row marks exactly one of the columns"), counts
        return Question("multilabel", "a row may mark none or several of the columns"), counts

    def _rows_from_paths(self, found: LabelsInPaths) -> tuple[Question, Counter[str]]:
        self.questions += found.questions
        counts = Counter({comparable(label): rows for label, rows in found.counts.items()})
        classes = sorted(counts)
        value = found.patterns[0] if len(found.patterns) == 1 else list(found.patterns)
        why = f"no table has labels; {found.why}: {listed(classes)}"
        self.data["images"] = Setting(value, why)
        if self.asked:
            self.data["id"] = Setting(self.asked[0], "the sample's first column")
        task: Task = "binary" if len(classes) == 2 else "multiclass"
        question = Question(task, f"{len(classes)} classes")
        self._order(question, classes)
        return question, counts

    def _order(self, question: Question, classes: list[str]) -> None:
        """Which of two classes a column that is neither of them asks for."""
        if question.task != "binary" or len(self.asked) > 2:
            return
        (column,) = self.asked[1:] or [""]
        shown = self.seen.tables[self.sample][column].tolist() if self.sample else ()
        if column in classes:
            classes.sort(key=column.__eq__)
            self.data["classes"] = Setting(classes, "the last is the sample's column")
        elif not (is_yes_or_no(classes) or set(shown) & set(classes)):
            doubt = f"is {classes[1]!r} what is asked for? its probability is submitted"
            self.data["classes"] = Setting(classes, "by the alphabet", doubt)

    def _rows_from_nothing(self, tables: Mapping[str, Columns]) -> tuple[Question, Counter[str]]:
        strangers = [
            f"{name}: {said}"
            for name, columns in tables.items()
            if (said := no_image(columns, self.asked, self.index))
        ]
        self.questions.append(
            "; ".join(["no table, folder or file name seems to hold the labels", *strangers[:3]])
        )
        self.data["images"] = Setting("train/{label}/{id}.png", "only an example")
        return Question("multiclass", "not known without labels", "what is asked?"), Counter()

    # ---- test rows, sample, metric and what may be of use

    def _metric(self, task: Task, classes: Container[str]) -> Setting:
        guesses = 1
        if self.sample and len(self.asked) == 2:
            guesses = guesses_in(self.seen.tables[self.sample][self.asked[1]], classes)
        return usual_metric(task, column_a_class=len(self.asked) > 2, guesses=guesses)

    def _sample_and_test(self, train: TrainTable | None) -> None:
        if self.sample is None:
            if test := places_called_test(self.seen.images):
                self._place("test_images", test, 0, None, ())
            else:
                self.questions.append("which images are to be predicted? (test_images)")
            return
        self.data["sample_submission"] = Setting(self.sample, "by its name")
        sample = self.seen.tables[self.sample]
        ids = sample[self.asked[0]].tolist()
        known = set(ids)
        tables = {
            name: columns[self.asked[0]].tolist()
            for name, columns in self.seen.tables.items()
            if self.asked[0] in columns and name not in (self.sample, train and train.name)
        }
        name = max(  # of equals the one that does not hold the labels, too
            tables,
            key=lambda one: (
                len(known & set(tables[one])),
                self.asked[-1] not in self.seen.tables[one],
            ),
            default="",
        )
        listed = tables.get(name, [])
        if len(known & set(listed)) > len(known | set(listed)) / 2:
            self.data["test"] = Setting(name, "has the sample's ids, or most of them")
        places = places_of(ids, self.index, "test", avoid="train")
        if not places.found:
            self.questions.append(
                f"no image has an id of {self.sample}: where are the test images? (test_images)"
            )
        elif list(places.patterns) != _as_list(self.data["images"].value):
            self._place("test_images", places.patterns, len(ids), places.found, places.others)
        self._which_ids(ids, listed if "test" in self.data else [])

    def _which_ids(self, asked: list[str], listed: list[str]) -> None:
        """Ask if the sample, the test table and the test folder name other pictures to predict."""
        sources = {str(self.sample): asked}
        if listed:
            sources[self.data["test"].value] = listed
        images = self.data.get("test_images")
        for pattern in _as_list(images.value) if images else ():
            shape = re.compile(re.escape(pattern).replace(r"\{id\}", "([^/]+)"))
            found = [match[1] for match in map(shape.fullmatch, self.index.paths) if match]
            sources.setdefault("the test folder", []).extend(found)
        if said := disagreement(sources):
            others = [set(map(id_key, ids)) for ids in list(sources.values())[1:]]
            outvoted = len(others) == 2 and others[0] == others[1]
            doubt = "which does the competition score? sample_submission, test or test_images"
            decides = "test" if outvoted else "sample_submission"
            self.data["test_ids"] = Setting(decides, said, doubt)

    def _place(
        self,
        key: str,
        patterns: Sequence[str],
        ids: int,
        found: int | None,
        others: Sequence[str],
    ) -> None:
        doubt = None
        if found is not None and found < ids:
            doubt = f"{ids - found} of {ids} ids have no image"
        elif others:
            doubt = f"{listed(others)} would fit as well"
        why = "by the ids" if found is not None else "by the folder's name"
        value = patterns[0] if len(patterns) == 1 else list(patterns)
        self.data[key] = Setting(value, why, doubt)

    def _of_use(self, train: TrainTable | None) -> tuple[tuple[Setting, ...], tuple[str, ...]]:
        """(columns that may be groups, columns that may be metadata)."""
        if train is None:
            return (), ()
        unused = self._unused(train)
        groups = group_candidates(train.columns, unused, FOLDS)
        if "test" not in self.data:
            return groups, ()
        named = {setting.value for setting in groups}
        in_test = self.seen.tables[self.data["test"].value]
        unused = [name for name in unused if name not in named]
        return groups, metadata_candidates(train.columns, in_test, unused)

    def _unused(self, train: TrainTable) -> list[str]:
        used = {train.id, *train.labels, *self.asked}
        return [name for name in train.columns if name not in used]


def _class_counts(question: Question, texts: NDArray[Any]) -> Counter[str]:
    if question.task == "regression":
        return Counter()
    if question.task == "multilabel":
        return Counter(word for text in texts for word in split(text, question.separator))
    return Counter(texts.tolist())


def _id_setting(column: str, ids: Sequence[str]) -> Setting:
    repeated = {id_: rows for id_, rows in Counter(ids).items() if rows > 1}
    if not repeated:
        return Setting(column, "every cell differs and is the name of an image")
    first, rows = next(iter(repeated.items()))
    others = f", and {len(repeated) - 1} more ids repeat" if len(repeated) > 1 else ""
    doubt = f"id {first!r} stands in {rows} rows{others}: which are right? remove the other rows"
    return Setting(column, "its cells are names of images and hardly repeat", doubt)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
