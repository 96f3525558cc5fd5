"""What lies in an unpacked competition: its tables as text and the paths of its images."""

import os
import re
from pathlib import Path

from harness.data.frame import read_columns, texts
from harness.errors import DataError
from harness.init.records import Columns, Seen

IMAGE_ENDINGS = frozenset((".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif"))
TABLE_ENDINGS = (".csv", ".csv.zip", ".parquet")
ARCHIVE_ENDINGS = (".zip", ".tar", ".tgz", ".gz", ".7z")
DEEPEST_TABLE = 2
"""Folders down to which tables are looked for; deeper ones are shards or another tool's."""

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
            elif os.path.splitext(lower)[1] in IMAGE_ENDINGS:
                if _AWKWARD.search(inside + name):
                    notes.append(
                        f"{inside}{name} has a brace or a character that cannot be shown: ignored"
                    )
                else:
                    images.append(inside + name)
            elif lower.endswith(TABLE_ENDINGS) and inside.count("/") <= DEEPEST_TABLE:
                try:
                    tables[inside + name] = _table(path)
                except DataError as error:
                    notes.append(f"{inside}{name} {error.found}: ignored")
            elif lower.endswith(ARCHIVE_ENDINGS):
                notes.append(f"{inside}{name} is not unpacked: unpack it and run this again")
    if not images:
        said = f" ({notes[0]})" if notes else ""
        raise DataError(folder, f"holds no images{said}", "give the folder that holds the images")
    return Seen(tables, tuple(images), tuple(notes))


def _table(path: Path) -> Columns:
    columns = {name: texts(cells) for name, cells in read_columns(path).items()}
    if len(columns) == 1 and (odd := re.search(r"[;\t|]", next(iter(columns)))):
        found = f"has {odd[0]!r} where commas should be between its columns"
        raise DataError(path, found, "save it with commas")
    return columns
