"""Writing all of a file or nothing."""

from pathlib import Path

import pytest

from harness.errors import as_user_error
from harness.files import digest, replacing, write_text


def test_an_error_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")

    def write_half() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half of the new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("named", [True, False])
def test_a_full_disk_is_said_of_the_file(
    named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device", str(path) if named else None)

    def read_only(path: Path, *, missing_ok: bool = False) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr("harness.files._sync", full)
    monkeypatch.setattr(Path, "unlink", read_only)
    with pytest.raises(OSError, match="No space left") as raised:
        write_text(tmp_path / "x.txt", "text")
    assert raised.value.filename == str(tmp_path / "x.txt")
    said = as_user_error(raised.value)
    assert str(said) == (
        f"{tmp_path / 'x.txt'}: cannot be read or written (No space left on device); "
        "make room on its disk"
    )


def test_an_unknown_error_of_the_system_is_a_bug() -> None:
    assert as_user_error(OSError(25, "Inappropriate ioctl for device", "x")) is None
    assert as_user_error(KeyError("x")) is None


def test_folders_are_made_and_line_ends_are_unix(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "é\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "é\n".encode()


def test_borders_of_parts_count() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("a", b"b") == digest(b"a", "b")
