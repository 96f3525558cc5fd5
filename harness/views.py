"""The names of test-time views, and the views that change no label. Pure."""

from collections.abc import Sequence
from typing import Literal, get_args

from harness.model import Invariance

View = Literal[
    "identity", "hflip", "rot90", "transpose", "vflip", "rot180", "rot270", "transverse", "zoom"
]
"""``harness.predict.views`` makes them. The first eight are all ways to lay a square; the first
four hold one for each combination of mirrored or not and turned by a quarter or not."""
DEFAULT_VIEWS = 4
"""At most so many are averaged if competition.toml does not say: each costs a full prediction."""


def allowed_views(invariances: Sequence[Invariance]) -> tuple[View, ...]:
    """Return the views that change no label, where those changes do not: all that they lead to.

    The picture as it is comes first. Every prefix is spread as well as its length allows.
    """
    stated = set(invariances)
    names: tuple[View, ...] = get_args(View)
    if "rot90" in stated:
        return names[:8] if len(stated) > 1 else ("identity", "rot180", "rot90", "rot270")
    both: tuple[View, ...] = ("rot180",) if len(stated) == 2 else ()
    return ("identity", *(name for name in names if name in stated), *both)
