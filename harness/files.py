"""Writing files so that a reader, or a power cut, never meets half of one."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from harness.errors import DataError

MOST_UNPACKED = 200
"""A file may unpack to so many times its size (tables: 3 to 20 times) …"""
ALWAYS_UNPACKED = 1 << 28
"""… and to so many bytes in any case."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is synced and takes the name.

    It gets the permissions of any new file, whatever the writer gives it (safetensors: the
    owner's alone, which colleagues on shared storage could not read). On an error the temporary
    file is removed and what stood under ``path`` before stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.touch()
        usual = temporary.stat().st_mode
        yield temporary
        temporary.chmod(usual)
        _sync(temporary)
        os.replace(temporary, path)
    except OSError as error:  # said of the file that was to be written; a full disk names none
        if error.filename in (None, str(temporary)):
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # nothing to remove, or nothing may be
            temporary.unlink()
    _sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with Unix line ends, all of it or none."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def require_file(path: Path) -> None:
    """A DataError if something else than a file is there: to read a pipe or a device might never
    end. What is missing is left to the reader to tell."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        raise DataError(path, "is no regular file", "put one there")


def require_no_bomb(path: Path, size: int) -> None:
    """A DataError if what the file holds takes too many bytes once it is unpacked."""
    most = max(ALWAYS_UNPACKED, MOST_UNPACKED * path.stat().st_size)
    if size > most:
        found = f"unpacks to more than {most / 2**30:.2g} GB from {path.stat().st_size:,} bytes"
        raise DataError(path, found, "unpack it yourself if you trust it")


def digest(*parts: str | bytes) -> str:
    """A 128-bit hex digest (BLAKE2b) of the parts; their borders count."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


def file_digest(path: Path) -> str:
    """The digest of a file's bytes, read in pieces; a DataError if it is no regular file."""
    require_file(path)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder for syncing, and needs none
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
