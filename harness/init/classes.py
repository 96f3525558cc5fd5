"""Labels that stand in the images' paths: a folder a class, or file names. Pure."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.init.records import listed

MOST_CLASSES = 1000
STRAYS = 0.01
"""The share of a folder's files, and always one, that need not begin with a class."""
_NO_CLASS = re.compile(r"\d+x\d+|.*(part|fold|split|batch)[ _-]?\d+", re.I)
_USES = frozenset(
    (
        *("train", "training", "test", "testing", "val", "valid", "validation", "stage", "set"),
        *("image", "images", "img", "imgs", "jpg", "jpeg", "png", "data", "dataset", "all", "raw"),
    )
)
_HELD_BACK = re.compile("(?<![a-z])(val|valid|validation|dev)(?![a-z])", re.I)
_WORD = re.compile("[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


@dataclass(frozen=True)
class LabelsInPaths:
    """``patterns`` with ``{label}`` find ``counts`` images of each class.

    ``questions`` say what was left out.
    """

    patterns: tuple[str, ...]
    counts: Counter[str]
    why: str
    questions: tuple[str, ...] = ()


def labels_in_paths(images: Sequence[str]) -> LabelsInPaths | None:
    """What the folders say, else what the file names say; None if they say nothing."""
    return class_folders(images) or labels_in_names(images)


def class_folders(images: Sequence[str]) -> LabelsInPaths | None:
    """The folders if the images lie in a folder a class, else None.

    Folders of folders with the same classes, such as train/ and val/, give a pattern each; what is
    called a test is left out, and so is what only repeats the files of another.
    """
    files: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    no_classes: dict[str, set[str]] = defaultdict(set)
    for path in images:
        folder, name = posixpath.split(path)
        above, label = posixpath.split(folder)
        if "test" in posixpath.basename(above).lower():
            continue
        if _may_be_class(label):
            files[above][label].add(name)
        else:
            no_classes[above].add(label)
    counts = {above: _counts(found) for above, found in files.items()}
    likeliest = sorted(
        counts,
        key=lambda above: (
            -len(counts[above]),
            -counts[above].total(),
            "train" not in above.lower(),
            len(above),
            above,
        ),
    )
    if not likeliest or len(files[likeliest[0]]) < 2:
        return None
    kept: list[str] = []
    copies: list[str] = []
    for above in likeliest:
        if files[above].keys() <= files[likeliest[0]].keys():
            if copied := next((one for one in kept if _repeats(above, one, files)), None):
                copies.append(f"{above or '.'} (of {copied or '.'})")
            else:
                kept.append(above)
    patterns = tuple(
        posixpath.join(above, "{label}", "{id}") + ending
        for above in kept
        for ending in sorted(_endings(files[above]))
    )
    why = "the images lie in a folder a class"
    if len(kept) > 1:
        why += f" ({listed([above or '.' for above in kept], ' and ')} hold the same classes)"
    questions = [
        f"is {posixpath.join(above, label)} a class? images finds its pictures as one: "
        "else move it away"
        for above in kept
        for label in sorted(no_classes[above])
        if label
    ]
    if copies:
        questions.append(
            f"left out, for their file names repeat another folder's: {listed(copies)}; "
            "are they other pictures? then add their patterns to images"
        )
    total = sum((counts[above] for above in kept), Counter())
    return LabelsInPaths(patterns, total, why, tuple(questions))


def labels_in_names(images: Sequence[str]) -> LabelsInPaths | None:
    """The file names if those of a folder begin with a class, else None.

    >>> labels_in_names(["x/cat.0.jpg", "x/cat.1.jpg", "x/dog.0.jpg", "x/dog.1.jpg"]).patterns
    ('x/{label}.{id}.jpg',)
    """
    folders: dict[str, list[str]] = defaultdict(list)
    for path in images:
        folder, name = posixpath.split(path)
        folders[folder].append(name)
    for folder in sorted(folders, key=lambda name: ("test" in name.lower(), name)):
        for separator in "._-":
            if found := _names_begin_with(separator, folder, folders[folder]):
                return found
    return None


def _names_begin_with(separator: str, folder: str, names: Sequence[str]) -> LabelsInPaths | None:
    """The classes that nearly all names begin with, each of them two or more."""
    labels = [_before(separator, name) for name in names]
    counts = Counter(label for label in labels if label)
    counts = Counter({label: rows for label, rows in counts.items() if rows >= 2})
    strays = [name for name, label in zip(names, labels, strict=True) if label not in counts]
    if not 2 <= len(counts) <= MOST_CLASSES or len(strays) > max(1, STRAYS * len(names)):
        return None
    questions = [
        f"{len(strays)} file(s) such as {posixpath.join(folder, stray)} begin with no class: "
        "are they training pictures? else move them away"
        for stray in strays[:1]
    ]
    known = (n for n, label in zip(names, labels, strict=True) if label in counts)
    endings = sorted({posixpath.splitext(name)[1] for name in known})
    start = posixpath.join(folder, f"{{label}}{separator}{{id}}")
    patterns = tuple(start + ending for ending in endings)
    return LabelsInPaths(patterns, counts, "file names begin with a class", tuple(questions))


def _before(separator: str, name: str) -> str:
    """What may be a class before the separator, else nothing."""
    label, _, rest = posixpath.splitext(name)[0].partition(separator)
    return label if rest and re.search("[^0-9]", label) and _may_be_class(label) else ""


def _repeats(folder: str, other: str, files: Mapping[str, Mapping[str, set[str]]]) -> bool:
    """Whether ``folder`` has no file that ``other`` lacks, and is no split of the same rows."""
    same = all(names <= files[other].get(label, set()) for label, names in files[folder].items())
    return same and bool(_HELD_BACK.search(folder)) == bool(_HELD_BACK.search(other))


def _counts(files: Mapping[str, set[str]]) -> Counter[str]:
    return Counter({label: len(names) for label, names in files.items()})


def _endings(files: Mapping[str, set[str]]) -> set[str]:
    return {posixpath.splitext(name)[1] for names in files.values() for name in names}


def _may_be_class(name: str) -> bool:
    """Whether a folder may be called so for what its pictures show, and not for their use."""
    words = {word.lower() for word in _WORD.findall(name)}
    of_use_only = bool(words) and words <= _USES
    return bool(name) and not _NO_CLASS.fullmatch(name) and not of_use_only
