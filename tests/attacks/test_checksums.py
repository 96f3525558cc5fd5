"""Damage on a disk: no file that a result depends on is believed after it."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors
from workspace.test_ensemble import ENSEMBLE

from harness.data.findings import Finding, Findings, read_findings, write_findings
from harness.errors import UserError
from harness.files import file_digest
from harness.records import read_json, with_checksum
from harness.train.average import WeightAverage
from harness.train.checkpoint import Parts, Position, load_checkpoint, save_checkpoint
from harness.workspace import Workspace
from harness.workspace.ensemble import read_ensemble, write_ensemble
from harness.workspace.folds import read_folds
from harness.workspace.oof import read_oof, write_oof
from harness.workspace.runs import load_arrays, noted_views, save_predictions
from harness.workspace.training import TrainingRows, read_training

Harness = Callable[..., int]


def flips(path: Path, count: int) -> Iterator[None]:
    """Turn one bit of the file over, again and again, spread over all of it."""
    whole = path.read_bytes()
    draw = random.Random(len(whole))
    for place in draw.sample(range(len(whole)), min(count, len(whole))):
        path.write_bytes(
            whole[:place] + bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :]
        )
        yield
    path.write_bytes(whole)


def changed(path: Path, read: Callable[[], Any], count: int = 400) -> int:
    """How many flipped bits change what is read, and how it looks, without an error."""
    whole = read()
    differences = 0
    for _ in flips(path, count):
        try:
            differences += read() != whole
        except UserError:
            continue
    assert read() == whole
    return differences


@pytest.fixture
def training(harness: Harness, workspace: Path) -> TrainingRows:
    assert harness("fold") == 0
    return read_training(Workspace.open(workspace))


@pytest.fixture
def oof(tmp_path: Path, training: TrainingRows) -> Path:
    predictions = np.random.default_rng(0).dirichlet(np.ones(3), 30).astype(np.float32)
    noted = {"folds": training.folds.digest, "views": "identity,hflip", "score": "0.5"}
    write_oof(tmp_path / "a.parquet", training, predictions, noted)
    return tmp_path / "a.parquet"


def test_out_of_fold_predictions(oof: Path, training: TrainingRows) -> None:
    def read() -> tuple[bytes, list[tuple[str, str]]]:
        member = read_oof(oof, training)
        known = {k: v for k, v in member.metadata.items() if k in ("folds", "views", "score")}
        return member.predictions.tobytes(), sorted(known.items())

    assert changed(oof, read) == 0


def test_predictions_of_another_tool_or_an_earlier_version_have_no_checksum(
    oof: Path, training: TrainingRows
) -> None:
    whole = read_oof(oof, training).predictions
    pd.read_parquet(oof).to_parquet(oof)
    assert (read_oof(oof, training).predictions == whole).all()
    table = pq.read_table(oof)
    pq.write_table(table.replace_schema_metadata({b"harness.config": b"x"}), oof)
    assert (read_oof(oof, training).predictions == whole).all()


def test_an_ensemble(tmp_path: Path) -> None:
    write_ensemble(tmp_path, ENSEMBLE)
    path = tmp_path / "ensemble.json"
    assert changed(path, lambda: repr(read_ensemble(tmp_path))) == 0
    path.write_bytes(read_json(path))  # as an earlier version wrote it
    assert repr(read_ensemble(tmp_path)) == repr(ENSEMBLE)


def test_the_manifest_of_the_folds(training: TrainingRows, workspace: Path) -> None:
    folder = workspace / "folds"
    assert changed(folder / "folds.json", lambda: repr(read_folds(folder)), 150) == 0


def test_records_say_what_they_said_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    text = with_checksum(json.dumps({"a": [1, 2.5, "é"], "crc": {"b": None}}, indent=1))
    path.write_text(text, encoding="utf-8")
    whole = json.loads(read_json(path))
    assert whole == {"a": [1, 2.5, "é"], "crc": {"b": None}}
    for _ in flips(path, 1000):
        try:
            found = json.loads(read_json(path))
        except ValueError:
            continue
        if found != whole:  # the checksum's own name was hit, and strict readers know no other
            assert len(found) == 3
            assert {name: found[name] for name in whole} == whole


def test_findings(tmp_path: Path) -> None:
    path = tmp_path / "findings.parquet"
    found = (Finding("a", "exact_duplicate", 1.0, "b"), Finding("c", "blank", 0.25))
    write_findings(path, Findings(found, ("a", "b", "c")))
    assert changed(path, lambda: repr(read_findings(path))) == 0


def test_the_views_of_predictions(tmp_path: Path) -> None:
    path = tmp_path / "fold0.oof.safetensors"
    save_predictions(path, {"predictions": np.ones((2, 2), np.float32)}, ("identity", "hflip"))
    assert changed(path, lambda: noted_views(path)) == 0


@pytest.fixture
def parts() -> Parts:
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2).to(torch.bfloat16)
    optimizer = torch.optim.SGD(network.parameters(), momentum=0.9)
    network(torch.ones(1, 3, dtype=torch.bfloat16)).sum().backward()
    optimizer.step()
    return Parts(network, optimizer, WeightAverage(network, 0.9), {"x": torch.ones(3)})


def state(path: Path, parts: Parts) -> Callable[[], object]:
    """Return a function that goes on from the checkpoint: all that it brings, as text."""

    def read() -> object:
        with torch.no_grad():
            for tensor in parts.network.state_dict().values():
                tensor.zero_()
        position = load_checkpoint(path, parts, "key", lambda _: None)
        if position is None:
            raise UserError(path, "starts again", "")
        return repr(
            (position, parts.network.state_dict(), parts.optimizer.state_dict(), parts.best)
            + ((parts.average.count, parts.average.weights) if parts.average else ())
        )

    return read


def test_a_checkpoint(tmp_path: Path, parts: Parts) -> None:
    path = tmp_path / "fold0.checkpoint.safetensors"
    save_checkpoint(path, parts, Position(step=3, loss_sum=1.5, best_loss=0.5), "key")
    read = state(path, parts)
    assert changed(path, read) == 0
    whole = read()
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        note = file.metadata()["harness"]
    save_tensors(tensors, path, {"harness": note})  # as an earlier version wrote it
    assert read() == whole


def test_arrays_of_other_tools_have_no_checksum(tmp_path: Path) -> None:
    save_file({"x": np.arange(3)}, tmp_path / "x.safetensors")
    assert load_arrays(tmp_path / "x.safetensors")["x"].tolist() == [0, 1, 2]


def test_a_damaged_file_of_a_run_is_written_again_and_a_lost_model_is_told(
    harness: Harness, workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert harness("fold") == 0
    assert harness("train", "--only", "probe") == 0
    file, model = workspace / "oof/probe.parquet", workspace / "models/probe/fold1.safetensors"
    whole, trained = file_digest(file), file_digest(model)
    content = file.read_bytes()
    for damaged in (b"", content[:500]):
        file.write_bytes(damaged)
        assert harness("stack") == 2
        assert "oof/probe.parquet: cannot be read (" in capsys.readouterr().err
        assert harness("train", "--only", "probe") == 0
        assert file_digest(file) == whole

    model.unlink()  # two models' mean is another prediction
    assert harness("stack") == 2
    assert "fold1.safetensors: is missing" in capsys.readouterr().err
    file.unlink()
    assert harness("train", "--only", "probe") == 0
    assert (file_digest(file), file_digest(model)) == (whole, trained)
    assert harness("stack") == 0
