"""Image patterns: what they match, and that no id leaves the images' folder."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.locate import locate, match_files
from harness.errors import DataError
from harness.patterns import common_home, fill, home, level_regex

NAMES = st.text(st.characters(exclude_characters="/\0.{}_", exclude_categories=("Cs",)), min_size=1)


@given(NAMES, NAMES)
def test_what_is_filled_in_is_read_again(label: str, id_: str) -> None:
    name = f"{label}.{id_}_x.jpg"
    found = level_regex("{label}.{id}_x.jpg").fullmatch(name)
    if "\n" not in name:
        assert found is not None
        assert found.groupdict() == {"label": label, "id": id_}


def test_homes() -> None:
    assert home("{id}.png") == ""
    assert common_home(["a/{id}.png", "b/{id}.png"]) == ""
    assert common_home(["a/b/{id}.png", "a/b/{id}.jpg"]) == "a/b"
    assert fill("a/{id}.png", "x/y") == "a/x/y.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images in images/, and around it what no id may reach."""
    root = tmp_path_factory.mktemp("patterns")
    (root / "images/sub").mkdir(parents=True)
    (root / "outside").mkdir()
    for name in ("images/a.png", "images/sub/b.png", "secret.png", "outside/c.png"):
        (root / name).touch()
    (root / "images/link.png").symlink_to(root / "secret.png")
    (root / "images/away").symlink_to(root / "outside")
    (root / "images/inside.png").symlink_to(root / "images/sub/b.png")
    return root


PIECES = st.sampled_from(["..", ".", "a", "sub", "b", "link", "away", "c", "inside", "secret", "~"])
PATHS = st.lists(PIECES | st.text(max_size=3), min_size=1, max_size=5).map("/".join)


@given(id_=PATHS | st.text(max_size=20))
def test_no_id_leaves_the_folder(folder: Path, id_: str) -> None:
    try:
        (path,) = locate(["images/{id}.png"], folder, [id_])
    except DataError:
        return
    if path is not None:
        assert path.resolve().is_relative_to(folder / "images")


def test_accents_may_be_composed_or_not(tmp_path: Path) -> None:
    apart, composed = "Zoe\u0308", "Zo\u00eb"  # as macOS packs it, and as it is typed
    (tmp_path / "images").mkdir()
    (tmp_path / f"images/{apart}.png").touch()
    for id_ in (apart, composed):
        (path,) = locate(["images/{id}.png"], tmp_path, [id_])
        assert path is not None
        assert path.is_file()
    (tmp_path / f"images/{composed}.png").touch()  # two files where the file system knows both
    listed = {entry.name for entry in (tmp_path / "images").iterdir()}
    (path,) = locate(["images/{id}.png"], tmp_path, [composed])
    assert path is not None
    assert path.name == (f"{composed}.png" if f"{composed}.png" in listed else f"{apart}.png")
    assert locate(["images/{id}.png"], tmp_path, ["Zo\u00e9"]) == [None]


def test_links_within_the_folder_are_followed(folder: Path) -> None:
    (path,) = locate(["images/{id}.png"], folder, ["inside"])
    assert path == folder / "images/inside.png"
    for id_ in ("link", "away/c"):
        with pytest.raises(DataError, match="leads out"):
            locate(["images/{id}.png"], folder, [id_])
    with pytest.raises(DataError, match="leads out"):
        match_files(["images/{label}/{id}.png"], folder)


def test_names_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    try:
        (tmp_path / "train" / "a.\udcff.png").touch()
    except OSError:
        pytest.skip("this file system holds only text")
    with pytest.raises(DataError, match="no UTF-8"):
        match_files(["train/{label}.{id}.png"], tmp_path)
