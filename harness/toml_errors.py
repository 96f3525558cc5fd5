"""What is wrong with a TOML file, by line: for people who wrote it by hand. Pure."""

import re
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from harness.errors import ConfigError, nearest


def first_error(
    error: ValidationError, path: Path, text: str, root: type[BaseModel]
) -> ConfigError:
    """The first of pydantic's findings on a file's ``text``, with its line and what to do.

    ``root`` is the section that stands for the whole file.
    """
    findings = error.errors(include_url=False)
    # an unknown key is usually the cause of a missing one, so it is told first
    first = next((f for f in findings if f["type"] == "extra_forbidden"), findings[0])
    location = tuple(part for part in first["loc"] if not str(part).startswith(":"))
    line = line_of(text, location)
    where = f"{path}:{line}" if line else str(path)
    name = ".".join(f"[{part + 1}]" if isinstance(part, int) else part for part in location)
    name = name.replace(".[", "[")
    match first["type"]:
        case "extra_forbidden":
            known = _keys_at(root, location[:-1])
            found, fix = f"unknown key '{name}'", nearest(str(location[-1]), known)
        case "missing":
            found, fix = f"missing key '{name}'", "add it"
        case "value_error":
            found = str(first["ctx"]["error"])
            found, _, fix = found.partition("; ")
            found, fix = (f"{name}: {found}" if name else found), fix or "change one of them"
        case _:
            found = f"'{name}' is {first['input']!r}"
            fix = first["msg"].replace("tuple", "list").removesuffix(" after validation, not 0")
            fix = fix[0].lower() + fix[1:]
    others = len(findings) - 1
    return ConfigError(where, found, fix + (f" ({others} more after this)" if others else ""))


def _keys_at(root: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys that the table at that place may have."""
    section = root
    for part in location:
        field = section.model_fields.get(str(part))
        section = (_section_in(field.annotation) if field else None) or section
    return list(section.model_fields)


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a field is, or holds several of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)


_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*["']?([A-Za-z0-9_-]+)["']?\s*(\.|=)""")


def line_of(text: str, location: tuple[int | str, ...]) -> int | None:
    """The 1-based line of a key, or of its table's header; None where neither is in the text.

    ``location`` is a path of keys and of indices into arrays of tables: ``("model", 1, "lr")``.
    """
    table: tuple[int | str, ...] = ()
    counts: dict[str, int] = {}
    best: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            name = header[2].strip("\"' ")
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
                table = (name, counts[name])
            else:
                table = tuple(name.split("."))
            if location[: len(table)] == table:
                best = number
        elif (key := _KEY.match(line)) and location[: len(table) + 1] == (*table, key[1]):
            return number
    return best
