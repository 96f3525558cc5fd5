"""Which patterns find the images of ids, and those of a test folder. Pure."""

import posixpath
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from harness.text import file_key, slashed

IDS_TRIED = 200
"""So many ids, spread over the table, propose patterns; all ids judge them."""
_IMAGES = re.compile("image|jpe?g|img", re.I)
_BESIDE = re.compile(r"(?<![A-Za-z])(?i:mask|seg|annot|thumb|label)|Mask|Seg|Annot|Thumb|Label")
"""What lies beside the images under the same names."""


@dataclass(frozen=True)
class Places:
    """``patterns`` find the images of ``found`` of the ids; ``others`` do so nearly as well."""

    patterns: tuple[str, ...]
    found: int
    others: tuple[str, ...] = ()


class Index:
    """The images by their keys, made once for all columns that may be ids."""

    def __init__(self, images: Sequence[str]) -> None:
        self.paths = dict.fromkeys(map(file_key, images))
        self.by_name: dict[str, list[str]] = defaultdict(list)
        for path in self.paths:
            name = posixpath.basename(path)
            self.by_name[name].append(path)
            self.by_name[posixpath.splitext(name)[0]].append(path)


def places_of(ids: Sequence[str], images: Index, prefer: str = "", avoid: str = "\0") -> Places:
    """The fewest patterns with ``{id}`` that find the images of the ids.

    Of folders that do so alike, one whose path holds ``prefer`` comes first, then one that is
    called after images; one that holds ``avoid``, or is called after masks and the like, is used
    only if there is no other. Case does not matter.
    """
    ids = [file_key(slashed(id_)) for id_ in ids]
    votes: Counter[tuple[str, str]] = Counter()
    for id_ in ids[:: max(1, len(ids) // IDS_TRIED)]:
        for path in images.by_name.get(posixpath.basename(id_), ()):
            ending = posixpath.splitext(path)[1]
            for tail in {id_, id_ + ending}:
                if path == tail or path.endswith(f"/{tail}"):
                    votes[path[: len(path) - len(tail)], tail[len(id_) :]] += 1
    beside = {place: len(_BESIDE.findall(place[0])) for place in votes}
    ranked = sorted(
        votes,
        key=lambda place: (
            beside[place],
            -votes[place],
            prefer not in place[0].lower(),
            not _IMAGES.search(place[0]),
            len(place[0]),
            place,
        ),
    )
    ranked = [place for place in ranked if avoid not in place[0].lower()] or ranked
    waiting, chosen = list(dict.fromkeys(ids)), []
    others: list[str] = []
    for place in ranked:
        folder, ending = place
        left = [id_ for id_ in waiting if f"{folder}{id_}{ending}" not in images.paths]
        if len(left) < len(waiting) and beside[place] == beside[ranked[0]]:
            chosen.append(f"{folder}{{id}}{ending}")
            waiting = left
        elif sum(f"{folder}{id_}{ending}" in images.paths for id_ in ids) > 0.9 * len(ids):
            others.append(f"{folder}{{id}}{ending}")
    return Places(tuple(chosen), len(set(ids)) - len(waiting), tuple(others))


def places_called_test(images: Sequence[str]) -> tuple[str, ...]:
    """Patterns of the images that lie directly in a folder called a test."""
    found = {
        (folder, posixpath.splitext(path)[1])
        for path in images
        if "test" in posixpath.basename(folder := posixpath.dirname(path)).lower()
    }
    return tuple(f"{folder}/{{id}}{ending}" for folder, ending in sorted(found))
