"""Fourteen real competitions' formats in miniature: tables, folders and names as Kaggle gives them.

``make(name, folder)`` lays one out as it lies after unpacking and returns what is known of it. The
pictures can be learnt: a bright bar stands where the label says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tiny import write_table

TRAIN, TEST = 40, 10
SIZE = 32


@dataclass(frozen=True)
class Made:
    """What is true of a competition: ``solution`` (header, rows) is the hidden test set's truth."""

    task: str
    metric: str
    data: dict[str, Any]
    solution: tuple[Sequence[str], Sequence[Sequence[object]]]
    group: str | None = None


Maker = Callable[[Path], Made]
FORMATS: dict[str, Maker] = {}


def make(name: str, folder: Path) -> Made:
    """Lay the competition out in ``folder``."""
    folder.mkdir(parents=True)
    return FORMATS[name](folder)


def competition(maker: Maker) -> Maker:
    """Register a maker under its name, with dashes."""
    FORMATS[maker.__name__.replace("_", "-")] = maker
    return maker


def picture(path: Path, place: float, seed: int, mode: str = "RGB") -> None:
    """Noise with a bright bar at ``place``, between 0 and 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 90, (SIZE, SIZE, 3))
    left = round(place * (SIZE - 8))
    pixels[:, left : left + 8] += 140
    Image.fromarray(pixels.astype(np.uint8)).convert(mode).save(path)


def place(label: int, classes: int) -> float:
    """Where the bar of a class is."""
    return label / max(1, classes - 1)


def labels(rows: int, classes: int) -> list[int]:
    """Each class about as often, in no order that a fold could follow."""
    return [(row * 7 + row // classes) % classes for row in range(rows)]


@competition
def aerial_cactus_identification(folder: Path) -> Made:
    cactus = labels(TRAIN + TEST, 2)
    ids = [f"{i * 7919:032x}.jpg" for i in range(TRAIN + TEST)]
    for i, (id_, label) in enumerate(zip(ids, cactus, strict=True)):
        picture(folder / ("train" if i < TRAIN else "test") / id_, label, i)
    rows = list(zip(ids, cactus, strict=True))
    write_table(folder / "train.csv", ["id", "has_cactus"], rows[:TRAIN])
    write_table(
        folder / "sample_submission.csv", ["id", "has_cactus"], [[i, 0.5] for i in ids[TRAIN:]]
    )
    return Made(
        "binary",
        "roc_auc",
        {
            "train": "train.csv",
            "images": "train/{id}",
            "test_images": "test/{id}",
            "label": "has_cactus",
        },
        (["id", "has_cactus"], rows[TRAIN:]),
    )


@competition
def dogs_vs_cats_redux(folder: Path) -> Made:
    for label, animal in enumerate(("cat", "dog")):
        for i in range(TRAIN // 2):
            picture(folder / f"train/{animal}.{i}.jpg", label, i + 100 * label)
    truth = labels(TEST, 2)
    for i, label in enumerate(truth):
        picture(folder / f"test/{i + 1}.jpg", label, 500 + i)
    ids = range(1, TEST + 1)
    write_table(folder / "sample_submission.csv", ["id", "label"], [[i, 0.5] for i in ids])
    solution = [[i, ("cat", "dog")[label]] for i, label in zip(ids, truth, strict=True)]
    return Made(
        "binary",
        "log_loss",
        {
            "images": "train/{label}.{id}.jpg",
            "test_images": "test/{id}.jpg",
            "classes": ["cat", "dog"],
        },
        (["id", "label"], solution),
    )


@competition
def plant_pathology_2020_fgvc7(folder: Path) -> Made:
    names = ["healthy", "multiple_diseases", "rust", "scab"]
    hot = np.eye(4, dtype=int)[labels(TRAIN + TEST, 4)]
    ids = [f"Train_{i}" for i in range(TRAIN)] + [f"Test_{i}" for i in range(TEST)]
    for i, (id_, row) in enumerate(zip(ids, hot, strict=True)):
        picture(folder / f"images/{id_}.jpg", place(int(row.argmax()), 4), i)
    header = ["image_id", *names]
    rows = [[id_, *row] for id_, row in zip(ids, hot.tolist(), strict=True)]
    write_table(folder / "train.csv", header, rows[:TRAIN])
    write_table(folder / "test.csv", ["image_id"], [[id_] for id_ in ids[TRAIN:]])
    sample = [[id_, *[0.25] * 4] for id_ in ids[TRAIN:]]
    write_table(folder / "sample_submission.csv", header, sample)
    return Made(
        "multiclass",
        "roc_auc",
        {"train": "train.csv", "images": "images/{id}.jpg", "id": "image_id", "labels": names},
        (
            ["image_id", "label"],
            [[r[0], names[r[1:].index(1)]] for r in rows[TRAIN:]],
        ),
    )


@competition
def leaf_classification(folder: Path) -> Made:
    species = ["Acer_Capillipes", "Acer_Circinatum", "Alnus_Rubra", "Quercus_Suber"]
    kinds = labels(TRAIN + TEST, 4)
    random = np.random.default_rng(0)
    extra = [f"{kind}{n}" for kind in ("margin", "shape", "texture") for n in (1, 2, 3)]
    numbers = random.random((TRAIN + TEST, len(extra))).round(6).tolist()
    ids = [i * 3 + 1 for i in range(TRAIN + TEST)]
    for i, (id_, kind) in enumerate(zip(ids, kinds, strict=True)):
        picture(folder / f"images/{id_}.jpg", place(kind, 4), i, mode="L")
    rows = [
        [id_, species[kind], *more] for id_, kind, more in zip(ids, kinds, numbers, strict=True)
    ]
    write_table(folder / "train.csv", ["id", "species", *extra], rows[:TRAIN])
    write_table(folder / "test.csv", ["id", *extra], [[r[0], *r[2:]] for r in rows[TRAIN:]])
    sample = [[id_, *[0.25] * 4] for id_ in ids[TRAIN:]]
    write_table(folder / "sample_submission.csv", ["id", *species], sample)
    return Made(
        "multiclass",
        "log_loss",
        {
            "train": "train.csv",
            "test": "test.csv",
            "images": "images/{id}.jpg",
            "label": "species",
        },
        (["id", "species"], [r[:2] for r in rows[TRAIN:]]),
    )


@competition
def histopathologic_cancer_detection(folder: Path) -> Made:
    cancer = labels(TRAIN + TEST, 2)
    ids = [f"{i * 104_729:040x}" for i in range(TRAIN + TEST)]
    for i, (id_, label) in enumerate(zip(ids, cancer, strict=True)):
        picture(folder / ("train" if i < TRAIN else "test") / f"{id_}.tif", label, i)
    rows = list(zip(ids, cancer, strict=True))
    write_table(folder / "train_labels.csv", ["id", "label"], rows[:TRAIN])
    write_table(folder / "sample_submission.csv", ["id", "label"], [[i, 0] for i in ids[TRAIN:]])
    return Made(
        "binary",
        "roc_auc",
        {
            "train": "train_labels.csv",
            "images": "train/{id}.tif",
            "test_images": "test/{id}.tif",
            "label": "label",
        },
        (["id", "label"], rows[TRAIN:]),
    )


@competition
def aptos2019_blindness_detection(folder: Path) -> Made:
    grades = labels(TRAIN + TEST, 5)
    ids = [f"{i * 15_485_863:012x}" for i in range(TRAIN + TEST)]
    for i, (id_, grade) in enumerate(zip(ids, grades, strict=True)):
        where = "train_images" if i < TRAIN else "test_images"
        picture(folder / where / f"{id_}.png", place(grade, 5), i)
    rows = list(zip(ids, grades, strict=True))
    header = ["id_code", "diagnosis"]
    write_table(folder / "train.csv", header, rows[:TRAIN])
    write_table(folder / "test.csv", header[:1], [[id_] for id_ in ids[TRAIN:]])
    write_table(folder / "sample_submission.csv", header, [[id_, 0] for id_ in ids[TRAIN:]])
    return Made(
        "ordinal",
        "quadratic_weighted_kappa",
        {
            "train": "train.csv",
            "images": "train_images/{id}.png",
            "test_images": "test_images/{id}.png",
            "id": "id_code",
            "label": "diagnosis",
        },
        (header, rows[TRAIN:]),
    )


@competition
def cassava_leaf_disease_classification(folder: Path) -> Made:
    diseases = labels(TRAIN + TEST, 5)
    ids = [f"{1_000_015_157 + i * 999_983}.jpg" for i in range(TRAIN + TEST)]
    for i, (id_, disease) in enumerate(zip(ids, diseases, strict=True)):
        where = "train_images" if i < TRAIN else "test_images"
        picture(folder / where / id_, place(disease, 5), i)
    rows = list(zip(ids, diseases, strict=True))
    header = ["image_id", "label"]
    write_table(folder / "train.csv", header, rows[:TRAIN])
    write_table(folder / "sample_submission.csv", header, [[id_, 4] for id_ in ids[TRAIN:]])
    (folder / "label_num_to_disease_map.json").write_text('{"0": "CBB"}', encoding="utf-8")
    return Made(
        "multiclass",
        "accuracy",
        {
            "train": "train.csv",
            "images": "train_images/{id}",
            "test_images": "test_images/{id}",
            "id": "image_id",
            "label": "label",
        },
        (header, rows[TRAIN:]),
    )


@competition
def siim_isic_melanoma_classification(folder: Path) -> Made:
    target = labels(TRAIN + TEST, 2)
    ids = [f"ISIC_{i * 7919:07d}" for i in range(TRAIN + TEST)]
    sites = ["torso", "lower extremity", "head/neck", ""]
    patients = [f"IP_{i * 31 % 17:07d}" for i in range(TRAIN + TEST)]
    rows: list[list[object]] = []
    for i, (id_, label) in enumerate(zip(ids, target, strict=True)):
        where = "train" if i < TRAIN else "test"
        picture(folder / f"jpeg/{where}/{id_}.jpg", label, i)
        dicom = folder / where / f"{id_}.dcm"
        dicom.parent.mkdir(exist_ok=True)
        dicom.write_bytes(b"DICM")
        seen = [patients[i], ("male", "female")[i % 2], 20 + i % 12 * 5, sites[i % 4]]
        kind = ("benign", "malignant")[label]
        rows.append([id_, *seen, "unknown", kind, label])
    given = ["image_name", "patient_id", "sex", "age_approx", "anatom_site_general_challenge"]
    header = [*given, "diagnosis", "benign_malignant", "target"]
    write_table(folder / "train.csv", header, rows[:TRAIN])
    write_table(folder / "test.csv", given, [row[:5] for row in rows[TRAIN:]])
    answer = ["image_name", "target"]
    write_table(folder / "sample_submission.csv", answer, [[id_, 0] for id_ in ids[TRAIN:]])
    return Made(
        "binary",
        "roc_auc",
        {
            "train": "train.csv",
            "test": "test.csv",
            "images": "jpeg/train/{id}.jpg",
            "test_images": "jpeg/test/{id}.jpg",
            "id": "image_name",
            "label": "target",
        },
        (answer, [[row[0], row[-1]] for row in rows[TRAIN:]]),
        group="patient_id",
    )


@competition
def dog_breed_identification(folder: Path) -> Made:
    breeds = ["affenpinscher", "afghan_hound", "basenji", "shih-tzu", "wire-haired_fox_terrier"]
    kinds = labels(TRAIN + TEST, 5)
    ids = [f"{i * 32_452_843:032x}" for i in range(TRAIN + TEST)]
    for i, (id_, kind) in enumerate(zip(ids, kinds, strict=True)):
        picture(folder / ("train" if i < TRAIN else "test") / f"{id_}.jpg", place(kind, 5), i)
    rows = [[id_, breeds[kind]] for id_, kind in zip(ids, kinds, strict=True)]
    write_table(folder / "labels.csv", ["id", "breed"], rows[:TRAIN])
    sample = [[id_, *[0.2] * 5] for id_ in ids[TRAIN:]]
    write_table(folder / "sample_submission.csv", ["id", *breeds], sample)
    return Made(
        "multiclass",
        "log_loss",
        {
            "train": "labels.csv",
            "images": "train/{id}.jpg",
            "test_images": "test/{id}.jpg",
            "label": "breed",
        },
        (["id", "breed"], rows[TRAIN:]),
    )


@competition
def ranzcr_clip(folder: Path) -> Made:
    names = ["ETT - Abnormal", "ETT - Normal", "CVC - Borderline", "Swan Ganz Catheter Present"]
    random = np.random.default_rng(3)
    marks = random.integers(0, 2, (TRAIN + TEST, len(names)))
    ids = [f"1.2.826.0.1.3680043.8.498.{i * 7_368_787}" for i in range(TRAIN + TEST)]
    for i, (id_, row) in enumerate(zip(ids, marks, strict=True)):
        where = "train" if i < TRAIN else "test"
        picture(folder / where / f"{id_}.jpg", float(row.mean()), i, mode="L")
    header = ["StudyInstanceUID", *names]
    rows = [[id_, *row] for id_, row in zip(ids, marks.tolist(), strict=True)]
    patients = [f"{i * 31 % 13:09x}" for i in range(TRAIN)]
    table = [[*row, patient] for row, patient in zip(rows[:TRAIN], patients, strict=True)]
    write_table(folder / "train.csv", [*header, "PatientID"], table)
    notes = [[id_, name, "[[1, 2]]"] for id_ in ids[:9] for name in names[:2]]
    write_table(folder / "train_annotations.csv", ["StudyInstanceUID", "label", "data"], notes)
    sample = [[id_, *[0] * len(names)] for id_ in ids[TRAIN:]]
    write_table(folder / "sample_submission.csv", header, sample)
    return Made(
        "multilabel",
        "roc_auc",
        {
            "train": "train.csv",
            "images": "train/{id}.jpg",
            "test_images": "test/{id}.jpg",
            "id": "StudyInstanceUID",
            "labels": names,
        },
        (header, rows[TRAIN:]),
        group="PatientID",
    )


@competition
def plant_seedlings_classification(folder: Path) -> Made:
    species = ["Black-grass", "Common Chickweed", "Common wheat", "Maize"]
    kinds = labels(TRAIN + TEST, 4)
    files = [f"{i * 49_979_687:09x}.png" for i in range(TRAIN + TEST)]
    for i, (file, kind) in enumerate(zip(files, kinds, strict=True)):
        where = f"train/{species[kind]}" if i < TRAIN else "test"
        picture(folder / where / file, place(kind, 4), i, mode="RGBA" if i % 5 == 0 else "RGB")
    answer = [[file, species[kind]] for file, kind in zip(files, kinds, strict=True)][TRAIN:]
    sample = [[file, "Maize"] for file in files[TRAIN:]]
    write_table(folder / "sample_submission.csv", ["file", "species"], sample)
    return Made(
        "multiclass",
        "f1_micro",
        {"images": "train/{label}/{id}.png", "test_images": "test/{id}", "id": "file"},
        (["file", "species"], answer),
    )


@competition
def petfinder_pawpularity_score(folder: Path) -> Made:
    random = np.random.default_rng(5)
    scores = random.integers(1, 101, TRAIN + TEST).tolist()
    ids = [f"{i * 86_028_121:032x}" for i in range(TRAIN + TEST)]
    marks = ["Subject Focus", "Eyes", "Face", "Near", "Group", "Blur"]
    seen = random.integers(0, 2, (TRAIN + TEST, len(marks))).tolist()
    for i, (id_, score) in enumerate(zip(ids, scores, strict=True)):
        picture(folder / ("train" if i < TRAIN else "test") / f"{id_}.jpg", score / 100, i)
    rows = [[id_, *more, score] for id_, more, score in zip(ids, seen, scores, strict=True)]
    write_table(folder / "train.csv", ["Id", *marks, "Pawpularity"], rows[:TRAIN])
    write_table(folder / "test.csv", ["Id", *marks], [row[:-1] for row in rows[TRAIN:]])
    sample = random.uniform(1, 100, TEST).round(2).tolist()
    header = ["Id", "Pawpularity"]
    guesses = list(zip(ids[TRAIN:], sample, strict=True))
    write_table(folder / "sample_submission.csv", header, guesses)
    return Made(
        "regression",
        "rmse",
        {
            "train": "train.csv",
            "test": "test.csv",
            "images": "train/{id}.jpg",
            "test_images": "test/{id}.jpg",
            "id": "Id",
            "label": "Pawpularity",
        },
        (header, [[row[0], row[-1]] for row in rows[TRAIN:]]),
    )


@competition
def plant_pathology_2021_fgvc8(folder: Path) -> Made:
    kinds = ["healthy", "scab", "rust", "complex", "scab frog_eye_leaf_spot", "rust complex"]
    which = labels(TRAIN + TEST, len(kinds))
    ids = [f"{i * 15_485_863:016x}.jpg" for i in range(TRAIN + TEST)]
    for i, (id_, kind) in enumerate(zip(ids, which, strict=True)):
        where = "train_images" if i < TRAIN else "test_images"
        picture(folder / where / id_, place(kind, len(kinds)), i)
    rows = [[id_, kinds[kind]] for id_, kind in zip(ids, which, strict=True)]
    header = ["image", "labels"]
    write_table(folder / "train.csv", header, rows[:TRAIN])
    sample = [[id_, "healthy"] for id_ in ids[TRAIN:]]
    write_table(folder / "sample_submission.csv", header, sample)
    return Made(
        "multilabel",
        "f1_micro",
        {
            "train": "train.csv",
            "images": "train_images/{id}",
            "test_images": "test_images/{id}",
            "id": "image",
            "label": "labels",
        },
        (header, rows[TRAIN:]),
    )


@competition
def til_2019_poses(folder: Path) -> Made:
    poses = [f"{name}Pose" for name in ["Chair", "Child", "Dabbing", "Hand", "Spider", "Warrior"]]
    poses += ["KoreanHeart", "KungfuCrane", "KungfuSalute", "Salute", "HandShake"]
    for number, pose in enumerate(poses):
        for i in range(4):
            where = "train" if i < 3 else "val"
            picture(folder / where / pose / f"{i}.png", place(number, len(poses)), 9 * number + i)
    truth = labels(TEST, len(poses))
    for i, number in enumerate(truth):
        picture(folder / f"test/{i}.png", place(number, len(poses)), 900 + i)
    return Made(
        "multiclass",
        "accuracy",
        {
            "images": ["train/{label}/{id}.png", "val/{label}/{id}.png"],
            "test_images": "test/{id}.png",
        },
        (["id", "label"], [[i, poses[number]] for i, number in enumerate(truth)]),
    )
