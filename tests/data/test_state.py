"""audit/: what an earlier version kept in data/ is brought there, and the data stay as they are."""

from pathlib import Path

import pytest
from tiny import tree, write_table

from harness.data import state
from harness.data.corrections import Correction, append_corrections, read_corrections
from harness.data.extra import extra_table
from harness.data.findings import Finding, Findings, read_findings, write_findings
from harness.data.locate import match_files
from harness.data.state import CORRECTIONS, EXTRA, FINDINGS, MAPS, SUMMARY, adopt

DIGEST = 32 * "0"


def earlier(data: Path) -> None:
    """What audit, review and add of an earlier version wrote, beside a competition's table."""
    write_table(data / "train.csv", ["id", "label"], [["0", "ant"]])
    append_corrections(data / "corrections.csv", Correction("now", "0", "drop"))
    write_findings(data / "audit.parquet", Findings((Finding("0", "dark", 1.0),), ("0",)))
    (data / "audit.txt").write_text("dark: 1\n")
    (data / "audit").mkdir()
    (data / "audit/class-0.png").write_bytes(b"map")
    (data / "extra").mkdir()
    (data / f"extra/{DIGEST}.png").write_bytes(b"picture")
    header = ["file", "label", "weight", "source"]
    write_table(data / "extra.csv", header, [[f"extra/{DIGEST}.png", "ant", "1", "web"]])


def assert_adopted(root: Path) -> None:
    assert [line.id for line in read_corrections(root / CORRECTIONS)] == ["0"]
    assert read_findings(root / FINDINGS).ids == ("0",)
    assert (root / SUMMARY).read_text() == "dark: 1\n"
    assert (root / MAPS / "class-0.png").read_bytes() == b"map"
    assert (root / f"audit/extra/{DIGEST}.png").read_bytes() == b"picture"
    assert f"extra/{DIGEST}.png" in (root / EXTRA).read_text()


def test_files_of_an_earlier_version_are_moved_once(tmp_path: Path) -> None:
    earlier(tmp_path / "data")
    assert adopt(tmp_path) == "6 file(s) that audit, review and add kept in data/ are in audit/ now"
    assert_adopted(tmp_path)
    assert {*tree(tmp_path / "data")} - {".corrections.csv.lock"} == {"train.csv"}
    assert extra_table(tmp_path, "data/extra.csv") == tmp_path / EXTRA
    assert adopt(tmp_path) is None


def test_they_are_copied_from_data_that_are_a_link(tmp_path: Path) -> None:
    earlier(tmp_path / "download")
    before = tree(tmp_path / "download")
    (tmp_path / "work").mkdir()
    (tmp_path / "work/data").symlink_to(tmp_path / "download")
    notice = adopt(tmp_path / "work")
    assert notice is not None
    assert "copied" in notice
    assert str(tmp_path / "download") in notice
    assert_adopted(tmp_path / "work")
    assert tree(tmp_path / "download") == before
    assert adopt(tmp_path / "work") is None


@pytest.mark.parametrize("moved", range(6))
def test_a_move_that_was_cut_off_goes_on(
    moved: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier(tmp_path / "data")
    move, left = state.shutil.move, iter(range(moved))

    def moving(old: Path, new: Path) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        move(old, new)

    monkeypatch.setattr(state.shutil, "move", moving)
    with pytest.raises(KeyboardInterrupt):
        adopt(tmp_path)
    monkeypatch.undo()
    assert adopt(tmp_path) is not None
    assert_adopted(tmp_path)
    assert {*tree(tmp_path / "data")} - {".corrections.csv.lock"} == {"train.csv"}


def test_a_competitions_own_files_of_these_names_stay(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_table(data / "corrections.csv", ["id", "label"], [["0", "ant"]])
    write_table(data / "extra.csv", ["file", "label", "weight", "source"], [["extra/a.png"] * 4])
    for name in ("audit.txt", "audit.parquet", "extra/a.png", "audit/class-0.png"):
        (data / name).parent.mkdir(exist_ok=True)
        (data / name).write_bytes(b"theirs")
    before = tree(data)
    assert adopt(tmp_path) is None
    assert tree(data) == before
    assert extra_table(tmp_path, "data/extra.csv") == data / "extra.csv"


def test_what_audit_keeps_is_no_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ant/0.png", "audit/1.png", "bee/audit/2.png", "audit/maps/class-0.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    for root in (tmp_path, Path()):
        assert list(match_files(["{label}/{id}.png"], root)) == ["ant/0.png"]
    assert list(match_files(["{label}/{group}/{id}.png"], tmp_path)) == ["bee/audit/2.png"]
