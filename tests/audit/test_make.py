"""The verbs audit, review and add on a small workspace."""

import csv
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from audit.pictures import ALTERATIONS, scene
from PIL import Image
from tiny import CLASSES, edit, tree, write_table

from harness.audit.review import ReviewServer
from harness.audit.suspects import read_doubts
from harness.cli import main
from harness.cli.audit import _drop as leave_out
from harness.competition import load_competition
from harness.data.corrections import Correction, append_corrections, read_corrections, standing
from harness.data.findings import Finding, Findings, read_findings
from harness.data.state import CORRECTIONS, EXTRA, FINDINGS
from harness.data.table import read_table
from harness.display import Display
from harness.errors import ConfigError
from harness.workspace import Workspace
from harness.workspace.folds import read_folds

Harness = Callable[..., int]
ROWS = 45


@pytest.fixture
def pictures(workspace: Path) -> Path:
    """45 labelled scenes, the last three of them altered copies of the first three, and 25 to
    predict, of which the first is the labelled 004; 005 is damaged."""
    images = workspace / "data/images"
    for number in range(ROWS + 25):
        scene(number, 96).save(images / f"{number:03d}.png")
    for number, alter in zip(range(3), ALTERATIONS.values(), strict=False):
        alter(scene(number, 96)).save(images / f"{ROWS - 3 + number:03d}.png")
    (images / f"{ROWS:03d}.png").write_bytes((images / "004.png").read_bytes())
    (images / "005.png").write_bytes(b"damaged")
    labels = [CLASSES[number % 3] for number in range(ROWS)]
    labels[ROWS - 3] = "cat"  # its twin, 000, is an ant
    rows = [[f"{number:03d}", label] for number, label in enumerate(labels)]
    write_table(workspace / "data/train.csv", ["id", "label"], rows)
    test = [f"{number:03d}" for number in range(ROWS, ROWS + 25)]
    write_table(workspace / "data/test.csv", ["id"], [[id_] for id_ in test])
    third = [0.333333333, 0.333333333, 0.333333334]
    write_table(
        workspace / "data/sample_submission.csv", ["id", *CLASSES], [[id_, *third] for id_ in test]
    )
    return workspace


def test_audit_writes_what_it_found(pictures: Path, harness: Harness, capsys) -> None:
    assert harness("audit") == 0
    table = pq.read_table(pictures / FINDINGS)
    assert table.column_names[:4] == ["id", "kind", "severity", "partner"]
    told = {(f.id, f.kind, f.partner) for f in read_findings(pictures / FINDINGS).found}
    assert {
        ("042", "near_duplicate", "000"),
        ("043", "near_duplicate", "001"),
        ("044", "near_duplicate", "002"),
        ("042", "conflicting_label", "000"),
        ("004", "leak_train_test", "045"),
        ("005", "unreadable", None),
    } <= told
    assert sum(kind in ("near_duplicate", "leak_train_test") for _, kind, _ in told) == 4
    said = capsys.readouterr().out
    summary = (pictures / "audit/summary.txt").read_text()
    assert "leak train test: 1, such as '004' and '045'" in summary
    assert all(line in said for line in summary.splitlines())


def test_folds_keep_copies_together(pictures: Path, harness: Harness, capsys) -> None:
    edit(pictures / "competition.toml", "k = 3\n", "k = 3\ngroup_duplicates = true\n")
    assert harness("fold") == 2
    assert "findings.parquet: there is no such file" in capsys.readouterr().err
    assert harness("audit") == 0
    assert harness("fold") == 0
    folds = read_folds(pictures / "folds")
    fold = dict(zip(folds.ids, folds.fold, strict=True))
    assert all(fold[f"{ROWS - 3 + number:03d}"] == fold[f"{number:03d}"] for number in range(3))
    assert folds.groups is not None
    assert len(set(folds.groups)) == ROWS - 3
    assert harness("fold", "--check") == 0


def test_leaks_are_dropped_on_demand_and_only_once(
    pictures: Path, harness: Harness, capsys
) -> None:
    assert harness("audit", "--drop", "leak_train_test", "--drop", "unreadable") == 0
    with (pictures / CORRECTIONS).open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["id"], row["action"]) for row in rows] == [("004", "drop"), ("005", "drop")]
    assert harness("fold") == 0
    assert not {"004", "005"} & set(read_folds(pictures / "folds").ids)
    assert harness("audit", "--drop", "leak_train_test") == 0
    assert "dropped: 0 training images" in capsys.readouterr().out
    append_corrections(pictures / CORRECTIONS, Correction("now", "000", "drop"))
    assert harness("audit", "--restore") == 0
    said = capsys.readouterr().out
    assert "restored: 2 training images" in said
    assert "1 that `review` or an earlier version dropped stay left out" in said
    assert "findings" not in said  # it looked at nothing
    assert sorted(standing(read_corrections(pictures / CORRECTIONS))) == ["000"]
    assert harness("audit", "--restore") == 0
    assert "restored: 0 training images" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "sure", "answer", "refused"),
    [
        (5, False, None, False),  # of 100
        (6, False, None, True),  # nobody is there to be asked
        (6, False, False, True),
        (6, False, True, False),
        (6, True, None, False),
    ],
)
def test_more_than_a_twentieth_is_dropped_on_a_second_word_only(
    rows: int,
    sure: bool,
    answer: bool | None,
    refused: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: answer is not None, raising=False)
    monkeypatch.setattr("typer.confirm", lambda question: answer)
    found = [Finding(str(row), "dark", 0.5) for row in range(rows)]
    found += [Finding("0", "blurred", 0.9), Finding("50", "blank", 0.9)]
    found.append(Finding("60", "dark", 0.9, part="test"))
    findings = Findings(tuple(found), tuple(str(row) for row in range(100)))
    with pytest.raises(ConfigError, match="nothing was left out") if refused else nullcontext():
        leave_out(tmp_path, Display(), findings, ["dark", "blurred"], sure=sure)
    said = capsys.readouterr().out
    assert f"would leave out {rows} of 100 training images (blurred 1, dark {rows - 1})" in said
    decided = standing(read_corrections(tmp_path / CORRECTIONS))
    assert sorted(decided) == ([] if refused else [str(row) for row in range(rows)])


def test_the_source_stays_as_it_is_and_what_is_kept_is_no_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Class folders at the root of a download that another workspace reads, too."""
    source, here = tmp_path / "download", tmp_path / "work"
    for number in range(24):
        (source / CLASSES[number % 3]).mkdir(parents=True, exist_ok=True)
        scene(number, 48).save(source / CLASSES[number % 3] / f"{number}.png")
    (source / "ant/0.png").write_bytes(b"")
    (tmp_path / "given/bee").mkdir(parents=True)
    scene(900, 48).save(tmp_path / "given/bee/new.png")
    before = tree(source)
    assert main(["init", str(here), "--from", str(source)]) == 0
    text = (here / "competition.toml").read_text(encoding="utf-8")
    (here / "competition.toml").write_text(text.partition("# One [[model]]")[0], encoding="utf-8")
    for arguments in (["audit", "--drop", "unreadable"], ["add", str(tmp_path / "given")]):
        assert main([*arguments, "-C", str(here)]) == 0, capsys.readouterr().err
    table = read_table(load_competition(here / "competition.toml"), here)
    assert table.targets == CLASSES
    assert len(table.ids) == 23
    assert tree(source) == before
    assert (here / EXTRA).exists()


def test_an_unknown_kind_is_refused(harness: Harness, capsys) -> None:
    assert harness("audit", "--drop", "leek_train_test") == 2
    assert "did you mean 'leak_train_test'?" in capsys.readouterr().err


def test_planted_wrong_labels_are_listed_for_review(
    workspace: Path, harness: Harness, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(workspace / "data/train.csv", "003,ant", "003,bee")
    source = tree(workspace / "data")
    assert harness("fold") == 0
    assert harness("train", "--only", "probe") == 0
    capsys.readouterr()
    assert harness("review", "--list") == 0
    said = capsys.readouterr().out
    assert "003" in said
    assert "of 30 labels. An estimated " in said
    doubts = read_doubts(Workspace.open(workspace))
    place = [doubt.id for doubt in doubts.found].index("003")
    assert place < 3
    assert doubts.wrong <= doubts.doubted <= 30
    decision = {"item": place, "action": "keep"}
    monkeypatch.setattr(ReviewServer, "serve_forever", lambda self: self.review.decide(decision))
    assert harness("review", "--no-open") == 0
    assert "003" not in [doubt.id for doubt in read_doubts(Workspace.open(workspace)).found]
    assert tree(workspace / "data") == source


def test_review_needs_classes(workspace: Path, harness: Harness, capsys) -> None:
    edit(workspace / "competition.toml", '"multiclass"', '"regression"')
    edit(workspace / "competition.toml", '"log_loss"', '"rmse"')
    assert harness("review", "--list") == 2
    assert "'regression'" in capsys.readouterr().err


@pytest.fixture
def given_folder(pictures: Path, tmp_path: Path) -> Path:
    """Two new ants, one of them twice; copies of a test image and of a labelled one; no picture."""
    folder = tmp_path / "given"
    for name in ("ant", "bee"):
        (folder / name).mkdir(parents=True)
    scene(900, 96).save(folder / "ant/new.png")
    scene(900, 96).save(folder / "ant/new again.PNG")
    scene(901, 96).save(folder / "ant/other.png")
    ALTERATIONS["JPEG"](scene(ROWS + 1, 96)).convert("RGB").save(folder / "bee/test.png")
    ALTERATIONS["crop"](scene(7, 96)).save(folder / "bee/labelled.png")
    (folder / "bee/none.txt").write_text("no picture")
    return folder


def test_add_takes_new_pictures_and_refuses_copies(
    pictures: Path, given_folder: Path, harness: Harness, capsys
) -> None:
    assert harness("add", str(given_folder), "--source", "web", "--weight", "0.5") == 0
    said = capsys.readouterr().out
    assert "took 2 pictures" in said
    for reason in ("a test image", "a labelled image", "another one", "cannot be read"):
        assert reason in said
    assert 'extra = "audit/extra.csv"' in said
    with (pictures / "audit/extra.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["label"], row["weight"], row["source"]) for row in rows] == [
        ("ant", "0.5", "web")
    ] * 2
    for row in rows:
        with Image.open(pictures / "audit" / row["file"]) as image:
            assert image.size == (96, 96)
    assert harness("add", str(given_folder)) == 0
    assert "refused 3: added before" in capsys.readouterr().out
    with (pictures / "audit/extra.csv").open(newline="") as stream:
        assert list(csv.DictReader(stream)) == rows


def test_add_refuses_what_is_no_class(pictures: Path, tmp_path: Path, harness: Harness, capsys):
    (tmp_path / "given/cow").mkdir(parents=True)
    (tmp_path / "given/cow/1.png").write_bytes(b"")
    assert harness("add", str(tmp_path / "given")) == 2
    assert "'cow' of '1.png' is no class" in capsys.readouterr().err
    assert harness("add", str(tmp_path / "nothing.csv")) == 2
    assert not (pictures / "audit/extra.csv").exists()


def test_a_table_of_files_is_taken_too(pictures: Path, given_folder: Path, harness: Harness):
    write_table(given_folder / "more.csv", ["file", "label"], [["ant/other.png", "cat"]])
    assert harness("add", str(given_folder / "more.csv")) == 0
    assert (pictures / "audit/extra.csv").read_text().splitlines()[1].split(",")[1] == "cat"
    assert np.count_nonzero([path.is_file() for path in (pictures / "audit/extra").iterdir()]) == 1
