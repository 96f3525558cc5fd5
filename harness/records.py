"""Records: dataclasses in JSON files, every value of them checked when they are read."""

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from harness.errors import WorkspaceError

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
    try:
        content = path.read_bytes()
        return TypeAdapter(kind).validate_json(content, strict=True, extra=extra)
    except FileNotFoundError:
        raise WorkspaceError(path, missing, fix) from None
    except OSError as error:
        raise WorkspaceError(path, f"cannot be read ({error})", fix) from error
    except ValidationError as error:
        raise WorkspaceError(path, f"is damaged ({first_finding(error)})", fix) from error


def first_finding(error: ValidationError) -> str:
    """The first of pydantic's findings, in one line."""
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    said = first["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said
