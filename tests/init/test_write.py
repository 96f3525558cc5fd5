"""The file that init --from writes: sound TOML whatever tables say, and the data linked."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import write_table

from harness.competition import Competition, load_competition
from harness.errors import DataError
from harness.init.infer import infer
from harness.init.look import look
from harness.init.records import Columns, Proposal, Seen, Setting
from harness.init.write import as_toml, init_from


@given(st.text(max_size=20), st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_any_text_is_sound_toml(text: str, names: list[str]) -> None:
    asked = {
        "task": Setting("binary", text, text),
        "metric": Setting("roc_auc", "x"),
    }
    data = {"images": Setting("{id}", text), "label": Setting(text, text)}
    data |= {"labels": Setting(names, text)}
    groups = (Setting(text, text), Setting(text, text, text))
    proposal = Proposal(asked, data, {}, groups, tuple(names), (text,))
    found = tomllib.loads(as_toml(proposal, "x", "data", (text,)))
    assert found["data"]["label"] == text
    assert found["data"]["labels"] == names
    assert found["data"]["group"] == text


def test_of_many_columns_for_metadata_the_first_are_named() -> None:
    asked = {"task": Setting("binary", "x"), "metric": Setting("roc_auc", "x")}
    columns = tuple(f"margin{i}" for i in range(192))

    def written(metadata: tuple[str, ...]) -> str:
        return as_toml(
            Proposal(asked, {"images": Setting("{id}", "x")}, metadata=metadata), "x", ""
        )

    assert '"margin19"]  # the first 20 of 192' in written(columns)
    assert '"margin19"]   ' in written(columns[:20])


WORDS = ["train", "test", "val", "images", "masks", "a", "cat.1", "cat.2", "dog.1", "1", "02"]
CELLS = ["", "1", "2", "0.5", "a", "b", "a b", "a|b", "cat.1", "nan", "1e400", "train/1.png"]
NAMES = ["label", "patient_id", "site", "age", "a", "b"]
PATHS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(lambda w: "/".join(w) + ".png")


@st.composite
def tables(draw: st.DrawFn) -> Columns:
    """Its ids may well name images, and a column may be all blank."""
    ids = draw(st.lists(st.sampled_from(WORDS), min_size=1, unique=True))
    mixed = st.lists(st.sampled_from(CELLS), min_size=len(ids), max_size=len(ids))
    same = st.sampled_from(CELLS).map(lambda cell: [cell] * len(ids))
    columns = {"id": ids, **draw(st.dictionaries(st.sampled_from(NAMES), mixed | same))}
    return {name: np.array(cells, object) for name, cells in columns.items()}


@settings(max_examples=50)
@given(
    st.dictionaries(st.sampled_from(["train.csv", "test.csv", "sample_submission.csv"]), tables()),
    st.lists(PATHS, min_size=1, max_size=30, unique=True),
)
def test_whatever_lies_there_gives_a_sound_competition(
    found: dict[str, Columns], images: list[str]
) -> None:
    text = as_toml(infer(Seen(found, tuple(images))), "x", "data")
    Competition.model_validate(tomllib.loads(text))


def laid_out(folder: Path) -> Path:
    (folder / "train").mkdir(parents=True)
    rows = [[f"{i}", "ab"[i % 2]] for i in range(12)]
    for name, _ in rows:
        Image.new("RGB", (4, 4)).save(folder / f"train/{name}.png")
    write_table(folder / "train.csv", ["id", "label"], rows)
    return folder


def test_data_elsewhere_are_linked(tmp_path: Path) -> None:
    source = laid_out(tmp_path / "downloaded")
    path, _ = init_from(tmp_path / "new", source)
    assert (tmp_path / "new/data").resolve() == source
    assert load_competition(path).data.train == "data/train.csv"


@pytest.mark.parametrize(("inside", "train"), [("input/x", "input/x/train.csv"), ("", "train.csv")])
def test_data_inside_stay_where_they_are(tmp_path: Path, inside: str, train: str) -> None:
    source = laid_out(tmp_path / "work" / inside)
    path, _ = init_from(tmp_path / "work", source)
    assert load_competition(path).data.train == train
    assert not (tmp_path / "work/data").exists()


def test_links_out_of_the_folder_are_ignored_and_told(tmp_path: Path) -> None:
    source = laid_out(tmp_path / "downloaded")
    write_table(tmp_path / "secret.csv", ["id", "label"], [["0", "x"]])
    (source / "labels.csv").symlink_to(tmp_path / "secret.csv")
    (source / "folder").symlink_to(tmp_path)
    (source / "{odd}.png").write_bytes(b"")
    seen = look(source)
    assert set(seen.tables) == {"train.csv"}
    assert len(seen.images) == 12
    assert any("labels.csv is a link that leads out" in note for note in seen.notes)
    assert any("brace" in note for note in seen.notes)
    assert any(note.startswith("folder is a link to a folder: not followed") for note in seen.notes)


def test_a_folder_of_nothing_but_links_is_told(tmp_path: Path) -> None:
    source = laid_out(tmp_path / "downloaded")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/train").symlink_to(source / "train")
    with pytest.raises(DataError, match="train is a link to a folder: not followed"):
        look(tmp_path / "linked")


def test_a_table_with_other_separators_is_told(tmp_path: Path) -> None:
    source = laid_out(tmp_path / "downloaded")
    (source / "train.csv").write_text("id;label\n1;a\n", encoding="utf-8")
    seen = look(source)
    assert seen.tables == {}
    (note,) = seen.notes
    assert note == "train.csv has ';' where commas should be between its columns: ignored"


def test_a_damaged_table_is_told(tmp_path: Path) -> None:
    source = laid_out(tmp_path / "downloaded")
    (source / "test.csv").write_text("id,x\n1\n", encoding="utf-8")
    path, _ = init_from(tmp_path / "new", source)
    assert "# test.csv cannot be read as CSV" in path.read_text(encoding="utf-8")


def test_many_rows_take_no_minute() -> None:
    """Every stage is linear in rows and images; a quadratic one would never end here."""
    ids = np.array([f"{i:06d}" for i in range(100_000)], object)
    labels = np.array(["a", "b"] * 50_000, object)
    images = tuple(f"train/{id_}.jpg" for id_ in ids)
    assert infer(Seen({"train.csv": {"id": ids, "label": labels}}, images)).data["label"]
