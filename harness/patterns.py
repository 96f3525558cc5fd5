"""Image patterns: where the images are, and what their paths say. Pure.

``"train/{id}.jpg"`` is the image of an id; ``"train/{label}/{id}.png"`` finds images and reads a
column out of their paths for every name in braces. A name stands for a part of one folder's or
file's name, as few characters as fit.
"""

import posixpath
import re
from collections.abc import Sequence

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def placeholders(pattern: str) -> list[str]:
    """The names in braces, in order.

    >>> placeholders("train/{label}/{id}.png")
    ['label', 'id']
    """
    return _PLACEHOLDER.findall(pattern)


def home(pattern: str) -> str:
    """The folder that no image of the pattern may leave: all before its first name in braces.

    >>> home("data/train/{label}.{id}.jpg")
    'data/train'
    """
    return pattern.partition("{")[0].rpartition("/")[0]


def common_home(patterns: Sequence[str]) -> str:
    """The deepest folder that holds the images of all patterns.

    >>> common_home(["data/train/{label}/{id}.png", "data/val/{label}/{id}.png"])
    'data'
    """
    homes = [home(pattern) for pattern in patterns]
    return homes[0] if len(set(homes)) == 1 else posixpath.commonpath(homes)


def fill(pattern: str, id_: str) -> str:
    """The pattern's path for an id."""
    return pattern.replace("{id}", id_)


def level_regex(level: str) -> re.Pattern[str]:
    """One folder's or file's part of a pattern as a regular expression with named groups.

    An ending fits in small and in capital letters.

    >>> level_regex("{label}.{id}.jpg").fullmatch("cat.0.jpg").groupdict()
    {'label': 'cat', 'id': '0'}
    """
    pieces = _PLACEHOLDER.split(level)  # text, name, text, name, …, text
    stem, dot, ending = pieces[-1].partition(".")
    texts, names = [re.escape(text) for text in pieces[:-1:2]], pieces[1::2]
    texts.append(f"{re.escape(stem)}(?i:{re.escape(dot + ending)})")
    groups = [f"(?P<{name}>.+?)" for name in names]
    return re.compile("".join(t + g for t, g in zip(texts, [*groups, ""], strict=True)))
