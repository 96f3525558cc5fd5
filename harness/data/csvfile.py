"""A CSV file, plain or the only one in a zip file, as bytes. Free of pandas and pyarrow."""

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from harness.errors import DataError
from harness.files import require_file, require_no_bomb

ENCRYPTED = 1
"""The bit of a zip member's flags that says so."""


@contextmanager
def open_csv(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, those of its only member if it is a zip file; nothing is unpacked to disk.

    A DataError if there is another number of members, or if the one cannot be trusted.
    """
    require_file(path)
    if path.suffix.lower() != ".zip":
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        members = [
            member
            for member in archive.infolist()
            if not member.is_dir() and not member.filename.startswith("__MACOSX/")
        ]
        if len(members) != 1:
            raise DataError(path, f"holds {len(members)} files", "it needs exactly one CSV file")
        (member,) = members
        place = PurePosixPath(member.filename.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts:
            raise DataError(
                path, f"holds {member.filename!r}, which leads out of it", "do not trust this file"
            )
        require_no_bomb(path, member.file_size)
        if member.flag_bits & ENCRYPTED:
            raise DataError(path, "is encrypted", "unpack it yourself")
        try:
            with archive.open(member) as file:
                yield file
        except (NotImplementedError, zlib.error) as error:  # a strange way of packing, or damage
            raise DataError(path, f"cannot be unpacked ({error})", "mend the file") from error
