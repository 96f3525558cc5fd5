"""What lies in an unpacked competition: its tables as text and the paths of its images."""

import math
import os
import re
from collections import defaultdict
from pathlib import Path

from pyarrow.compute import utf8_normalize

from harness.data.frame import read_columns, texts
from harness.data.images import CONVERT, OTHER_FORMATS
from harness.errors import DataError
from harness.init.records import Columns, Seen, listed
from harness.text import is_image

TABLE_ENDINGS = (".csv", ".csv.zip", ".parquet")
ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".gz", ".7z")
DEEPEST_TABLE = 2
"""Folders down to which tables are looked for; deeper ones are shards or another tool's."""
FEWEST_PIXELS = 256
"""Numbered columns of a table that may be a picture."""
UNPACK = "unpack each, such as by `python -m zipfile -e FILE DIR`, and run this again"

_AWKWARD = re.compile(r"[{}\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def look(folder: Path) -> Seen:
    """Everything of use in ``folder``; a DataError if there is nothing.

    Hidden files are left out, and so are links that lead out of the folder, which the notes name.
    """
    if not folder.is_dir():
        raise DataError(folder, "is no folder", "give the folder of the unpacked competition")
    home = os.path.realpath(folder)
    tables: dict[str, Columns] = {}
    images: list[str] = []
    notes: list[str] = []
    unread: dict[tuple[str, str], list[str]] = defaultdict(list)  # (what it is, what to do) → files
    for place, folders, files in os.walk(folder):
        inside = os.path.relpath(place, folder).replace(os.sep, "/")
        inside = "" if inside == "." else f"{inside}/"
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        notes += [
            f"{inside}{name} is a link to a folder: not followed; copy it or give its target"
            for name in folders
            if Path(place, name).is_symlink()
        ]
        for name in sorted(files):
            path, lower = Path(place, name), name.lower()
            if name.startswith(".") or not path.is_file():
                continue
            if path.is_symlink() and not os.path.realpath(path).startswith(home + os.sep):
                notes.append(f"{inside}{name} is a link that leads out of the folder: ignored")
            elif is_image(name):
                if _AWKWARD.search(inside + name):
                    notes.append(
                        f"{inside}{name} has a brace or a character that cannot be shown: ignored"
                    )
                else:
                    images.append(inside + name)
            elif lower.endswith(TABLE_ENDINGS) and inside.count("/") <= DEEPEST_TABLE:
                try:
                    tables[inside + name], spaced = _table(path)
                    notes += [f"{inside}{name}: {spaced}"] if spaced else []
                except DataError as error:
                    notes.append(f"{inside}{name} {error.found}: ignored")
                    continue
                if pixels := _pixel_columns(tables[inside + name]):
                    unread[f"{pixels} columns of pixels", CONVERT].append(inside + name)
            elif kind := OTHER_FORMATS.get(os.path.splitext(lower.removesuffix(".gz"))[1]):
                unread[f"{kind}, which is not read", CONVERT].append(inside + name)
            elif lower.endswith(ARCHIVE_ENDINGS) and not any(
                name.startswith(f"{unpacked}.") for unpacked in folders
            ):
                unread["not unpacked", UNPACK].append(inside + name)
    told = [(f"{listed(files)}: {found}", fix) for (found, fix), files in unread.items()]
    if not images:
        usual = [(note, "give the folder that holds the images") for note in (*notes, "")]
        said, fix = (*told, *usual)[0]
        raise DataError(folder, f"holds no images{f' ({said})' if said else ''}", fix)
    notes += [f"{said}; {fix}" for said, fix in told]
    return Seen(tables, tuple(images), tuple(notes))


def _table(path: Path) -> tuple[Columns, str]:
    """The table with composed accents, and a phrase on white space that is left out."""
    own, found = read_columns(path, as_is=True), read_columns(path)
    if len(found) == 1 and (odd := re.search(r"[;\t|]", next(iter(found)))):
        said = f"has {odd[0]!r} where commas should be between its columns"
        raise DataError(path, said, "save it with commas")
    spaced = [
        repr(name)
        for (name, cells), (own_name, given) in zip(found.items(), own.items(), strict=True)
        if own_name != own_name.strip() or not cells.equals(given)
    ]
    columns = {n: texts(utf8_normalize(cells, form="NFC")) for n, cells in found.items()}
    return columns, f"white space around {listed(spaced)} is left out" if spaced else ""


def _pixel_columns(columns: Columns) -> int:
    """Return the number of numbered columns if a square picture has as many values, else 0."""
    count = sum(name[-1:].isdecimal() for name in columns)
    square = any(count == channels * math.isqrt(count // channels) ** 2 for channels in (1, 3))
    return count if square and count >= FEWEST_PIXELS else 0
