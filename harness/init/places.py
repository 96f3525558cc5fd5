"""Which patterns find the images: by ids, by a folder a class, or by file names. Pure."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

IDS_TRIED = 200
"""So many ids, spread over the table, propose patterns; all ids judge them."""
MOST_CLASSES = 1000
_NO_CLASS = re.compile(r"^(train|test|val|valid|validation|images?|jpe?g|png|data|\d+x\d+)$", re.I)


@dataclass(frozen=True)
class Places:
    """``patterns`` find the images of ``found`` of the ids; ``others`` do so nearly as well."""

    patterns: tuple[str, ...]
    found: int
    others: tuple[str, ...] = ()


class Index:
    """The images by their names, made once for all columns that may be ids."""

    def __init__(self, images: Sequence[str]) -> None:
        self.paths = frozenset(images)
        self.by_name: dict[str, list[str]] = defaultdict(list)
        for path in images:
            name = posixpath.basename(path)
            self.by_name[name].append(path)
            self.by_name[posixpath.splitext(name)[0]].append(path)


def places_of(ids: Sequence[str], images: Index, prefer: str = "", avoid: str = "\0") -> Places:
    """The fewest patterns with ``{id}`` that find the images of the ids.

    Of folders that do so alike, one whose path holds ``prefer`` comes first; one that holds
    ``avoid`` is used only if there is no other.
    """
    votes: Counter[tuple[str, str]] = Counter()
    for id_ in ids[:: max(1, len(ids) // IDS_TRIED)]:
        for path in images.by_name.get(posixpath.basename(id_), ()):
            ending = posixpath.splitext(path)[1]
            for tail in {id_, id_ + ending}:
                if path == tail or path.endswith(f"/{tail}"):
                    votes[path[: len(path) - len(tail)], tail[len(id_) :]] += 1
    ranked = sorted(
        votes, key=lambda place: (-votes[place], prefer not in place[0], len(place[0]), place)
    )
    ranked = [place for place in ranked if avoid not in place[0]] or ranked
    waiting, chosen = list(dict.fromkeys(ids)), []
    others: list[str] = []
    for folder, ending in ranked:
        left = [id_ for id_ in waiting if f"{folder}{id_}{ending}" not in images.paths]
        if len(left) < len(waiting):
            chosen.append(f"{folder}{{id}}{ending}")
            waiting = left
        elif sum(f"{folder}{id_}{ending}" in images.paths for id_ in ids) > 0.9 * len(ids):
            others.append(f"{folder}{{id}}{ending}")
    return Places(tuple(chosen), len(set(ids)) - len(waiting), tuple(others))


def class_folders(images: Sequence[str]) -> tuple[tuple[str, ...], list[str]] | None:
    """(the patterns, the classes) if the images lie in a folder a class, else None.

    Folders of folders with the same classes, such as train/ and val/, give a pattern each; what is
    called a test is left out.
    """
    classes: dict[str, set[str]] = defaultdict(set)
    endings: dict[str, Counter[str]] = defaultdict(Counter)
    for path in images:
        folder, name = posixpath.split(path)
        above, label = posixpath.split(folder)
        if label and not _NO_CLASS.match(label) and "test" not in posixpath.basename(above).lower():
            classes[above].add(label)
            endings[above][posixpath.splitext(name)[1]] += 1
    if not classes:
        return None
    main = max(classes, key=lambda above: (len(classes[above]), endings[above].total()))
    if len(classes[main]) < 2:
        return None
    alike = [main, *sorted(a for a in classes if a != main and classes[a] <= classes[main])]
    patterns = tuple(
        posixpath.join(above, "{label}", "{id}") + ending
        for above in alike
        for ending in sorted(endings[above])
    )
    return patterns, sorted(classes[main])


def labels_in_names(images: Sequence[str]) -> tuple[tuple[str, ...], list[str]] | None:
    """(the patterns, the classes) if a folder's file names begin with a class, else None.

    >>> labels_in_names(["x/cat.0.jpg", "x/cat.1.jpg", "x/dog.0.jpg", "x/dog.1.jpg"])
    (('x/{label}.{id}.jpg',), ['cat', 'dog'])
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
                and all(re.search("[^0-9]", label) for label in counts)
            ):
                endings = sorted({ending for _, ending in folders[folder]})
                start = posixpath.join(folder, f"{{label}}{separator}{{id}}")
                return tuple(start + ending for ending in endings), sorted(counts)
    return None


def places_called_test(images: Sequence[str]) -> tuple[str, ...]:
    """Patterns of the images that lie directly in a folder called a test."""
    found = {
        (folder, posixpath.splitext(path)[1])
        for path in images
        if "test" in posixpath.basename(folder := posixpath.dirname(path)).lower()
    }
    return tuple(f"{folder}/{{id}}{ending}" for folder, ending in sorted(found))
