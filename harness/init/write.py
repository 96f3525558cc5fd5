"""A competition.toml from a proposal: every value with its reason, every doubt as a question."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import WorkspaceError
from harness.files import write_text
from harness.init.infer import infer
from harness.init.look import look
from harness.init.records import Proposal, Setting
from harness.workspace.template import MODELS, competition_name, new_file

DATA = "data"
MOST_METADATA = 20
_PATHS = ("train", "test", "images", "test_images", "sample_submission")


def init_from(folder: Path, source: Path) -> tuple[Path, int]:
    """Write ``folder``/competition.toml for the unpacked competition in ``source``.

    Data that lie elsewhere are linked as ``folder``/data; nothing is copied. Returns the file and
    the number of questions in it; a WorkspaceError if there is one already.
    """
    path = new_file(folder)
    seen = look(source)
    text = as_toml(infer(seen), competition_name(folder), _inside(folder, source), seen.notes)
    _link(folder, source)
    write_text(path, text)
    return path, text.count("# QUESTION")


def as_toml(proposal: Proposal, name: str, home: str, notes: tuple[str, ...] = ()) -> str:
    """The file's text; ``home`` is the data's folder, seen from the workspace."""
    lines = [
        "# Written by `python -m harness init --from`: each value stands below its reason.",
        "# Look at every QUESTION, and at the metric.",
        "",
        *(f"# {_one_line(note)}" for note in notes),
        "[competition]",
        f"name = {_toml(name)}",
        *_settings(proposal.competition, ""),
        '# kaggle = "competition-slug"',
        "",
        "[data]",
        *(f"# QUESTION: {_one_line(question)}" for question in proposal.questions),
        *_settings(proposal.data, home),
        *_groups(proposal),
        "# QUESTION: what never changes a label: a mirrored picture, one upside down, one turned?",
        'invariances = ["hflip"]      # of "hflip", "vflip", "rot90"',
        "",
        "[folds]",
        "k = 5",
        *_settings(proposal.folds, ""),
        "# repeats = 1",
        "# holdout = 0.0              # a share that no model ever sees",
        "seed = 2019",
        "",
    ]
    columns = proposal.metadata or ("age",)
    metadata = _toml(list(columns[:MOST_METADATA]), most=10**6)
    if len(columns) > MOST_METADATA:
        metadata += f"  # the first {MOST_METADATA} of {len(columns)}"
    return "\n".join(lines) + "\n" + MODELS.format(metadata=metadata)


def _settings(settings: Mapping[str, Setting], home: str) -> list[str]:
    lines = []
    for key, setting in settings.items():
        value = setting.value
        if key in _PATHS:
            paths = [f"{home}/{path}" if home else path for path in _as_list(value)]
            value = paths if isinstance(value, list) else paths[0]
        lines.append(f"# {_one_line(setting.why)}")
        if setting.doubt:
            lines.append(f"# QUESTION: {_one_line(setting.doubt)}")
        lines.append(f"{key} = {_toml(value)}")
    return lines


def _groups(proposal: Proposal) -> list[str]:
    """The likeliest group as a setting if its name says so; what else it may be as comments."""
    lines = []
    for place, group in enumerate(proposal.groups):
        lines.append(f"# rows that must stay on one side of every split: {_one_line(group.why)}")
        if group.doubt:
            lines.append(f"# QUESTION: {_one_line(group.doubt)}")
        used = place == 0 and not group.doubt
        lines.append(f"{'' if used else '# '}group = {_toml(group.value)}")
    return lines


def _inside(folder: Path, source: Path) -> str:
    """The source seen from the workspace: where it is inside it, else the link's name."""
    inner, outer = source.resolve(), folder.resolve()
    if not inner.is_relative_to(outer):
        return DATA
    relative = inner.relative_to(outer).as_posix()
    return "" if relative == "." else relative


def _link(folder: Path, source: Path) -> None:
    """Make ``folder``/data a link to the source unless the source is inside the workspace."""
    link, real = folder / DATA, source.resolve()
    if real.is_relative_to(folder.resolve()) or (link.exists() and link.resolve() == real):
        return
    if link.exists() or link.is_symlink():
        raise WorkspaceError(link, "is there already", "move it away, or give it as --from")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        link.symlink_to(real, target_is_directory=True)
    except OSError as error:  # Windows, where only some users may
        raise WorkspaceError(
            link, f"cannot be made a link ({error})", f"copy {source} there and give it as --from"
        ) from error


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _toml(value: Any, *, most: int = 80) -> str:
    """A string or a list of strings, a line each if they are long; JSON's escapes are TOML's."""
    if not isinstance(value, list):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    texts = [_toml(one) for one in value]
    if len(", ".join(texts)) <= most:
        return f"[{', '.join(texts)}]"
    return "[\n" + "".join(f"    {text},\n" for text in texts) + "]"


def _one_line(text: str) -> str:
    """Nothing that a table says may end a comment."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)[:500]
