"""The winner as a [[model]] of its own, in a file that keeps its comments."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import AoT, Comment, Whitespace

from harness.competition import FILE_NAME, Competition, load_competition
from harness.errors import ConfigError
from harness.files import write_text


def with_model(text: str, source: str, name: str, values: Mapping[str, Any], comment: str) -> str:
    """The file's text with one more [[model]]: the one called ``source`` with these values.

    All else stays as it is, byte for byte; ``comment`` is put above the new table's settings. A
    KeyError if there is no such model.
    """
    document = tomlkit.parse(text)
    models = document.get("model")
    if not isinstance(models, AoT):
        raise KeyError(source)
    table = next((one for one in models if one["name"] == source), None)
    if table is None:
        raise KeyError(source)
    added = tomlkit.table()
    added.add(tomlkit.comment(comment))
    settings = table.unwrap()
    if seeds := settings.pop("seeds", None):
        settings["seed"] = seeds[0]
    for key, value in {**settings, **values, "name": name}.items():
        added.add(key, list(value) if isinstance(value, tuple) else value)
    body = models[-1].value.body
    trailing = []  # what stands between the last model and the next table belongs to that one
    while body and isinstance(item := body[-1][1], Comment | Whitespace):
        trailing.append(item)
        body.pop()
    models[-1].add(tomlkit.nl())
    for item in reversed(trailing):
        added.add(item)
    models.append(added)
    return tomlkit.dumps(document)


def apply(root: Path, source: str, name: str, values: Mapping[str, Any], comment: str) -> bool:
    """Write the winner into competition.toml; False if a model of that name is there."""
    path = root / FILE_NAME
    if name in {model.name for model in load_competition(path).model}:
        return False
    before = path.read_text(encoding="utf-8")
    try:
        after = with_model(before, source, name, values, comment)
    except KeyError:
        raise ConfigError(
            path, f"has no [[model]] table named {source!r}", "write the model as a table"
        ) from None
    Competition.model_validate(tomllib.loads(after))
    write_text(path, after)
    return True
