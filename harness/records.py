"""Records: dataclasses in JSON files, every value of them checked when they are read."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from harness.errors import UserError, WorkspaceError

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
        content = path.read_bytes()
        return TypeAdapter(kind).validate_json(content, strict=True, extra=extra)


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
