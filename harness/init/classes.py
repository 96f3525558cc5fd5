"""Labels that stand in the images' paths: a folder a class, or file names. Pure."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

MOST_CLASSES = 1000
_NO_CLASS = re.compile(r"image|img|jpe?g|png|data|\d+x\d+|.*(part|fold|split|batch)[ _-]?\d+", re.I)
_NO_CLASS_WORDS = frozenset(
    ("train", "training", "test", "testing", "val", "valid", "validation", "images", "imgs")
)
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@dataclass(frozen=True)
class LabelsInPaths:
    """``patterns`` with ``{label}`` find ``counts`` images of each class."""

    patterns: tuple[str, ...]
    counts: Counter[str]
    why: str


def labels_in_paths(images: Sequence[str]) -> LabelsInPaths | None:
    """What the folders say, else what the file names say; None if they say nothing."""
    return class_folders(images) or labels_in_names(images)


def class_folders(images: Sequence[str]) -> LabelsInPaths | None:
    """The folders if the images lie in a folder a class, else None.

    Folders of folders with the same classes, such as train/ and val/, give a pattern each; what is
    called a test is left out.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    endings: dict[str, set[str]] = defaultdict(set)
    for path in images:
        folder, name = posixpath.split(path)
        above, label = posixpath.split(folder)
        if _may_be_class(label) and "test" not in posixpath.basename(above).lower():
            counts[above][label] += 1
            endings[above].add(posixpath.splitext(name)[1])
    if not counts:
        return None
    main = max(counts, key=lambda above: (len(counts[above]), counts[above].total()))
    if len(counts[main]) < 2:
        return None
    alike = [
        main,
        *sorted(a for a in counts if a != main and counts[a].keys() <= counts[main].keys()),
    ]
    patterns = tuple(
        posixpath.join(above, "{label}", "{id}") + ending
        for above in alike
        for ending in sorted(endings[above])
    )
    total = sum((counts[above] for above in alike), Counter())
    return LabelsInPaths(patterns, total, "the images lie in a folder a class")


def labels_in_names(images: Sequence[str]) -> LabelsInPaths | None:
    """The file names if those of a folder begin with a class, else None.

    >>> labels_in_names(["x/cat.0.jpg", "x/cat.1.jpg", "x/dog.0.jpg", "x/dog.1.jpg"]).patterns
    ('x/{label}.{id}.jpg',)
    """
    folders: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for path in images:
        folder, name = posixpath.split(path)
        folders[folder].append(posixpath.splitext(name))
    for folder in sorted(folders, key=lambda name: ("test" in name.lower(), name)):
        for separator in "._-":
            split = [stem.partition(separator) for stem, _ in folders[folder]]
            counts = Counter(label for label, _, _ in split)
            if (
                all(label and rest for label, _, rest in split)
                and 2 <= len(counts) <= MOST_CLASSES
                and min(counts.values()) >= 2
                and all(re.search("[^0-9]", label) and _may_be_class(label) for label in counts)
            ):
                endings = sorted({ending for _, ending in folders[folder]})
                start = posixpath.join(folder, f"{{label}}{separator}{{id}}")
                patterns = tuple(start + ending for ending in endings)
                return LabelsInPaths(patterns, counts, "file names begin with a class")
    return None


def _may_be_class(name: str) -> bool:
    """Whether a folder may be called so for what its pictures show, and not for their use."""
    words = {word.lower() for word in _WORD.findall(name)}
    return bool(name) and not _NO_CLASS.fullmatch(name) and not words & _NO_CLASS_WORDS
