"""What an archive, a table or a folder of strangers may do to the machine that reads it."""

import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from tiny import edit

from harness.audit.look import cached_looks
from harness.competition import load_competition
from harness.data.csvfile import open_csv
from harness.data.findings import read_findings
from harness.data.frame import read_columns, read_parquet
from harness.data.state import CORRECTIONS
from harness.display import Display
from harness.errors import ConfigError, DataError
from harness.kaggle.download import fetch_data, unpack
from harness.space import TuneSection
from harness.workspace import OWN, Workspace
from harness.workspace.oof import read_predictions

QUIET = Display(Console(quiet=True))
BOMB = r"unpacks to more than 0\.0\d* GB from [\d,]+ bytes"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """So few bytes may a small file unpack to in these tests; the rule is the same."""
    monkeypatch.setattr("harness.files.ALWAYS_UNPACKED", 1 << 20)
    return 1 << 20


class Offer:
    """Kaggle, as far as a download asks it: an archive, whose files it lists as they are."""

    def __init__(self, content: bytes = b"", **files: int) -> None:
        self.content, self.listed = content, files
        self.url, self.status_code = "https://kaggle/leaves.zip", 200
        self.headers = {"ETag": "1", "Content-Length": str(len(content))}

    @contextmanager
    def archive(self, competition: str) -> Iterator["Offer"]:
        yield self

    def iter_content(self, size: int) -> list[bytes]:
        return [self.content]

    def files(self, competition: str) -> list[Any]:
        return [SimpleNamespace(name=name, size=size) for name, size in self.listed.items()]


def fetch(offer: Any, folder: Path) -> bool:
    return fetch_data(offer, "leaves", folder / "data", folder / ".cache", QUIET)


def zip_of(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


# -- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["corrections.csv", "Extra.csv", "audit.parquet", ".KAGGLE.json"])
def test_an_archive_decides_nothing(
    name: str, workspace: Path, harness: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """What an earlier version kept in data/ is taken over: it must be the user's own."""
    archive = zip_of(workspace / "a.zip", {"a.csv": b"1", name: b"time,id,action,label\n"})
    with pytest.raises(DataError, match="unsafe name"):
        unpack(archive, workspace / "data", QUIET)
    assert not (workspace / "data" / "a.csv").exists()
    assert harness("data") == 0
    assert not (workspace / CORRECTIONS).exists()


def test_neither_does_one_within_it(tmp_path: Path) -> None:
    inner = zip_of(tmp_path / "in.zip", {"corrections.csv": b"time,id,action,label\n"}).read_bytes()
    outer = zip_of(tmp_path / "out.zip", {"more.zip": inner}).read_bytes()
    with pytest.raises(DataError, match=r"unsafe name 'corrections\.csv'"):
        fetch(Offer(outer), tmp_path)
    assert not (tmp_path / "data" / "corrections.csv").exists()


@pytest.mark.parametrize("name", ["x/./y", "./x/y", "x//y", "./.kaggle.json", "."])
def test_no_member_has_a_second_spelling(name: str, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"x/y": b"1", name: b"2"})
    with pytest.raises(DataError, match="unsafe name"):
        unpack(archive, tmp_path / "data", QUIET)
    assert not (tmp_path / "data").exists()


# -- bombs ---------------------------------------------------------------------------------------


def test_an_archive_that_unpacks_to_too_much_is_refused(small: int, tmp_path: Path) -> None:
    bomb = zip_of(tmp_path / "a.zip", {f"{i}": bytes(small) for i in range(3)})
    with pytest.raises(DataError, match=BOMB):
        unpack(bomb, tmp_path / "data", QUIET)
    assert not (tmp_path / "data").exists()


def test_so_is_one_within_it(small: int, tmp_path: Path) -> None:
    inner = zip_of(tmp_path / "in.zip", {"x": bytes(2 * small)}).read_bytes()
    outer = zip_of(tmp_path / "out.zip", {"more.zip": inner}).read_bytes()
    with pytest.raises(DataError, match=BOMB):
        fetch(Offer(outer), tmp_path)
    assert [path.name for path in (tmp_path / "data").rglob("*")] == ["more.zip"]


def test_a_zipped_table_cannot_claim_to_be_larger_than_it_is(small: int, tmp_path: Path) -> None:
    """Its own claim of what it takes packed decides nothing."""
    path = zip_of(tmp_path / "a.csv.zip", {"a.csv": b"a\n" + b"1\n" * small})
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        packed = archive.infolist()[0].compress_size.to_bytes(4, "little")
    place = content.rindex(packed, 0, content.rindex(b"PK\x05\x06"))  # in the central directory
    claimed = (1 << 30).to_bytes(4, "little")
    path.write_bytes(content[:place] + claimed + content[place + 4 :])
    with pytest.raises(DataError, match=BOMB), open_csv(path):
        pass


def repeated(text: str, rows: int) -> pa.Array:
    codes = pa.array(np.zeros(rows, np.int32))
    return pa.DictionaryArray.from_arrays(codes, pa.array([text]))


@pytest.mark.parametrize(
    "column",
    [
        pa.array(np.zeros(1 << 19, np.float32)),
        repeated("a" * 1000, 2000),
        repeated("a" * 1000, 2000).cast(pa.large_string()),
        repeated("a" * 1000, 2000).cast(pa.binary()),
    ],
    ids=["numbers", "codes", "texts", "bytes"],
)
def test_a_table_that_unpacks_to_too_much_is_refused(
    column: pa.Array, small: int, tmp_path: Path
) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": column}), path)
    assert path.stat().st_size < small / 200
    ids = np.array(["a"], object)
    reads: list[Callable[[], object]] = [
        lambda: read_parquet(path),
        lambda: read_columns(path, ["id"]),
        lambda: read_findings(path),
        lambda: read_predictions(path, ids, ("a",), "multilabel"),
    ]
    for read in reads:
        with pytest.raises(DataError, match=BOMB):
            read()


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1.0], [2.0]]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([b"aa", b"bb"], pa.binary(2)),
    ],
    ids=["lists", "records", "blocks"],
)
def test_columns_whose_size_no_type_bounds_are_refused(column: pa.Array, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"id": ["a", "b"], "x": column}), path)
    with pytest.raises(DataError, match="has two columns 'x', or one of"):
        read_parquet(path)
    assert read_parquet(path, ["id"])["id"].to_pylist() == ["a", "b"]


def test_sound_tables_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    table = pa.table(
        {
            "a.b": pa.array(["x", None, "y"]),
            "a": pa.array([1, 2, None], pa.int16()),
            "c": pa.array([0.5, 2, 1], pa.float32()),
            "d": pa.array([True, False, None]),
            "e": pa.nulls(3),
        }
    ).replace_schema_metadata({b"k": b"v"})
    for rows in (3, 0):
        pq.write_table(table[:rows], path, row_group_size=2)
        found = read_parquet(path)
        assert found.equals(table[:rows])
        assert found.schema.metadata == {b"k": b"v"}
        assert read_parquet(path, ["a"]).equals(table[:rows].select(["a"]))


def test_a_cache_of_looks_is_no_bomb(small: int, tmp_path: Path) -> None:
    cached_looks([tmp_path / "gone.png"], None, "", tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    np.savez_compressed(file, contents=np.zeros(2 * small, np.uint8))
    looks = cached_looks([tmp_path / "gone.png"], None, "", tmp_path / "cache")
    assert len(looks.contents) == 1  # made again


# -- what never ends -----------------------------------------------------------------------------

PIPES = [
    "folds/folds.csv",
    "folds/folds.json",
    "models/tuned/run.json",
    "models/tuned/fold0.safetensors",
    "models/tuned/log.jsonl",
    "models/ensemble/ensemble.json",
    "oof/tuned.parquet",
    "submissions/board.sqlite",
    "tune/study.sqlite",
    "audit/corrections.csv",
    "audit/findings.parquet",
    "kernel/pushed.json",
    ".cache/audit/x.npz",
    "models/link/deeper/run.json",
]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", PIPES)
def test_nobody_waits_for_a_pipe(
    name: str, workspace: Path, harness: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    (workspace / "models").mkdir()
    (workspace / "elsewhere").mkdir()
    (workspace / "elsewhere/round").symlink_to(workspace / "models")
    (workspace / "models/link").symlink_to(workspace / "elsewhere")
    (workspace / "models/nowhere").symlink_to(workspace / "missing")
    assert Path(name).parts[0] in OWN
    Workspace.open(workspace)
    (workspace / name).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(workspace / name)
    assert harness("submit") == 2
    said = capsys.readouterr().err
    assert "is no regular file" in said
    assert said.count("\n") == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_elsewhere_is_refused_where_it_is_read(
    workspace: Path, harness: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    space = (
        '[tune]\nmodel = "tuned"\nstorage = "{}"\n[tune.space]\nlr = {{ low = 0.1, high = 1 }}\n'
    )
    edit(workspace / "competition.toml", "[stack]", space.format("journal:pipe") + "[stack]")
    os.mkfifo(workspace / "pipe")
    assert harness("fold") == 0
    assert harness("tune") == 2
    assert "is no regular file" in capsys.readouterr().err
    os.mkfifo(workspace / "data/.kaggle.json")
    with pytest.raises(DataError, match="is no regular file"):
        fetch(Offer(), workspace)


@pytest.mark.parametrize("part", ["a", '"a"', "'a b'", '"\\""', "a ", "é-1"])
def test_a_long_dotted_key_is_not_read(part: str, workspace: Path) -> None:
    """TOML's reader takes the square of its parts: 20,000 are half a minute."""
    path = workspace / "competition.toml"
    edit(path, "[competition]", ".".join([part] * 20_000) + " = 1\n[competition]")
    with pytest.raises(ConfigError, match="has a key of over 20 parts"):
        load_competition(path)


def test_what_looks_like_one_is_read(workspace: Path) -> None:
    path = workspace / "competition.toml"
    before = load_competition(path)
    edit(path, "[competition]", "# " + "e.g. 1.5, 2.5 " * 99 + "\n[competition]")
    assert load_competition(path) == before


def test_settings_that_look_at_all_before_them_are_ordered_at_once() -> None:
    """There are 2^24 ways from the last to the first, and nobody needs to walk them all."""
    shares = (
        "layer_decay",
        "progressive",
        "frozen",
        "average_decay",
        "label_smoothing",
        "drop_path",
    )
    numbers = ("lr", "weight_decay", "warmup_epochs", "clip", "head_epochs", "mixup", "cutmix")
    choices: dict[str, list[Any]] = {name: [0.25, 0.5] for name in (*shares, *numbers)}
    choices |= {name: [32, 64] for name in ("image_size", "epochs", "batch_size", "patience")}
    choices |= {name: [True, False] for name in ("channels_last", "compile", "deterministic")}
    choices |= {"channels": [1, 3], "mode": ["probe", "finetune"], "precision": ["fp32", "bf16"]}
    choices |= {"balance": ["none", "weights"], "average": ["none", "ema"]}
    assert len(choices) == 25
    space = {
        name: {"choices": some, "when": {other: choices[other] for other in list(choices)[:place]}}
        for place, (name, some) in enumerate(choices.items())
    }
    assert list(TuneSection.model_validate({"space": space}).axes) == list(choices)
    space["layer_decay"]["when"] = {"average": ["none"]}
    with pytest.raises(ValueError, match="'when' depends on itself in the end"):
        TuneSection.model_validate({"space": space})
