"""How text of tables, paths and competition.toml is compared and read as a number. Pure."""

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from harness.errors import DataError

IMAGE_ENDINGS = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".tif", ".tiff", ".webp", ".bmp", ".gif"),
    *(".jp2", ".ppm", ".pgm"),
)


def comparable(text: str) -> str:
    """Return the text without white space around it, each letter and its accents as one.

    >>> comparable(" Zoe\u0308 ") == "Zo\u00eb"
    True
    """
    return unicodedata.normalize("NFC", text.strip())


def id_key(id_: str) -> str:
    """Return what ids of one picture share, however two tables or systems spell them."""
    return file_key(comparable(slashed(id_)))


def disagreement(sources: Mapping[str, Collection[str]]) -> str | None:
    """Return how the sources (name → ids) differ in what is to be predicted; None if they agree.

    >>> disagreement({"test.csv": ["a", "b"], "sample.csv": ["a"]})
    "test.csv has 2 ids, sample.csv has 1 ids: 1 not in all of them, the first is 'b'"
    """
    ids = [set(map(id_key, listed)) for listed in sources.values()]
    if not (odd := sorted(ids[0].union(*ids) - ids[0].intersection(*ids))):
        return None
    counts = ", ".join(f"{name} has {len(listed)} ids" for name, listed in sources.items())
    return f"{counts}: {len(odd)} not in all of them, the first is {odd[0]!r}"


def spelled_as(known: Iterable[str], ids: Iterable[str]) -> list[str]:
    """Return the ids; those that ``known`` has are spelled as there."""
    own = {id_key(id_): id_ for id_ in known}
    return [own.get(id_key(id_), id_) for id_ in ids]


def in_one_spelling(names: Sequence[str], known: Iterable[str] = ()) -> list[str]:
    """Return the names; those that differ only in Unicode form are spelled alike.

    The spelling is that of ``known``, else that of the first.
    """
    spelling = {comparable(name): name for name in (*names[::-1], *known)}
    return [spelling[comparable(name)] for name in names]


def refuse_look_alikes(ids: Sequence[str] | NDArray[Any], suspects: Iterable[int]) -> None:
    """Raise a DataError if two of the rows' ids differ only in case, space or Unicode form."""
    seen: dict[str, str] = {}
    for text in (ids[row] for row in suspects):
        form = plain_form(text)
        if seen.get(form) == text:
            raise DataError("data", f"the id {text!r} occurs twice", "each image needs one row")
        if form in seen:
            raise DataError(
                "data",  # ascii, because the two may look the same on a screen
                f"ids {seen[form]!a} and {text!a} differ only in case, space or Unicode form",
                "they would be taken for one another: rename one, or remove it if they are one",
            )
        seen[form] = text


def plain_form(text: str) -> str:
    """Return the text without case, surrounding space and Unicode form."""
    if text.isascii():
        return text.lower().strip()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).strip()


def split(cell: str, separator: str) -> list[str]:
    """Return the labels in a cell, in order."""
    return [label for label in map(str.strip, cell.split(separator)) if label]


def number(text: str) -> float:
    """Return the number that the text is, 1 and 0 for true and false; NaN where it is none.

    >>> number("True"), number("0.5"), number("many")
    (1.0, 0.5, nan)
    """
    if text.lower() in ("true", "false"):
        return float(text.lower() == "true")
    try:
        return float(text)
    except ValueError:
        return float("nan")


def slashed(path: str) -> str:
    """Return a path of any system as one below the same folder, with ``/``.

    >>> slashed("train\\\\cat\\\\0.jpg"), slashed("./0.jpg")
    ('train/cat/0.jpg', '0.jpg')
    """
    return path.replace("\\", "/").removeprefix("./")


def file_key(path: str) -> str:
    """Return the path with composed accents in its name and an image's ending in small letters.

    >>> file_key("Train/A.JPG")
    'Train/A.jpg'
    """
    folder, slash, name = path.rpartition("/")
    name = unicodedata.normalize("NFC", name)
    stem, dot, ending = name.rpartition(".")
    return folder + slash + (stem + dot + ending.lower() if is_image(name) else name)


def is_image(path: str) -> bool:
    """Whether the file's ending is that of an image."""
    return path.lower().endswith(IMAGE_ENDINGS)
