"""Tables and folders as strangers make them: spaces, accents, other systems' paths, odd ids."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny import TOML, edit, write_table

from harness.competition import Competition, load_competition
from harness.data.extra import read_extra
from harness.data.frame import as_column, read_columns, trimmed
from harness.data.images import find_images
from harness.data.locate import locate
from harness.data.sample import read_sample, read_test_ids
from harness.data.summary import check_test, summarise
from harness.data.table import Table, read_table
from harness.errors import ConfigError, DataError
from harness.init.write import init_from

NAMES = ("cat", "dog", "elk")
APART, COMPOSED = "Zoe\u0308", "Zo\u00eb"


def apart(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def touch(folder: Path, *files: str) -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def workspace_from(folder: Path) -> tuple[Competition, str]:
    """What ``init --from`` makes of the folder ``comp``, and the text that it writes."""
    path, _ = init_from(folder / "w", folder / "comp")
    return load_competition(path), path.read_text(encoding="utf-8")


def configured(
    folder: Path, data: str, task: str = "multiclass", metric: str = "accuracy"
) -> Table:
    """The training table under a [data] section of its own."""
    (folder / "competition.toml").write_text(
        f'[competition]\nname = "x"\ntask = "{task}"\nmetric = "{metric}"\n[data]\n{data}\n',
        encoding="utf-8",
    )
    return read_table(load_competition(folder / "competition.toml"), folder)


@pytest.mark.parametrize("kind", ["comma-space", "trailing", "index"])
def test_a_table_that_was_made_by_hand(tmp_path: Path, kind: str) -> None:
    rows = [(f"a{n:03d}.png", NAMES[n % 3]) for n in range(30)]
    header, lines = {
        "comma-space": ("filename, label", [f"{id_}, {name}" for id_, name in rows]),
        "trailing": (
            "filename,label ",
            [f"{id_},{name}{' ' * (id_ > 'a02')}" for id_, name in rows],
        ),
        "index": (",filename,label", [f"{n},{id_},{name}" for n, (id_, name) in enumerate(rows)]),
    }[kind]
    comp = tmp_path / "comp"
    touch(comp, *(f"train/{id_}" for id_, _ in rows), *(f"test/b{n}.png" for n in range(9)))
    text = "\r\n".join([header, *lines, "", ""])
    (comp / "train.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    write_table(comp / "sample_submission.csv", ["filename", "label"], [["b1.png", "cat"]])
    competition, written = workspace_from(tmp_path)
    table = read_table(competition, tmp_path / "w")
    assert table.targets == NAMES
    assert list(table.ids) == [id_ for id_, _ in rows]
    assert ("# train.csv: white space around 'label' is left out" in written) == (kind != "index")


def test_white_space_is_the_same_for_both_readers() -> None:
    cells = [f"{space}a{space}" for space in map(chr, range(1, 0x3100))]
    assert trimmed(as_column(cells)).to_pylist() == [cell.strip() for cell in cells]


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_class_folders_as_macos_packs_them(tmp_path: Path, on_disk: str) -> None:
    names = ['Vásquez, J. & "co"', "café ☕", "a'b;c"]
    comp = tmp_path / "My data (1) [copy]" / "comp"
    folders = [unicodedata.normalize(on_disk, name) for name in names]
    touch(comp, *(f"train/{folders[n % 3]}/img {n} (1).png" for n in range(12)))
    touch(comp, *(f"test/{unicodedata.normalize(on_disk, f'tést {n}.png')}" for n in range(3)))
    sample = [[f"tést {n}.png", 0.3, 0.3, 0.4] for n in range(3)]
    write_table(comp / "sample_submission.csv", ["file name", *names], sample)
    competition, _ = workspace_from(comp.parent)
    table = read_table(competition, comp.parent / "w")
    assert table.targets == tuple(names)
    assert np.bincount(table.target).tolist() == [4, 4, 4]
    ids = read_test_ids(competition, comp.parent / "w")
    assert all(
        path.is_file() for path in find_images(competition, comp.parent / "w", ids, test=True)
    )


@pytest.mark.parametrize("sample", [["id", COMPOSED, "cat"], ["id", "label"], None])
def test_labels_and_groups_in_two_unicode_forms_are_one(
    tmp_path: Path, sample: list[str] | None
) -> None:
    rows = [["1", APART, APART], ["2", COMPOSED, COMPOSED], ["3", "cat", "x"]]
    write_table(tmp_path / "train.csv", ["id", "label", "owner"], rows)
    data = 'train = "train.csv"\nimages = "{id}.png"\nlabel = "label"\ngroup = "owner"\n'
    spelled = APART
    if sample is not None:
        write_table(tmp_path / "s.csv", sample, [["t", COMPOSED, *sample[2:]]])
        data += 'sample_submission = "s.csv"'
        spelled = COMPOSED  # as the sample has it
    table = configured(tmp_path, data)
    assert set(table.targets) == {"cat", spelled}
    assert list(table.labels) == [spelled, spelled, "cat"]
    assert table.groups is not None
    assert len(set(table.groups)) == 2


@pytest.mark.parametrize("said", [APART, COMPOSED])
def test_a_column_is_found_in_either_unicode_form(tmp_path: Path, said: str) -> None:
    write_table(tmp_path / "train.csv", ["id", APART], [["1", "a"], ["2", "b"]])
    data = f'train = "train.csv"\nimages = "{{id}}.png"\nlabel = "{said}"'
    assert configured(tmp_path, data).targets == ("a", "b")


def test_joined_labels_are_spelled_as_the_sample_spells_them(tmp_path: Path) -> None:
    write_table(tmp_path / "train.csv", ["id", "l"], [["1", f"cat | {APART}"], ["2", COMPOSED]])
    write_table(tmp_path / "s.csv", ["id", "l"], [["t", f"cat|{COMPOSED}"]])
    data = 'train = "train.csv"\nimages = "{id}.png"\nlabel = "l"\nseparator = "|"\n'
    table = configured(tmp_path, data + 'sample_submission = "s.csv"', "multilabel", "f1_micro")
    assert table.targets == (COMPOSED, "cat") or table.targets == ("cat", COMPOSED)
    assert table.target.sum() == 3


def test_added_pictures_are_of_a_class_in_either_unicode_form(tmp_path: Path) -> None:
    from harness.audit.grow import _given  # which imports torch

    touch(tmp_path, f"new/{APART}/1.png", "extra/1.png")
    _, target = _given(tmp_path / "new", ["cat", COMPOSED])
    assert target.tolist() == [1]
    row = [["extra/1.png", APART, 1, "x"]]
    write_table(tmp_path / "extra.csv", ["file", "label", "weight", "source"], row)
    assert read_extra(tmp_path / "extra.csv", ["cat", COMPOSED]).target.tolist() == [1]


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_marks_may_be_words(tmp_path: Path, task: str) -> None:
    rows = [["1", "True", "False"], ["2", "false", "TRUE"]]
    write_table(tmp_path / "train.csv", ["id", "a", "b"], rows)
    data = 'train = "train.csv"\nimages = "{id}.png"\nlabels = ["a", "b"]'
    table = configured(tmp_path, data, task)
    assert table.target.tolist() == ([[1, 0], [0, 1]] if task == "multilabel" else [0, 1])


def test_init_takes_words_for_marks(tmp_path: Path) -> None:
    comp = tmp_path / "comp"
    touch(comp, *(f"train/{n}.png" for n in range(8)), "test/t.png")
    marks = [[n, n % 2 == 0, n % 3 == 0, False] for n in range(8)]
    write_table(comp / "train.csv", ["id", "a", "b", "never"], marks)
    write_table(comp / "sample_submission.csv", ["id", "a", "b", "never"], [["t", 0, 0, 0]])
    competition, written = workspace_from(tmp_path)
    assert competition.competition.task == "multilabel"
    assert "hold more than 0 and 1" not in written
    table = read_table(competition, tmp_path / "w")
    assert table.target.sum(axis=0).tolist() == [4, 3, 0]


# ---- paths


@pytest.mark.parametrize(
    ("pattern", "id_", "file"),
    [
        ("{id}", r"train\cat\0.jpg", "train/cat/0.jpg"),
        ("train/{id}", "./0.jpg", "train/0.jpg"),
        ("train/{id}", "0.jpg", "train/0.JPG"),
        ("train/{id}.JPG", "0", "train/0.jpg"),
        ("train/{id}", f"{COMPOSED}/0.JPG", f"train/{APART}/0.jpg"),
    ],
)
def test_paths_of_other_systems_find_their_file(
    tmp_path: Path, pattern: str, id_: str, file: str
) -> None:
    touch(tmp_path, file)
    assert locate([pattern], tmp_path, [id_]) == [tmp_path / file]


def test_an_exact_name_comes_before_another_ending(tmp_path: Path) -> None:
    touch(tmp_path, "x.jpg", "x.JPG")
    if len(list(tmp_path.iterdir())) == 2:  # the file system knows both
        assert locate(["{id}"], tmp_path, ["x.JPG", "x.jpg"]) == [
            tmp_path / "x.JPG",
            tmp_path / "x.jpg",
        ]


@pytest.mark.parametrize("id_", [r"..\x", r"a\..\..\x", r"\etc\passwd"])
def test_a_path_of_another_system_stays_in_the_folder(tmp_path: Path, id_: str) -> None:
    with pytest.raises(DataError, match="leads out"):
        locate(["train/{id}"], tmp_path, [id_])


def test_patterns_may_be_written_as_windows_does(tmp_path: Path) -> None:
    touch(tmp_path, "train/a/1.PNG", "train/b/2.png")
    table = configured(tmp_path, r"images = 'train\{label}\{id}.png'")
    assert list(table.ids) == ["a/1.PNG", "b/2.png"]


def test_init_reads_ids_with_backslashes_and_other_endings(tmp_path: Path) -> None:
    comp = tmp_path / "comp"
    touch(comp, *(f"train/{NAMES[n % 3]}/{n}.JPG" for n in range(9)))
    rows = [[rf"train\{NAMES[n % 3]}\{n}.jpg", NAMES[n % 3]] for n in range(9)]
    write_table(comp / "train.csv", ["path", "label"], rows)
    competition, _ = workspace_from(tmp_path)
    table = read_table(competition, tmp_path / "w")
    assert len(set(find_images(competition, tmp_path / "w", table.ids))) == 9


@pytest.mark.parametrize(
    ("id_", "there", "said"),
    [
        ("train/x1.png", "train/x1.png", "train/x1.png"),
        ("cat_007.png", "train/cat_0007.png", "train/cat_0007.png"),
        ("x1", "train/x1.dcm", "train/x1.dcm"),
    ],
)
def test_the_nearest_file_is_named(tmp_path: Path, id_: str, there: str, said: str) -> None:
    touch(tmp_path, there)
    (tmp_path / "competition.toml").write_text(
        TOML.replace("data/images/{id}.png", "train/{id}"), encoding="utf-8"
    )
    competition = load_competition(tmp_path / "competition.toml")
    with pytest.raises(DataError, match=f"the nearest file is .*{re.escape(said)}"):
        find_images(competition, tmp_path, [id_])


# ---- which ids are predicted


def stale(folder: Path, sample: int, *, table: bool = True) -> None:
    """A competition with 20 test pictures, whose sample submission has another number of rows."""
    touch(folder, *(f"train/{n:03d}.png" for n in range(12)))
    touch(folder, *(f"test/t{n:03d}.png" for n in range(20)))
    rows = [[f"{n:03d}", NAMES[n % 3]] for n in range(12)]
    write_table(folder / "train.csv", ["id", "label"], rows)
    if table:
        write_table(folder / "test.csv", ["id"], [[f"t{n:03d}"] for n in range(20)])
    asked = [[f"t{n:03d}", "cat"] for n in range(sample)]
    write_table(folder / "sample_submission.csv", ["id", "label"], asked)


@pytest.mark.parametrize(("rows", "odd"), [(17, "t017"), (21, "t020")])
def test_a_sample_of_an_older_cut_is_outvoted_and_asked_about(
    tmp_path: Path, rows: int, odd: str
) -> None:
    stale(tmp_path / "comp", rows)
    competition, written = workspace_from(tmp_path)
    said = (
        f"sample_submission.csv has {rows} ids, test.csv has 20 ids, the test folder has 20 ids: "
        f"{abs(rows - 20)} not in all of them, the first is '{odd}'"
    )
    assert f"# {said}\n# QUESTION: which does the competition score?" in written
    assert competition.data.test_ids == "test"
    ids = [f"t{n:03d}" for n in range(20)]
    assert list(read_test_ids(competition, tmp_path / "w")) == ids
    (line,) = (line for line in summarise(competition, tmp_path / "w") if odd in line)
    assert "'test' decides ([data] test_ids)" in line


def test_the_sample_decides_over_a_folder_alone(tmp_path: Path) -> None:
    stale(tmp_path / "comp", 17, table=False)
    competition, _ = workspace_from(tmp_path)
    assert competition.data.test_ids == "sample_submission"
    assert len(read_test_ids(competition, tmp_path / "w")) == 17
    edit(tmp_path / "w/competition.toml", '"sample_submission"\n', '"test_images"\n')
    competition = load_competition(tmp_path / "w/competition.toml")
    assert len(read_test_ids(competition, tmp_path / "w")) == 20


def test_tables_that_disagree_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    stale(tmp_path, 17)
    data = 'train = "train.csv"\nimages = "train/{id}.png"\ntest_images = "test/{id}.png"\n'
    data += 'label = "label"\ntest = "test.csv"\nsample_submission = "sample_submission.csv"\n'
    configured(tmp_path, data)
    with pytest.raises(DataError, match=r"3 not in all of them, .* set \[data\] test_ids = "):
        check_test(load_competition(tmp_path / "competition.toml"), tmp_path)
    for decides, rows in (("sample_submission", 17), ("test", 20), ("test_images", 20)):
        configured(tmp_path, f'{data}test_ids = "{decides}"')
        competition = load_competition(tmp_path / "competition.toml")
        sample = read_sample(competition, tmp_path)
        assert sample is not None
        assert len(sample.ids) == len(read_test_ids(competition, tmp_path)) == rows
    with pytest.raises(ConfigError, match="'test_ids' is 'test', which is not set"):
        configured(tmp_path, data.replace('test = "test.csv"\n', "") + 'test_ids = "test"')


def test_ids_that_two_tables_spell_otherwise_are_the_samples(tmp_path: Path) -> None:
    stale(tmp_path, 0)
    write_table(tmp_path / "test.csv", ["id"], [[r"a\1.JPG"], [f"{APART} "]])
    write_table(
        tmp_path / "sample_submission.csv", ["id", "label"], [[COMPOSED, 0], ["a/1.jpg", 0]]
    )
    data = 'train = "train.csv"\nimages = "train/{id}.png"\nlabel = "label"\n'
    configured(tmp_path, data + 'test = "test.csv"\nsample_submission = "sample_submission.csv"')
    competition = load_competition(tmp_path / "competition.toml")
    assert list(read_test_ids(competition, tmp_path)) == ["a/1.jpg", COMPOSED]


# ---- repeated ids


def repeated(rows: Sequence[Sequence[object]]) -> str:
    return "\n".join(",".join(map(str, row)) for row in [("id", "label", "age"), *rows]) + "\n"


@pytest.mark.parametrize("again", [1, 3, 20])
def test_identical_rows_can_be_merged(tmp_path: Path, again: int) -> None:
    comp = tmp_path / "comp"
    rows = [(f"{n}", NAMES[n % 2], n) for n in range(20)]
    touch(comp, *(f"train/{id_}.png" for id_, *_ in rows))
    more = [(id_, label, 99) for id_, label, _ in rows[:again]]
    (comp / "train.csv").write_text(repeated([*rows, *more]), encoding="utf-8")
    competition, written = workspace_from(tmp_path)
    assert "# QUESTION: id '0' stands in 2 rows" in written
    assert competition.data.repeats == "merge"
    assert len(read_table(competition, tmp_path / "w").ids) == 20
    edit(tmp_path / "w/competition.toml", 'repeats = "merge"', 'repeats = "error"')
    competition = load_competition(tmp_path / "w/competition.toml")
    with pytest.raises(DataError, match=r"'0' stands .* \[data\] repeats = \"merge\""):
        read_table(competition, tmp_path / "w")


def test_rows_of_an_id_that_differ_are_never_merged(tmp_path: Path) -> None:
    write_table(tmp_path / "train.csv", ["id", "label"], [["1", "a"], ["2", "b"], ["1", "b"]])
    with pytest.raises(
        DataError, match="'1' stands in column 'id' more than once; its rows differ"
    ):
        configured(
            tmp_path,
            'train = "train.csv"\nimages = "{id}.png"\nlabel = "label"\nrepeats = "merge"',
        )


def test_columns_are_read_without_space_and_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(" id , a\n 1 , b\n", encoding="utf-8")
    assert {n: c.to_pylist() for n, c in read_columns(tmp_path / "t.csv").items()} == {
        "id": ["1"],
        "a": ["b"],
    }
    as_is = read_columns(tmp_path / "t.csv", as_is=True)
    assert {n: c.to_pylist() for n, c in as_is.items()} == {" id ": [" 1 "], " a": [" b"]}
