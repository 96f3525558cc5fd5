"""audit/: the files that ``audit``, ``review`` and ``add`` keep of a workspace.

The data themselves are never written to: they may be a link to a download that other workspaces
read as well, or lie on a disk that is read-only.
"""

import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

from harness.files import to_write
from harness.locks import holding

FOLDER = "audit"
CORRECTIONS = f"{FOLDER}/corrections.csv"
EXTRA = f"{FOLDER}/extra.csv"
FINDINGS = f"{FOLDER}/findings.parquet"
SUMMARY = f"{FOLDER}/summary.txt"
MAPS = f"{FOLDER}/maps"
EARLIER = ("corrections.csv", "extra.csv", "audit.parquet")
"""What an earlier version kept these in, in data/: `adopt` looks there."""
_ADDED = re.compile(r"extra/[0-9a-f]{32}(\.\w+)?")
"""The names that `add` gives to pictures."""


def adopt(root: Path) -> str | None:
    """Bring the files that an earlier version kept in data/ into audit/, once.

    They are moved. Where data/ is a link or is read-only they are copied, and data/ stays as it
    is. Return a notice, None where there is nothing to do.
    """
    data, folder = root / "data", root / FOLDER
    prepared = root / f".{FOLDER}.tmp"  # it gets its name once it is whole
    if folder.exists() or not (prepared.exists() or _earlier(data)):
        return None
    moving = not data.is_symlink() and os.access(data, os.W_OK)
    with holding(root / ".cache" / f"{FOLDER}.lock"):
        if folder.exists():  # another process was faster
            return None
        files = _earlier(data)
        for old, new in files.items():
            target = to_write(prepared / new)
            (shutil.move if moving else shutil.copyfile)(old, target)
        prepared.rename(folder)
    said = f"{len(files)} file(s) that audit, review and add kept in data/ are in {FOLDER}/ now"
    if not moving:
        return f"{said}: copied, since {data.resolve()} is never written to"
    for emptied in (data / "audit", data / "extra"):
        with suppress(OSError):  # it is not there, or holds files of the user's
            emptied.rmdir()
    return said


def _earlier(data: Path) -> dict[Path, str]:
    """Return the files in data/ that an earlier version wrote, and their new names in audit/.

    A competition may have files of these names itself.
    """
    found: dict[Path, str] = {}
    if _lines(data / "corrections.csv")[:1] == ["time,id,action,label"]:
        found[data / "corrections.csv"] = Path(CORRECTIONS).name
    # what the others are known by comes last, so that a move that was cut off can go on
    if _is_findings(data / "audit.parquet"):
        found |= {path: f"maps/{path.name}" for path in data.glob("audit/class-*.png")}
        found[data / "audit.txt"] = Path(SUMMARY).name
        found[data / "audit.parquet"] = Path(FINDINGS).name
    header, *rows = _lines(data / "extra.csv") or [""]
    names = [row.partition(",")[0] for row in rows]
    if header == "file,label,weight,source" and all(map(_ADDED.fullmatch, names)):
        found |= {data / name: name for name in names}
        found[data / "extra.csv"] = Path(EXTRA).name
    return {old: new for old, new in found.items() if old.is_file()}


def _lines(path: Path) -> list[str]:
    """Return a text file's lines, none where it is missing or is no text."""
    try:
        return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    except (OSError, UnicodeDecodeError):
        return []


def _is_findings(path: Path) -> bool:
    if not path.is_file():
        return False
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return b"harness.ids" in (pq.read_schema(path).metadata or {})
    except (OSError, pa.ArrowInvalid):
        return False
