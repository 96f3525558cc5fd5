"""What was seen, and what is proposed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Seen:
    """What lies in a folder; paths are relative to it, with ``/``.

    ``tables`` hold the text (rows,) of every column; ``notes`` say what was left out.
    """

    tables: dict[str, Columns]
    images: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Setting:
    """A key's value and why; ``doubt`` is what the user should look at."""

    value: Any
    why: str
    doubt: str | None = None


@dataclass(frozen=True)
class Proposal:
    """Settings by key of [competition], [data] and [folds]; ``questions`` nobody could answer.

    ``groups`` and ``metadata`` are columns that may be of use.
    """

    competition: dict[str, Setting]
    data: dict[str, Setting]
    folds: dict[str, Setting] = field(default_factory=dict)
    groups: tuple[Setting, ...] = ()
    metadata: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()


def listed(names: Sequence[str], between: str = ", ") -> str:
    """The first few names, and how many there are."""
    return between.join(names[:8]) + (f", … ({len(names)} in all)" if len(names) > 8 else "")
