"""The competition's data: whole or not at all, through every fault, and nothing outside."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contract_server import AFTER, BEFORE
from contract_server import Kaggle as Server
from rich.console import Console

from harness.display import Display
from harness.errors import DataError, KaggleError
from harness.kaggle.download import fetch_data, unpack
from harness.kaggle.seam import Kaggle

QUIET = Display(Console(quiet=True))
PICTURES = {f"train/{i}.png": np.random.default_rng(i).bytes(400_000 + i) for i in range(6)}
FILES = {"train.csv": b"id,label\n1,a\n", **PICTURES}


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.fixture
def offering(server: Server) -> Server:
    server.archive = zipped(FILES)
    server.files = {name: len(content) for name, content in FILES.items()}
    return server


def fetch(kaggle: Kaggle, folder: Path) -> bool:
    return fetch_data(kaggle, "leaves", folder / "data", folder / "cache", QUIET)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def test_all_files_come_and_come_once(offering: Server, kaggle: Kaggle, tmp_path: Path) -> None:
    assert fetch(kaggle, tmp_path)
    assert contents(tmp_path / "data") == FILES
    assert list((tmp_path / "cache").iterdir()) == []
    assert not fetch(kaggle, tmp_path)
    (tmp_path / "data/train/3.png").unlink()
    assert fetch(kaggle, tmp_path)
    assert contents(tmp_path / "data") == FILES
    offering.etag = '"two"'
    corrected = FILES | {"train.csv": b"id,label\n1,b\n"}  # of the same size
    offering.archive = zipped(corrected)
    assert fetch(kaggle, tmp_path)
    assert contents(tmp_path / "data") == corrected


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        (step, fault)
        for step in ("DownloadDataFiles", "GET", "ListDataFiles")
        for fault in (*BEFORE, *AFTER, "truncated")
        if (step, fault) != ("GET", "garbled")  # checksums are tested below
    ],
)
def test_every_fault_is_survived(
    fault: str, step: str, offering: Server, kaggle: Kaggle, tmp_path: Path
) -> None:
    # the first GET is only asked what there is
    offering.faults[step] = ["none", fault, fault] if step == "GET" else [fault]
    if fault == "401":
        with pytest.raises(KaggleError):
            fetch(kaggle, tmp_path)
        assert not (tmp_path / "data/.kaggle.json").exists()
        offering.faults.clear()
    assert fetch(kaggle, tmp_path)
    assert contents(tmp_path / "data") == FILES


def test_what_was_cut_off_is_gone_on_with(
    offering: Server, kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.kaggle.download.PAUSES", ())
    monkeypatch.setattr("harness.kaggle.download.PIECE", 10_000)
    offering.faults["GET"] = ["none", "truncated"]
    with pytest.raises(KaggleError):
        fetch(kaggle, tmp_path)
    part = (tmp_path / "cache/leaves.zip").stat().st_size
    assert 0 < part < len(offering.archive)
    assert contents(tmp_path / "data") == {}
    assert fetch(kaggle, tmp_path)
    assert part in offering.asked_from
    assert contents(tmp_path / "data") == FILES


def test_another_version_is_never_joined_to_a_part(
    offering: Server, kaggle: Kaggle, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "leaves.zip").write_bytes(b"part of an older archive")
    (cache / "leaves.zip.json").write_text(
        '{"competition": "leaves", "version": "\\"zero\\"", "size": 100}', encoding="utf-8"
    )
    assert fetch(kaggle, tmp_path)
    assert contents(tmp_path / "data") == FILES


def test_an_archive_that_changes_meanwhile_is_fetched_anew(
    offering: Server, kaggle: Kaggle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, changed = kaggle.wire.get, FILES | {"train.csv": b"id,label\n1,z\n"}

    def change_first(*arguments: Any) -> Any:
        offering.etag, offering.archive = '"two"', zipped(changed)
        return real(*arguments)

    monkeypatch.setattr(kaggle.wire, "get", change_first)
    offering.faults["GET"] = ["none", "truncated"]
    assert fetch(kaggle, tmp_path)
    assert contents(tmp_path / "data") == changed


def test_a_killed_download_goes_on(offering: Server, kaggle: Kaggle, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from rich.console import Console\n"
        "from harness.display import Display; from harness.kaggle.download import fetch_data\n"
        "from harness.kaggle.seam import connect; folder = Path(sys.argv[1])\n"
        "fetch_data(connect(print), 'leaves', folder / 'data', folder / 'cache', Display())\n"
    )
    offering.faults["GET"] = ["none", "stall"]
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    try:
        assert offering.stalled.wait(60)
    finally:
        process.kill()
        process.wait()
    assert contents(tmp_path / "data") == {}
    assert fetch(kaggle, tmp_path)
    assert contents(tmp_path / "data") == FILES


def test_a_file_that_is_missing_is_no_success(
    offering: Server, kaggle: Kaggle, tmp_path: Path
) -> None:
    offering.files["test.csv"] = 7
    with pytest.raises(DataError, match=r"lacks 1 of the files that Kaggle lists.*test.csv"):
        fetch(kaggle, tmp_path)
    assert not (tmp_path / "data/.kaggle.json").exists()


def test_archives_within_are_unpacked(server: Server, kaggle: Kaggle, tmp_path: Path) -> None:
    bare, own = zipped({"1.png": b"1", "2.png": b"2"}), zipped({"test/3.png": b"3"})
    files = {"train.zip": bare, "test.zip": own, "labels.csv.zip": zipped({"labels.csv": b"l"})}
    server.archive = zipped(files)
    server.files = {name: len(content) for name, content in files.items()}
    assert fetch(kaggle, tmp_path)
    assert contents(tmp_path / "data") == files | {
        "train/1.png": b"1",
        "train/2.png": b"2",
        "test/3.png": b"3",
        "labels.csv": b"l",
    }
    assert not fetch(kaggle, tmp_path)
    (tmp_path / "data/train/2.png").unlink()
    assert fetch(kaggle, tmp_path)
    assert (tmp_path / "data/train/2.png").read_bytes() == b"2"


def test_a_single_file_needs_no_archive(server: Server, kaggle: Kaggle, tmp_path: Path) -> None:
    server.archive, server.files = b"id,label\n", {"leaves.zip": 9}
    assert fetch(kaggle, tmp_path)
    assert contents(tmp_path / "data") == {"leaves.zip": b"id,label\n"}


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../../x", "C:/x", "a\\..\\x", ".kaggle.json", "out/x"]
)
def test_nothing_leaves_the_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "out").symlink_to(tmp_path)
    archive = tmp_path / "a.zip"
    archive.write_bytes(zipped({"fine": b"1", name: b"2"}))
    with pytest.raises(DataError, match=r"unsafe name|leads out of"):
        unpack(archive, folder, QUIET)
    assert [path.name for path in folder.iterdir()] == ["out"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "data"]


def test_links_and_repeated_names_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="is a link"):
        unpack(archive, tmp_path / "data", QUIET)
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("a", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            opened.writestr("a", "2")
    with pytest.raises(DataError, match="holds 'a' twice"):
        unpack(archive, tmp_path / "data", QUIET)


def test_damage_is_noticed(tmp_path: Path) -> None:
    content = bytearray(zipped({"a": b"x" * 1000}))
    content[500] ^= 1
    archive = tmp_path / "a.zip"
    archive.write_bytes(bytes(content))
    with pytest.raises(DataError, match="is damaged"):
        unpack(archive, tmp_path / "data", QUIET)
    assert not (tmp_path / "data/a").exists()
