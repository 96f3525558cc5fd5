"""What the inference makes of a described folder; whole formats are in tests/formats."""

import numpy as np
import pytest

from harness.competition import Task
from harness.init.classes import class_folders, labels_in_names
from harness.init.hints import group_candidates
from harness.init.infer import infer
from harness.init.labels import question_of
from harness.init.places import Index, places_of
from harness.init.records import Proposal, Seen, Setting


def table(**columns: list[object]) -> dict[str, np.ndarray]:
    return {name: np.array(list(map(str, cells)), object) for name, cells in columns.items()}


IDS = [str(i) for i in range(20)]
IMAGES = tuple(f"train/{i}.jpg" for i in IDS) + tuple(f"test/{i}.jpg" for i in IDS[:5])
SAMPLE = table(id=IDS[:5], label=[0] * 5)
TRAIN = table(id=IDS, label=["a", "b"] * 10)


def proposal(*, images: tuple[str, ...] = IMAGES, **tables: dict[str, np.ndarray]) -> Proposal:
    return infer(Seen({f"{name}.csv": columns for name, columns in tables.items()}, images))


def test_ids_that_are_in_train_and_test_go_by_the_folders_names() -> None:
    found = proposal(train=TRAIN, sample_submission=SAMPLE)
    assert found.data["images"].value == "train/{id}.jpg"
    assert found.data["test_images"].value == "test/{id}.jpg"
    assert "test/{id}.jpg" not in (found.data["images"].doubt or "")


@pytest.mark.parametrize(
    ("labels", "column", "cell", "order", "asked"),
    [
        (("cat", "dog"), "label", "0.5", ["cat", "dog"], True),
        (("hot_dog", "not_hot_dog"), "hot_dog", "0.5", ["not_hot_dog", "hot_dog"], False),
        (("hot_dog", "not_hot_dog"), "not_hot_dog", "0", ["hot_dog", "not_hot_dog"], False),
        (("No", "Yes"), "label", "0.5", None, False),
        (("0", "1"), "label", "0.5", None, False),
        (("cat", "dog"), "label", "cat", None, False),
    ],
)
def test_which_of_two_classes_is_asked_for_is_never_left_to_the_alphabet(
    labels: tuple[str, str], column: str, cell: str, order: list[str] | None, asked: bool
) -> None:
    sample = table(id=IDS[:5], **{column: [cell] * 5})
    found = proposal(train=table(id=IDS, label=[*labels] * 10), sample_submission=sample)
    folders = tuple(f"train/{labels[i % 2]}/{i}.jpg" for i in range(20)) + IMAGES[20:]
    for data in (found.data, proposal(images=folders, sample_submission=sample).data):
        setting = data.get("classes")
        assert (setting.value if setting else None) == order
        assert bool(setting and setting.doubt) == asked


def test_two_folders_that_fit_are_a_question() -> None:
    small = tuple(f"train_small/{i}.jpg" for i in IDS)
    found = proposal(images=IMAGES + small, train=TRAIN, sample_submission=SAMPLE)
    assert found.data["images"].value == "train/{id}.jpg"
    assert found.data["images"].doubt == "train_small/{id}.jpg would fit as well"


def test_images_that_are_missing_are_a_question() -> None:
    found = proposal(images=IMAGES[3:], train=TRAIN, sample_submission=SAMPLE)
    assert found.data["images"].doubt == "3 of 20 ids have no image"


def test_two_tables_that_fit_are_a_question() -> None:
    found = proposal(train=TRAIN, train_fixed=TRAIN, sample_submission=SAMPLE)
    assert found.questions == ("train_fixed.csv fits as the training table as well as train.csv",)


def test_no_label_is_a_question_and_no_guess() -> None:
    found = proposal(train=table(id=IDS, a=IDS, b=IDS))
    assert "label" not in found.data
    assert any("which column is the label?" in question for question in found.questions)
    assert any("which images are to be predicted?" in q for q in found.questions) is False
    nothing = proposal(images=("x/a.png", "x/b.png"))
    assert any("seems to hold the labels" in question for question in nothing.questions)


def test_the_reason_for_a_label_is_the_true_one() -> None:
    other = table(id=IDS[:5], target=[0] * 5)
    wide = table(id=IDS[:5], a=[0] * 5, b=[0] * 5)

    def reason(column: str, sample: dict[str, np.ndarray] | None) -> str:
        train = table(id=IDS, **{column: ["a", "b"] * 10})
        samples = {} if sample is None else {"sample_submission": sample}
        return proposal(train=train, **samples).data["label"].why

    assert reason("label", SAMPLE) == "is the sample's column"
    assert reason("sort", wide) == "holds the sample's columns as its values"
    assert reason("label", other) == reason("label", None) == "by its name"
    assert reason("sort", other) == reason("sort", None) == "the only column beside the id"


def test_an_id_that_repeats_is_a_question() -> None:
    twice = table(id=[*IDS, "3"], label=["a", "b"] * 10 + ["b"])
    found = proposal(train=twice, sample_submission=SAMPLE)
    assert found.data["label"].value == "label"
    assert "id '3' stands in 2 rows" in (found.data["id"].doubt or "")
    assert found.data["images"].doubt is None
    often = proposal(train=table(id=IDS[:10] * 2, label=["a", "b"] * 10))
    assert "id '0' stands in 2 rows, and 9 more ids repeat" in (often.data["id"].doubt or "")
    assert often.data["repeats"].value == "merge"
    differ = proposal(train=table(id=[*IDS, "3"], label=["a", "b"] * 10 + ["a"]))
    assert "repeats" not in differ.data


def test_a_table_of_repeated_ids_comes_after_any_other_place_of_labels() -> None:
    boxes = table(id=[*IDS, *IDS], label=["a", "b"] * 20)
    found = proposal(train_boxes=boxes, labels=TRAIN, sample_submission=SAMPLE)
    assert found.data["train"].value == "labels.csv"
    folders = tuple(f"{'ab'[int(i) % 2]}/{i}.jpg" for i in IDS)
    assert "train" not in proposal(images=folders, train_boxes=boxes).data


@pytest.mark.parametrize(
    ("cells", "task"),
    [(["a", "b"] * 9, "binary"), ([f"{i}.5" for i in range(18)], "regression")],
)
def test_blank_labels_do_not_change_the_task(cells: list[object], task: Task) -> None:
    train = table(id=IDS, label=["", "", *cells])
    found = proposal(train=train)
    assert found.competition["task"].value == task
    assert found.data["label"].doubt == "2 row(s) have no label, the first is id '0'"
    assert "''" not in str(found.folds)
    nothing = proposal(train=table(id=IDS, label=[""] * 20))
    assert nothing.competition["task"].doubt == "what is asked?"


@pytest.mark.parametrize("separator", ["|", ",", ";", ", ", " | "])
def test_what_joins_labels_is_found(separator: str) -> None:
    joined = separator.join(["frog eye", "scab"])
    train = table(id=IDS, label=[joined, *["scab", "frog eye"] * 8, "scab", "rust", "rust"])
    found = proposal(train=train)
    assert found.competition["task"].value == "multilabel"
    assert found.data["separator"].value == separator
    assert found.folds["rare"].why == "class 'rust' has 2 rows for 5 folds"
    names = proposal(train=table(id=IDS, label=["Doe, Jane", "Doe, John"] * 10))
    assert names.competition["task"].value == "binary"


def test_a_sample_with_several_guesses_asks_for_map() -> None:
    whales = table(id=IDS, label=["new", "w1", "w2", "w3"] * 5)

    def metric(*cells: str) -> Setting:
        sample = table(id=IDS[:2], label=list(cells))
        return proposal(train=whales, sample_submission=sample).competition["metric"]

    assert metric("new w1 w2", "w1 new w3").value == "map@3"
    assert "3 guesses" in metric("new w1 w2", "w1 new w3").why
    for cells in (("new", "w1"), ("new w1", "w1"), ("new w1", "w1 other")):
        assert metric(*cells).value == "accuracy"


def test_a_blank_among_joined_labels_means_none() -> None:
    found = proposal(train=table(id=IDS, label=["", "a b", *["a", "b"] * 9]))
    assert found.competition["task"].value == "multilabel"
    assert found.data["label"].doubt is None
    assert "separator" not in found.data  # a space is what is meant without it


def test_a_table_whose_ids_name_no_image_is_told() -> None:
    images = tuple(f"train/{int(i):05d}.png" for i in IDS)
    (question, *_) = proposal(images=images, train=TRAIN).questions
    assert question.startswith("no table, folder or file name seems to hold the labels")
    assert (
        "train.csv: no image is called '0', but train/00000.png: did it lose its zeros?" in question
    )
    some = tuple(f"train/{i}.png" for i in IDS[:8])
    (question, *_) = proposal(images=some, train=TRAIN).questions
    assert "train.csv: no image is called '8'" in question


def test_class_folders_come_before_a_table_without_a_known_label() -> None:
    images = tuple(f"{'ab'[int(i) % 2]}/{i}.png" for i in IDS)
    noted = table(file=[f"{'ab'[int(i) % 2]}/{i}" for i in IDS], age=IDS, seen=IDS)
    found = proposal(images=images, train_notes=noted)
    assert found.data["images"].value == "{label}/{id}.png"
    assert any("train_notes.csv names images, too" in question for question in found.questions)
    labelled = proposal(images=images, notes={**noted, **table(label=["x", "y"] * 10)})
    assert labelled.data["label"].value == "label"


def test_a_table_without_a_known_label_is_used_where_nothing_else_has_one() -> None:
    images = tuple(f"pictures_part_{1 + int(i) % 2}/p{i}.jpg" for i in IDS)
    found = proposal(images=images, notes=table(id=[f"p{i}" for i in IDS], dx=IDS, age=IDS))
    assert found.data["train"].value == "notes.csv"
    assert any("which column is the label?" in question for question in found.questions)


def groups_of(rows: int, **columns: list[object]) -> dict[str, str | None]:
    """The doubt of each column that init proposes as a group."""
    found = group_candidates(table(**columns), list(columns), fewest=5)
    assert all(len(cells) == rows for cells in columns.values())
    return {setting.value: setting.doubt for setting in found}


def test_a_group_is_what_is_named_like_one_and_repeats() -> None:
    tiles = [f"slide {i % 6}" for i in range(200)]
    found = groups_of(200, slide_id=tiles, Patient=list(range(200)), patient_age=[*range(50)] * 4)
    assert found == {"slide_id": None}  # few slides of many tiles; patients and ages are no groups


@pytest.mark.parametrize(
    ("cells", "doubt"),
    [
        ([i % 3 for i in range(40)], "3 values for 5 folds: fewer folds?"),
        (["", "", *(i // 2 for i in range(38))], "2 row(s) have none: give each a name of its own"),
    ],
)
def test_what_is_no_group_yet_is_a_question(cells: list[object], doubt: str) -> None:
    assert groups_of(40, PatientID=cells, site=[i % 8 for i in range(40)]) == {
        "PatientID": doubt,
        "site": "do its rows belong together?",
    }


def test_a_weaker_name_is_a_question() -> None:
    places = [f"t{i // 3}" for i in range(20)]
    assert groups_of(20, town=places) == {"town": "do its rows belong together?"}
    assert groups_of(200, town=[f"t{i % 7}" for i in range(200)]) == {}  # a kind, no group


def test_what_names_an_entity_is_no_metadata() -> None:
    extra = table(age=range(20), patient=range(20), slide=["", *[1, 2] * 9, 1])
    test = {**table(id=IDS[:5]), **{name: cells[:5] for name, cells in extra.items()}}
    found = proposal(train={**TRAIN, **extra}, test=test, sample_submission=SAMPLE)
    assert found.metadata == ("age",)


def test_metadata_are_columns_of_both_tables() -> None:
    extra = table(age=range(20), only_here=range(20), same=[1] * 20)
    test = {**table(id=IDS[:5]), **{n: extra[n][:5] for n in ("age", "same")}}
    found = proposal(train={**TRAIN, **extra}, test=test, sample_submission=SAMPLE)
    assert found.data["test"].value == "test.csv"
    assert found.metadata == ("age",)


def test_rare_classes_are_spread_over_the_folds() -> None:
    columns = table(id=IDS, label=["a"] * 9 + ["b"] * 9 + ["c"] * 2)
    found = proposal(train=columns, sample_submission=SAMPLE)
    assert found.folds["rare"].value == "spread"
    assert "'c' has 2 rows" in found.folds["rare"].why


@pytest.mark.parametrize(
    ("column", "cells", "asked", "task", "doubted"),
    [
        ("label", ["cat", "dog"], ["0.5"], "binary", False),
        ("label", ["0", "1"], ["0"], "binary", False),
        ("species", ["Maize", "Common wheat", "Black grass"], None, "multiclass", False),
        ("labels", ["scab|rust", "healthy", "blight"], None, "multiclass", True),
        ("labels", ["scab rust", "scab", "rust", "healthy"], ["healthy"], "multilabel", False),
        ("label", list("01234"), ["4"], "multiclass", True),
        ("label", list("01234"), None, "multiclass", False),
        ("diagnosis", list("01234"), ["0"], "ordinal", True),
        ("label", [str(i) for i in range(99)], ["0"], "multiclass", True),
        ("count", [str(i * i) for i in range(99)], ["0"], "regression", True),
        ("age", ["1.5", "2", "7.25"], ["0"], "regression", False),
        ("score", [str(i) for i in range(1, 101)], ["65.92"], "regression", False),
    ],
)
def test_the_question_a_label_asks(
    column: str, cells: list[str], asked: list[str] | None, task: Task, doubted: bool
) -> None:
    question = question_of(column, np.array(cells, object), asked)
    assert question.task == task
    assert (question.doubt is not None) == doubted


def test_several_folders_and_endings_are_covered_by_few_patterns() -> None:
    images = ["a/1.jpg", "a/2.jpg", "b/3.jpg", "b/4.png", "b/sub/5.png"]
    found = places_of(["1", "2", "3", "4", "sub/5", "6"], Index(images))
    assert set(found.patterns) == {"a/{id}.jpg", "b/{id}.jpg", "b/{id}.png"}
    assert found.found == 5
    assert places_of(["a/1.jpg", "b/3.jpg"], Index(images)).patterns == ("{id}",)


@pytest.mark.parametrize(
    ("folders", "best", "others"),
    [
        (("Train", "Test"), "Train", ()),
        (("train_masks", "train_images"), "train_images", ("train_masks",)),
        (("train", "train_imgs"), "train_imgs", ("train",)),
        (("train", "Train_segmented_pictures"), "train", ("Train_segmented_pictures",)),
        (("Train/labels", "Train/jpeg"), "Train/jpeg", ("Train/labels",)),
        (("TrainMasks", "nonsegmented"), "nonsegmented", ("TrainMasks",)),
    ],
)
def test_of_equal_folders_the_name_decides(
    folders: tuple[str, str], best: str, others: tuple[str, ...]
) -> None:
    images = [f"{folder}/{id_}.png" for folder in folders for id_ in IDS]
    found = places_of(IDS, Index(images), "train", avoid="test")
    assert found.patterns == (f"{best}/{{id}}.png",)
    assert found.others == tuple(f"{other}/{{id}}.png" for other in others)


def test_a_mask_is_no_picture_of_a_row_that_has_none() -> None:
    images = [f"masks/{id_}.png" for id_ in IDS] + [f"pictures/{id_}.png" for id_ in IDS[:15]]
    found = places_of(IDS, Index(images))
    assert (found.patterns, found.found) == (("pictures/{id}.png",), 15)
    assert places_of(IDS, Index(images[:20])).patterns == ("masks/{id}.png",)


def test_folders_called_train_are_no_classes() -> None:
    assert class_folders(["jpeg/train/1.jpg", "jpeg/test/1.jpg"]) is None
    assert class_folders(["x/1.png", "x/2.png"]) is None
    found = class_folders(["a b/1.png", "a b/2.jpg", "c/1.png", "test/1.png"])
    assert found is not None
    assert found.patterns == ("{label}/{id}.jpg", "{label}/{id}.png")
    assert found.counts == {"a b": 2, "c": 1}


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (("train_images", "test_images"), False),
        (("HAM10000_images_part_1", "HAM10000_images_part_2"), False),
        (("TrainSet", "ValSet"), False),
        (("fold 0", "fold 1"), False),
        (("good_image", "bad_image"), True),
        (("spare part", "worn part"), True),
        (("invalid", "contested"), True),
        (("bullet_train", "test_tube"), True),
    ],
)
def test_which_folders_may_be_classes(names: tuple[str, str], classes: bool) -> None:
    assert (class_folders([f"{name}/1.png" for name in names]) is not None) == classes


def test_a_class_that_is_called_like_a_use_is_asked_for() -> None:
    found = class_folders([f"train/{name}/1.png" for name in ("bus", "plane", "train")])
    assert found is not None
    assert set(found.counts) == {"bus", "plane"}
    assert found.questions[0].startswith("is train/train a class?")


def test_a_copy_of_the_class_folders_is_left_out() -> None:
    files = [f"{label}/{i}.png" for label in ("cat", "dog") for i in range(3)]
    places = ("data/a", "data/train", "data/data/train", "data/data/val", "data/val")
    found = class_folders([f"{place}/{file}" for place in places for file in files])
    assert found is not None
    assert found.patterns == ("data/train/{label}/{id}.png", "data/val/{label}/{id}.png")
    assert found.counts == {"cat": 6, "dog": 6}
    assert "data/train and data/val hold the same classes" in found.why
    assert found.questions == (
        "left out, for their file names repeat another folder's: data/data/train (of data/train), "
        "data/a (of data/train), data/data/val (of data/val); are they other pictures? "
        "then add their patterns to images",
    )
    seen = infer(Seen({}, tuple(f"{place}/{file}" for place in places for file in files)))
    assert set(found.questions) <= set(seen.questions)


def test_numbers_in_file_names_are_no_classes() -> None:
    assert labels_in_names(["x/1_0.png", "x/1_1.png", "x/2_0.png", "x/2_1.png"]) is None
    assert labels_in_names(["x/IMG_0.png", "x/IMG_1.png"]) is None
    assert (
        labels_in_names([f"x/{name}_{i}.png" for name in ("Train", "Test") for i in "01"]) is None
    )


def test_a_stray_file_is_a_question() -> None:
    pets = [f"train/{pet}.{i}.jpg" for pet in ("cat", "dog") for i in range(100)]
    found = labels_in_names([*pets, "train/logo.png", "train/a.b.jpg"])
    assert found is not None
    assert found.patterns == ("train/{label}.{id}.jpg",)
    assert found.counts == {"cat": 100, "dog": 100}
    (question,) = found.questions
    assert question.startswith("2 file(s) such as train/logo.png begin with no class")
    assert labels_in_names([*pets, *(f"train/{i}.jpg" for i in range(3))]) is None
    assert labels_in_names([*pets[:4], *pets[-4:], "train/logo.jpg"]) is not None


def test_a_solution_beside_the_test_table_is_not_the_test_table() -> None:
    solution, test = table(id=IDS[:5], label=["a"] * 5), table(id=IDS[:5], age=[1] * 5)
    found = proposal(answers=solution, train=TRAIN, test=test, sample_submission=SAMPLE)
    assert found.data["train"].value == "train.csv"
    assert found.data["test"].value == "test.csv"
    assert found.metadata == ()
