"""Problems planted in a workspace's data, and how many of them were found."""

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance

from harness.audit.labels import suspects
from harness.audit.learn import Probed
from harness.audit.pictures import Pictures
from harness.data.findings import merge_groups
from harness.workspace import Workspace


def plant(root: Path, random: np.random.Generator) -> dict[str, Any]:
    """Change the workspace's tables and files; what was done."""
    data, images = root / "data", root / "data/images"
    train = pd.read_csv(data / "train.csv", dtype=str)[["id", "label"]]
    test = pd.read_csv(data / "test.csv", dtype=str)[["id"]]
    rows = len(train)
    order = iter(random.permutation(train["id"].to_numpy()).tolist())
    truth: dict[str, Any] = {"wrong": {}, "copies": {}, "leaks": {}, "damaged": []}
    label = dict(zip(train["id"], train["label"], strict=True))
    classes = sorted(set(label.values()))
    for _ in range(round(0.05 * rows)):
        id_ = next(order)
        truth["wrong"][id_] = label[id_]
        label[id_] = str(random.choice([c for c in classes if c != label[id_]]))
    more = []
    kinds = ["exact"] * round(0.02 * rows) + list(ALTERATIONS) * (round(0.02 * rows) // 4)
    for number, kind in enumerate(kinds):
        id_, name = next(order), f"planted{number:04d}"
        copy_as(images, id_, name, kind, random)
        truth["copies"][name] = (id_, kind)
        more.append((name, label[id_]))
    leaked = []
    for number in range(10):
        id_, name = next(order), f"leaked{number:04d}"
        kind = "exact" if number < 5 else list(ALTERATIONS)[number % 4]
        copy_as(images, id_, name, kind, random)
        truth["leaks"][id_] = (name, kind)
        leaked.append(name)
    for _ in range(3):
        id_ = next(order)
        path = images / f"{id_}.png"
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])
        truth["damaged"].append(id_)
    train["label"] = [label[id_] for id_ in train["id"]]
    train = pd.concat([train, pd.DataFrame(more, columns=["id", "label"])])
    test = pd.concat([test, pd.DataFrame({"id": leaked})])
    sample = pd.read_csv(data / "sample_submission.csv", dtype=str)
    extra = pd.concat([sample.iloc[[0]]] * len(leaked)).assign(id=leaked)
    pd.concat([sample, extra]).to_csv(data / "sample_submission.csv", index=False)
    train.to_csv(data / "train.csv", index=False)
    test.to_csv(data / "test.csv", index=False)
    return truth


def copy_as(images: Path, id_: str, name: str, kind: str, random: np.random.Generator) -> None:
    """A copy of an image under another name."""
    if kind == "exact":
        shutil.copyfile(images / f"{id_}.png", images / f"{name}.png")
        return
    with Image.open(images / f"{id_}.png") as image:
        ALTERATIONS[kind](image.convert("RGB"), random).save(images / f"{name}.png")


def _resize(image: Image.Image, random: np.random.Generator) -> Image.Image:
    share = random.uniform(0.5, 0.9)
    return image.resize((round(image.width * share), round(image.height * share)))


def _jpeg(image: Image.Image, random: np.random.Generator) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, format="JPEG", quality=int(random.integers(30, 80)))
    return Image.open(stream)


def _crop(image: Image.Image, random: np.random.Generator) -> Image.Image:
    width, height = round(0.95 * image.width), round(0.95 * image.height)
    x, y = (
        random.integers(0, image.width - width + 1),
        random.integers(0, image.height - height + 1),
    )
    return image.crop((int(x), int(y), int(x) + width, int(y) + height))


def _brightness(image: Image.Image, random: np.random.Generator) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(random.choice([0.7, 0.8, 1.2, 1.3]))


ALTERATIONS = {"resize": _resize, "jpeg": _jpeg, "crop": _crop, "brightness": _brightness}


def found_of(
    truth: dict[str, Any],
    before: list[list[Any]],
    pictures: Pictures,
    found: list[Any],
    copies: Any,
) -> dict[str, Any]:
    """Recall and precision by kind; what the untouched data had found in them counts for none.

    ``before`` are the untouched data's findings, and those that a milder threshold would give: a
    planted copy that is paired with its original's own twin is no mistake.
    """
    there = {frozenset((f.id, f.partner)) for f in before[0] if f.partner is not None}
    planted_pairs = [(name, id_) for name, (id_, _) in truth["copies"].items()]
    planted_pairs += [(id_, name) for id_, (name, _) in truth["leaks"].items()]
    families = [
        family_of([*planted_pairs, *((f.id, f.partner) for f in some if f.partner is not None)])
        for some in (before[1], before[0])
    ]
    pairs = {
        frozenset((f.id, f.partner))
        for f in found
        if f.kind in ("exact_duplicate", "near_duplicate")
    }
    wanted = {frozenset((name, id_)) for name, (id_, _) in truth["copies"].items()}
    leaks = {frozenset((f.id, f.partner)) for f in found if f.kind == "leak_train_test"}
    wanted_leaks = {frozenset((id_, name)) for id_, (name, _) in truth["leaks"].items()}
    by_kind = {
        kind: [frozenset((n, i)) in pairs for n, (i, k) in truth["copies"].items() if k == kind]
        for kind in ("exact", *ALTERATIONS)
    }
    damaged = {f.id for f in found if f.kind == "unreadable"}
    probed = Probed(Workspace(Path(), None), pictures, copies)  # type: ignore[arg-type]
    ids = pictures.table.ids[probed.rows]
    doubted = suspects(probed.question.target, probed.predicted)[: len(truth["wrong"])]
    right = [str(ids[s.row]) in truth["wrong"] for s in doubted]
    likely = [
        pictures.table.targets[s.likely] == truth["wrong"][str(ids[s.row])]
        for s, hit in zip(doubted, right, strict=True)
        if hit
    ]
    return {
        "rows": len(pictures.table.ids),
        "copies": rates(wanted, pairs - there, families)
        | {k: sum(v) / len(v) for k, v in by_kind.items()},
        "leaks": rates(wanted_leaks, leaks - there, families),
        "pairs there before planting": len(there),
        "damaged": {"recall": len(damaged & set(truth["damaged"])) / 3, "found": len(damaged)},
        "wrong labels": {
            "planted": len(truth["wrong"]),
            "right among as many suspects": sum(right) / len(truth["wrong"]),
            "likely label right": float(np.mean(likely)) if likely else None,
        },
        "probe accuracy": float((probed.predicted.argmax(1) == probed.question.target).mean()),
    }


def family_of(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The same name for all whom pairs connect."""
    everyone = np.array(sorted({id_ for pair in pairs for id_ in pair}), object)
    return dict(zip(everyone, merge_groups(everyone, None, pairs), strict=True))


def rates(wanted: set[Any], found: set[Any], families: list[dict[str, str]]) -> dict[str, float]:
    """How much of what was wanted was found, and how much of what was found is of one family."""
    right, strictly = (
        sum(len({family.get(id_, id_) for id_ in pair}) == 1 for pair in found) / len(found)
        for family in families
    )
    return {
        "planted": len(wanted),
        "found": len(found),
        "recall": len(wanted & found) / len(wanted),
        "precision": right,
        "precision, twins of an original counted as mistakes": strictly,
    }
