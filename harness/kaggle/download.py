"""The competition's data: one archive, fetched with resume, unpacked so that nothing escapes.

What was begun is gone on with, after a lost connection as after `kill -9`: the archive's part grows
under a name of its own, beside a note of which archive it is a part of; a member gets its name when
it is complete; the note that all is there is written last.
"""

import json
import os
import shutil
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.data.state import EARLIER
from harness.display import Display
from harness.errors import DataError, KaggleError, Unanswered
from harness.files import require_file, require_no_bomb, to_write, write_text
from harness.kaggle.seam import Kaggle
from harness.kaggle.wire import PAUSES, answered

NOTE = ".kaggle.json"
PIECE = 1 << 20
WHERE = "data --kaggle"


@dataclass(frozen=True)
class _Remote:
    """Which archive it is (by the server's ETag or date) and its size in bytes."""

    competition: str
    version: str
    size: int


def fetch_data(
    kaggle: Kaggle, competition: str, folder: Path, cache: Path, display: Display
) -> bool:
    """All the competition's files in ``folder``; False if they were there.

    DataError if the archive is not what Kaggle lists or must not be unpacked.
    """
    archive = to_write(cache / f"{competition}.zip")
    note = folder / NOTE
    with kaggle.archive(competition) as answer:
        remote = _remote(competition, answer)
        name = PurePosixPath(answer.url.split("?")[0]).name
    before = _read(note)
    same = before is not None and before.get("archive") == vars(remote)
    if same and all((folder / file).exists() for file in (before or {}).get("files", ())):
        return False
    _fetch(kaggle, competition, archive, display)
    listed = {file.name: file.size for file in kaggle.files(competition)}
    if not zipfile.is_zipfile(archive):  # a competition of a single file
        _require_listed(listed, {name: archive.stat().st_size}, display)
        shutil.copyfile(archive, to_write(_inside(folder, name, archive)))
        files = [name]
    else:
        found = unpack(archive, folder, display)
        _require_listed(listed, found, display)
        files = [file for file in found if not file.lower().endswith(".zip")]
        for inner in sorted(set(found) - set(files)):
            files += [
                (folder / inner).parent.relative_to(folder).joinpath(file).as_posix()
                for file in _unpack_inner(folder / inner, display)
            ]
    if hasattr(os, "sync"):
        os.sync()  # the note must not outlive, in a power cut, what it vouches for
    write_text(note, json.dumps({"archive": vars(remote), "files": files}, indent=0) + "\n")
    archive.unlink()
    _part_note(archive).unlink(missing_ok=True)
    return True


def unpack(archive: Path, folder: Path, display: Display) -> dict[str, int]:
    """Every member under ``folder``, whose bytes its checksum vouches for; their sizes by name.

    A DataError, before anything is written, if a member would leave the folder, is a link or is
    encrypted, if two would be one file, if they are too large for the archive, or if the disk lacks
    the room. Members that are there already, by size and checksum, are left alone.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            targets = _targets(archive, members, folder)
            missing = [
                (member, target)
                for member, target in zip(members, targets, strict=True)
                if not _is_there(target, member)
            ]
            require_no_bomb(archive, sum(member.file_size for member in members))
            _require_room(folder, sum(member.file_size for member, _ in missing))
            with display.progress("unpacking", len(missing), "files") as advance:
                for done, (member, target) in enumerate(missing, 1):
                    _write(opened, member, target)
                    advance(done, "")
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise DataError(
            archive, f"is damaged ({error})", "remove it and run `data --kaggle` again"
        ) from error
    return {member.filename: member.file_size for member in members}


def _fetch(kaggle: Kaggle, competition: str, archive: Path, display: Display) -> None:
    """The whole archive; each attempt goes on where the last one was cut off."""
    pauses = iter(PAUSES)
    while True:
        before = archive.stat().st_size if archive.exists() else 0
        try:
            return answered(
                "the download", lambda: _fetch_on(kaggle, competition, archive, display)
            )
        except Unanswered:
            if archive.exists() and archive.stat().st_size > before:
                pauses = iter(PAUSES)  # it moves, if slowly
            pause = next(pauses, None)
            if pause is None:
                raise
            kaggle.wire.sleep(pause)


def _fetch_on(kaggle: Kaggle, competition: str, archive: Path, display: Display) -> None:
    note = _part_note(archive)
    with kaggle.archive(competition) as answer:
        remote = _remote(competition, answer)
        same = bool(remote.version) and _read(note) == vars(remote)
        there = archive.stat().st_size if same and archive.exists() else 0
        if there == remote.size:
            return
        if not there:
            archive.unlink(missing_ok=True)
            _require_room(archive.parent, remote.size)
            write_text(note, json.dumps(vars(remote)) + "\n")
            _append(answer, archive, remote.size, display)
            return
        url = answer.url
    headers = {"Range": f"bytes={there}-", "If-Range": remote.version}
    with kaggle.wire.get("the download", url, headers) as rest:
        if rest.status_code == 200:  # it is another archive by now
            archive.unlink()
            raise Unanswered("kaggle", "the download: the archive changed", "run it again")
        _append(rest, archive, remote.size, display)


def _append(answer: Any, archive: Path, size: int, display: Display) -> None:
    done = archive.stat().st_size if archive.exists() else 0
    with display.progress("downloading", size >> 20, "MB") as advance, archive.open("ab") as file:
        for piece in answer.iter_content(PIECE):
            file.write(piece)
            done += len(piece)
            advance(done >> 20, "")
    if done != size:
        if done > size:
            archive.unlink()
        raise Unanswered(
            "kaggle", f"the download: {done} bytes of {size}", "run it again: it goes on"
        )


def _remote(competition: str, answer: Any) -> _Remote:
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    try:
        size = int(answer.headers["Content-Length"])
    except (KeyError, ValueError):
        raise KaggleError("kaggle", "the download: no size is told", "try again later") from None
    return _Remote(competition, version, size)


def _require_listed(listed: dict[str, int], found: dict[str, int], display: Display) -> None:
    """A DataError if a file that Kaggle lists is missing; another size is worth a warning."""
    if missing := sorted(set(listed) - set(found)):
        raise DataError(
            WHERE,
            f"the archive lacks {len(missing)} of the files that Kaggle lists, such as "
            f"{missing[0]!r}",
            "run it again later",
        )
    odd = sorted(name for name, size in listed.items() if size and size != found[name])
    if odd:
        display.say(
            f"warning: {len(odd)} file(s) have another size than Kaggle lists, such as "
            f"{odd[0]!r}: {found[odd[0]]} bytes, listed {listed[odd[0]]}; their checksums are right"
        )


def _targets(archive: Path, members: list[zipfile.ZipInfo], folder: Path) -> list[Path]:
    targets: dict[str, Path] = {}
    for member in members:
        name = member.filename
        if member.flag_bits & 0x1:
            raise DataError(archive, f"{name!r} is encrypted", "unpack it by hand")
        if (member.external_attr >> 16) & 0o170000 == 0o120000:
            raise DataError(archive, f"{name!r} is a link", "unpack it by hand")
        if name in targets:
            raise DataError(archive, f"holds {name!r} twice", "unpack it by hand")
        targets[name] = _inside(folder, name, archive)
    return list(targets.values())


def _inside(folder: Path, name: str, archive: Path) -> Path:
    """Where that member goes; a DataError if that is outside of the folder, is spelled in an odd
    way, or is a file of the harness's own."""
    path = PurePosixPath(name)
    odd = "\\" in name or ":" in name or "\0" in name or name != path.as_posix()
    if odd or path.is_absolute() or ".." in path.parts or name.casefold() in (".", NOTE, *EARLIER):
        raise DataError(
            archive, f"holds the unsafe name {name!r}", "unpack it by hand, without that file"
        )
    target = folder / path
    if not target.parent.resolve().is_relative_to(folder.resolve()):  # through a link that is there
        raise DataError(archive, f"{name!r} leads out of {folder}", "remove the link there")
    return target


def _is_there(target: Path, member: zipfile.ZipInfo) -> bool:
    if not target.is_file() or target.stat().st_size != member.file_size:
        return False
    checksum = 0
    with target.open("rb") as file:
        while piece := file.read(PIECE):
            checksum = zlib.crc32(piece, checksum)
    return checksum == member.CRC


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    temporary = to_write(target.with_name(f".{target.name}.part"))
    with opened.open(member) as source, temporary.open("wb") as file:
        shutil.copyfileobj(source, file, PIECE)
    os.replace(temporary, target)


def _unpack_inner(archive: Path, display: Display) -> list[str]:
    """An archive within the archive, beside it: in a folder of its name if it brings none.

    What there is of it then, relative to the folder that the archive is in.
    """
    with zipfile.ZipFile(archive) as opened:
        names = [m.filename for m in opened.infolist() if not m.is_dir()]
    own = all(name.startswith(f"{archive.stem}/") for name in names) or len(names) == 1
    unpack(archive, archive.parent if own else archive.parent / archive.stem, display)
    return names if own else [f"{archive.stem}/{name}" for name in names]


def _require_room(folder: Path, size: int) -> None:
    to_write(folder).mkdir(exist_ok=True)
    free = shutil.disk_usage(folder).free
    if size > free:
        raise DataError(
            folder,
            f"has room for {free / 2**30:.1f} GiB and {size / 2**30:.1f} are needed",
            "make room, then run it again: it goes on",
        )


def _part_note(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.json")


def _read(note: Path) -> dict[str, Any] | None:
    require_file(note)
    try:
        return json.loads(note.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
