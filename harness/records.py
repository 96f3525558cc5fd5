"""Records: JSON and Parquet files with a checksum, every value of them checked when they are read.

The checksum is a CRC-32, as in the files of weights (``harness/workspace/runs.py``). A file without
one is accepted: another tool wrote it, or an earlier version.
"""

import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from harness.errors import DataError, UserError, WorkspaceError
from harness.files import replacing, require_file, require_no_bomb, write_text

_PREFIX = b"harness."
_NOTED = _PREFIX + b"crc32"
_CHECKSUM = re.compile(rb'\s*"crc32": *"([0-9a-f]{8})"\s*}\s*')

Record = TypeVar("Record")


def read_record(
    kind: type[Record],
    path: Path,
    *,
    missing: str,
    fix: str,
    extra: Literal["forbid", "allow"] = "forbid",
) -> Record:
    """The ``kind`` that the file holds; a WorkspaceError, with the ``fix``, if it holds another.

    Every field has its type (a whole number may stand for a float), and what ``__post_init__``
    raises a ValueError for is refused, too. ``extra``: fields that ``kind`` does not know.
    ``missing`` is what is said where there is no file.
    """
    with reading(path, fix, missing=missing):
        return TypeAdapter(kind).validate_json(read_json(path), strict=True, extra=extra)


@contextmanager
def reading(
    where: object,
    fix: str,
    kind: type[UserError] = WorkspaceError,
    *,
    missing: str = "there is no such file",
) -> Iterator[None]:
    """Raise whatever a reader raises on a missing or damaged file as one error that names it.

    Readers raise anything: their library's own errors, those of decoders, those of the system.
    """
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError:
        raise kind(where, missing, fix) from None
    except ValidationError as error:
        raise kind(where, f"is damaged ({first_finding(error)})", fix) from error
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise kind(where, f"cannot be read ({reason})", fix) from error


def first_finding(error: ValidationError) -> str:
    """The first of pydantic's findings, in one line."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    said = first["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said


def write_json(path: Path, text: str) -> None:
    """Write a JSON object with its checksum."""
    write_text(path, with_checksum(text))


def with_checksum(text: str) -> str:
    """Return a JSON object's text, with the checksum of all before it as its last value."""
    body = text.rstrip().removesuffix("}").rstrip()
    return f'{body},\n  "crc32": "{zlib.crc32(body.encode()):08x}"\n}}\n'


def read_json(path: Path) -> bytes:
    """Return a JSON file's content without its checksum; a ValueError if that does not fit."""
    content = path.read_bytes()
    body, _, end = content.rpartition(b",")
    if not (noted := _CHECKSUM.fullmatch(end)):
        return content
    if int(noted[1], 16) != zlib.crc32(body):
        raise ValueError("its checksum is another")
    return body + b"}"


def write_parquet(path: Path, table: Any) -> None:
    """Write an Arrow table, with the checksum of its columns and metadata among the latter."""
    import pyarrow.parquet as pq

    noted = {**(table.schema.metadata or {}), _NOTED: _content(table)}
    with replacing(path) as temporary:
        pq.write_table(table.replace_schema_metadata(noted), temporary)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> Any:
    """Return all columns of a Parquet file, or those named, as Arrow's table.

    A DataError, before they fill the memory, if they unpack to too much or hold lists. What is
    damaged raises an OSError or a ValueError, as Arrow's own errors are.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    require_file(path)
    schema = pq.read_schema(path)
    names, kinds = schema.names, dict(zip(schema.names, schema.types, strict=True))
    asked = names if columns is None else list(columns)
    for name in asked:
        boundless = pa.types.is_nested, pa.types.is_fixed_size_binary
        if names.count(name) > 1 or any(is_kind(kinds[name]) for is_kind in boundless):
            why = f"has two columns {name!r}, or one of {kinds[name]}"
            raise DataError(path, why, "save one column of numbers or texts of that name")
    # texts are read as codes: until their lengths are known, none takes its room twice
    with pq.ParquetFile(path, read_dictionary=asked) as file:
        # no more is read than its groups say; Arrow aborts if asked for a damaged column's share
        groups = map(file.metadata.row_group, range(file.num_row_groups))
        require_no_bomb(path, 4 * len(asked) * sum(group.num_rows for group in groups))
        table = file.read(asked, use_threads=False)  # a page at a time, which cannot be too large
    found, size = {}, 0
    for name in asked:
        found[name] = column = table[name]
        if pa.types.is_dictionary(column.type):
            for piece in column.chunks:
                lengths = pc.binary_length(piece.dictionary).take(piece.indices)
                size += pc.sum(lengths).as_py() or 0
            require_no_bomb(path, size)
            found[name] = column.cast(column.type.value_type)
    table = pa.table(found).replace_schema_metadata(table.schema.metadata)
    noted = (table.schema.metadata or {}).get(_NOTED)
    if columns is None and noted is not None and noted != _content(table):
        raise ValueError("its checksum is another")
    return table


def _content(table: Any) -> bytes:
    """Return the checksum of what the harness wrote into a table."""
    metadata = {k: v for k, v in (table.schema.metadata or {}).items() if k.startswith(_PREFIX)}
    metadata.pop(_NOTED, None)
    state = zlib.crc32(repr(sorted(metadata.items())).encode())
    for name, column in zip(table.column_names, table.columns, strict=True):
        values = column.to_numpy()
        texts = values.dtype.hasobject
        content = json.dumps(values.tolist()).encode() if texts else values.tobytes()
        state = zlib.crc32(content, zlib.crc32(f"{name} {values.dtype}".encode(), state))
    return f"{state:08x}".encode()
