"""Images by the patterns of competition.toml: found by id, or found with what their paths say."""

import difflib
import os
import posixpath
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath

from harness.competition import DataSection
from harness.data.sound import MOST_CHARACTERS
from harness.data.state import FOLDER
from harness.errors import DataError
from harness.patterns import common_home, fill, home, level_regex
from harness.text import file_key, slashed

MOST_NEAR = 10_000
"""So many files are looked at for the one that a wrong path may have meant."""


def match_files(patterns: Sequence[str], root: Path) -> dict[str, Mapping[str, str]]:
    """Path below the patterns' common home → what the names in braces stand for, sorted by path.

    Hidden files and what ``audit`` and ``add`` keep are left out. A DataError if a home is no
    folder, or a link leads out of it.
    """
    found: dict[str, Mapping[str, str]] = {}
    below = common_home(patterns)
    for pattern in patterns:
        levels = pattern[len(home(pattern)) :].lstrip("/").split("/")
        for path, columns in _walk(root / home(pattern), levels, "" if home(pattern) else FOLDER):
            relative = os.path.relpath(path, root / below).replace(os.sep, "/")
            found[relative] = columns
    return dict(sorted(found.items()))


def listed_test_ids(data: DataSection, root: Path) -> list[str]:
    """The ids of the images that ``test_images`` finds, sorted; a DataError if there are none.

    For competitions whose test set is a folder and nothing else.
    """
    if not data.test_images:
        raise DataError(
            "competition.toml [data]",
            "names neither 'test' nor 'sample_submission' nor 'test_images'",
            "add one, so that the ids to predict are known",
        )
    ids = sorted({said["id"] for said in match_files(data.test_images, root).values()})
    if not ids:
        raise DataError(
            root / home(data.test_images[0]),
            f"has no image that fits {data.test_images[0]!r}",
            "mend 'test_images' in competition.toml",
        )
    return ids


def _walk(
    folder: Path, levels: Sequence[str], left_out: str
) -> Iterable[tuple[str, dict[str, str]]]:
    """Every file below ``folder`` whose path fits the pattern's ``levels``, with its columns.

    ``left_out`` is a folder in it that is not entered.
    """
    if not folder.is_dir():
        raise DataError(folder, "there is no such folder", "check [data] in competition.toml")
    real_home = os.path.realpath(folder)
    waiting: list[tuple[str, int, dict[str, str]]] = [(os.fspath(folder), 0, {})]
    while waiting:
        here, depth, columns = waiting.pop()
        level, last = level_regex(levels[depth]), depth == len(levels) - 1
        with os.scandir(here) as entries:
            for entry in entries:
                skipped = entry.name.startswith(".") or (depth == 0 and entry.name == left_out)
                fits = None if skipped else level.fullmatch(entry.name)
                if not fits or not _leads_to(entry.is_file if last else entry.is_dir):
                    continue
                if entry.is_symlink():
                    _require_inside(entry.path, real_home, folder, entry.name)
                if not _is_utf8(entry.name):
                    raise DataError(here, f"holds {entry.name!r}, no UTF-8", "rename the file")
                said = columns | fits.groupdict()
                if last:
                    yield entry.path, said
                else:
                    waiting.append((entry.path, depth + 1, said))


def _leads_to(kind: Callable[[], bool]) -> bool:
    """Whether an entry is of that kind; a link to itself is of none."""
    try:
        return kind()
    except OSError:
        return False


def _is_utf8(name: str) -> bool:
    """Whether the name is text: Python gives bytes that are none as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def locate(patterns: Sequence[str], root: Path, ids: Iterable[str]) -> list[Path | None]:
    """The image of each id by the first pattern that has one; None where none has.

    An id is data, not a path: one that would leave the images' folder is refused with a DataError,
    whether by ``..``, by being absolute or through a symbolic link.
    """
    folders = [_Folder(root, pattern) for pattern in patterns]
    return [next((p for f in folders if (p := f.find(id_)) is not None), None) for id_ in ids]


class _Folder:
    """A pattern's images; each folder is listed once, so that a million ids take a second."""

    def __init__(self, root: Path, pattern: str) -> None:
        self.pattern, self.root = pattern, root
        self.home = root / home(pattern)
        self.real_home = os.path.realpath(self.home)
        # folder → file name, as it is and its key → (path from the root, whether it is a link)
        self.listed: dict[str, dict[str, tuple[str, bool]]] = {}

    def find(self, id_: str) -> Path | None:
        """The image of an id, if it is there."""
        path = fill(self.pattern, slashed(id_))
        if (
            "\0" in id_
            or len(id_) > MOST_CHARACTERS
            or slashed(id_).startswith("/")
            or ".." in path.split("/")
            or (os.sep == "\\" and ":" in id_)
        ):
            raise _leaves(self.home, id_)
        folder, _, name = path.rpartition("/")
        if folder not in self.listed:
            self.listed[folder] = self._list(folder, id_)
        listed = self.listed[folder]
        if (known := listed.get(name) or listed.get(file_key(name))) is None:
            return None
        found, is_link = self.root / known[0], known[1]
        if is_link:
            _require_inside(found, self.real_home, self.home, id_)
        return found

    def _list(self, folder: str, id_: str) -> dict[str, tuple[str, bool]]:
        if not (self.root / folder).is_dir():  # archives packed on macOS have accents apart
            folder = unicodedata.normalize("NFD", folder)
        if not (self.root / folder).is_dir():
            return {}
        _require_inside(self.root / folder, self.real_home, self.home, id_)
        with os.scandir(self.root / folder) as entries:
            files = {
                entry.name: (posixpath.join(folder, entry.name), entry.is_symlink())
                for entry in entries
                if _leads_to(entry.is_file)
            }
        return {file_key(name): file for name, file in files.items()} | files


def nearest_file(folder: Path, name: str) -> str:
    """Return a phrase that names the file below the folder most like ``name``; empty if none is.

    The folder need not be there: the next one above it is looked at.
    """
    while not folder.is_dir():
        folder = folder.parent
    walk = (os.path.join(place, file) for place, _, files in os.walk(folder) for file in files)
    by_stem = {_stem(file): file for file in islice(walk, MOST_NEAR)}
    close = difflib.get_close_matches(_stem(name), by_stem, n=1)
    return f"; the nearest file is {by_stem[close[0]]}" if close else ""


def _stem(path: str) -> str:
    return PurePosixPath(slashed(path)).stem.lower()


def _require_inside(path: Path | str, real_home: str, folder: Path, id_: str) -> None:
    real = os.path.realpath(path)
    if real != real_home and not real.startswith(real_home.rstrip(os.sep) + os.sep):
        raise _leaves(folder, id_)


def _leaves(folder: Path, id_: str) -> DataError:
    shown = id_ if len(id_) <= 100 else f"{id_[:100]}… ({len(id_):,} characters)"
    return DataError(folder, f"id {shown!r} leads out of the images' folder", "ids must stay in it")
