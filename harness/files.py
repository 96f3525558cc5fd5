"""Writing files so that a reader, or a power cut, never meets half of one."""

import errno
import hashlib
import os
import platform
import re
import shutil
import stat
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from harness.errors import DataError, WorkspaceError

_workspaces: set[Path] = set()
"""The folders of the workspaces that this process has opened."""


def protect(workspace: Path) -> None:
    """Refuse from now on to write below that folder through a link, or to climb out of it."""
    _workspaces.add(Path.cwd() / workspace)


def to_write(path: Path) -> Path:
    """Return a path to write to, to append to or to delete; the folder it is in is made.

    All that is changed in a workspace passes here: a stranger's may hold links to files of the
    user's, and names that climb out of it. A WorkspaceError for these.
    """
    absolute = Path.cwd() / path
    for root in filter(absolute.is_relative_to, _workspaces):
        below = absolute.relative_to(root).parts
        for place, name in zip((absolute, *absolute.parents), reversed(below), strict=False):
            if name == ".." or place.is_symlink():
                found = "is a link or leads out of the workspace, and nothing is written there"
                raise WorkspaceError(place, found, "remove it, or name a place in the workspace")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def database_to_write(path: Path) -> Path:
    """Return the path of an SQLite file as ``to_write`` does; SQLite writes beside it, too."""
    for ending in ("-journal", "-wal", "-shm"):
        to_write(path.with_name(path.name + ending))
    return to_write(path)


_HERE = f"{zlib.crc32(platform.node().encode()):08x}"
"""This machine, in the names of temporary files: others may write to the same folder."""
ABANDONED_SECONDS = 24 * 3600
"""What nobody wrote to for so long is a killed process's."""

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
    temporary = temporary_for(to_write(path))
    try:
        if os.path.lexists(temporary):
            temporary.unlink()
        temporary.touch(exist_ok=False)  # a new file, not what a link of that name leads to
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


def temporary_for(path: Path) -> Path:
    """Return this process's temporary name beside ``path``, for a file or a folder.

    The first call for a folder removes there what killed processes left: those of this machine, and
    of others what nobody wrote to for a day.
    """
    _remove_left_over(path.parent)
    return path.with_name(f".{path.name}.{_HERE}-{os.getpid()}.tmp")


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


def cut_torn_line(stream: BinaryIO) -> None:
    """Remove what a crash left of a file's last line, so that the next one does not grow out of it.

    The stream then stands at the end.
    """
    stream.seek(0)
    stream.seek(stream.read().rfind(b"\n") + 1)
    stream.truncate()


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


@cache
def _remove_left_over(folder: Path) -> None:
    for path in folder.glob(".*.tmp"):
        if not (found := re.search(r"\.([0-9a-f]{8})-(\d{1,9})\.tmp$", path.name)):
            continue
        with suppress(OSError):  # it is gone, or may not be removed
            seconds = time.time() - path.lstat().st_mtime
            if _is_alive(int(found[2])) if found[1] == _HERE else seconds < ABANDONED_SECONDS:
                continue
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _is_alive(process: int) -> bool:
    if os.name != "nt":  # asking would end it there
        try:
            os.kill(process, 0)
        except OSError as error:
            return error.errno != errno.ESRCH
    return True


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
