"""Labels that stand in the images' paths: a folder a class, or file names. Pure."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Sequence

MOST_CLASSES = 1000
_NO_CLASS = re.compile(r"^(train|test|val|valid|validation|images?|jpe?g|png|data|\d+x\d+)$", re.I)


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
