"""The table of extra pictures."""

from pathlib import Path

import pytest

from harness.data.extra import read_extra, write_extra
from harness.errors import DataError

CLASSES = ("ant", "bee")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra/one.png").write_bytes(b"1")
    (tmp_path / "two.png").write_bytes(b"2")
    path = tmp_path / "extra.csv"
    path.write_text("file,label,weight,source\nextra/one.png,bee,0.5,web\ntwo.png,ant,1,made\n")
    return path


def test_it_is_read_and_written_again(table: Path) -> None:
    extra = read_extra(table, CLASSES)
    assert extra.target.tolist() == [1, 0]
    assert extra.weight.tolist() == [0.5, 1.0]
    assert extra.paths[0].read_bytes() == b"1"
    text = table.read_text()
    write_extra(table, extra, CLASSES)
    assert table.read_text() == text


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("../two.png,ant,1,x", "no file below"),
        ("/etc/hostname,ant,1,x", "no file below"),
        ("gone.png,ant,1,x", "no file below"),
        ("two.png,cow,1,x", "'cow' is no class"),
        ("two.png,ant,0,x", "no positive number"),
        ("two.png,ant,nan,x", "no positive number"),
        ("two.png,ant,much,x", "no positive number"),
    ],
)
def test_a_bad_row_is_named(table: Path, row: str, words: str) -> None:
    table.write_text(table.read_text() + row + "\n")
    with pytest.raises(DataError, match=words) as caught:
        read_extra(table, CLASSES)
    assert "extra.csv:4" in str(caught.value)


def test_a_missing_column_is_named(table: Path) -> None:
    table.write_text("file,label\ntwo.png,ant\n")
    with pytest.raises(DataError, match="has no column 'weight'"):
        read_extra(table, CLASSES)
