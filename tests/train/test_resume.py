"""`kill -9` and two processes at once: nothing lost, nothing done twice, bit for bit the same."""

import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import forked
import pytest
from tiny import edit, make_workspace

from harness.cli import main
from harness.files import file_digest


def train(workspace: Path, name: str = "said") -> BaseProcess:
    return forked.start(["train", "-C", str(workspace)], said_by(workspace, name))


def said_by(workspace: Path, name: str = "said") -> Path:
    return workspace.with_name(f"{workspace.name}.{name}")


def prepared(folder: Path, epochs: int = 10) -> Path:
    """One model on two folds, long enough to be interrupted, with an average to be kept."""
    workspace = make_workspace(folder)
    file = workspace / "competition.toml"
    speed = 'precision = "fp32"\nchannels_last = true'  # said, and not measured
    edit(file, "epochs = 2", f'epochs = {epochs}\naverage = "ema"\n{speed}')
    edit(file, "k = 3", "k = 2")
    text = file.read_text(encoding="utf-8")
    start, end = text.index('[[model]]\nname = "probe"'), text.index("[stack]")
    file.write_text(text[:start] + text[end:], encoding="utf-8")
    assert main(["fold", "-C", str(workspace)]) == 0
    return workspace


def wait_for(process: BaseProcess, file: Path) -> None:
    """Until the file is there or the process has ended."""
    while process.is_alive() and not file.exists():
        time.sleep(0.002)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float]:
    """The digest of the OOF file of a training that nobody disturbed, and its seconds."""
    workspace = prepared(tmp_path_factory.mktemp("whole") / "w")
    process = train(workspace)
    wait_for(process, workspace / "models/tuned/run.json")
    begun = time.monotonic()
    process.join()
    assert process.exitcode == 0, said_by(workspace).read_text()
    return file_digest(workspace / "oof/tuned.parquet"), time.monotonic() - begun


def kill_in_the_midst(workspace: Path, seconds: float) -> bool:
    """Start `train`, kill it so long after its first sign of life; was it alive?"""
    process = train(workspace)
    wait_for(process, workspace / "models/tuned/run.json")
    process.join(seconds)
    alive = process.is_alive()
    process.kill()
    process.join()
    return alive


def check_kills(folder: Path, kills: int, whole: tuple[str, float]) -> None:
    expected, seconds = whole
    draw = random.Random(kills)
    done, round_ = 0, 0
    while done < kills:
        workspace = prepared(folder / f"killed{round_}")
        round_ += 1
        while done < kills and kill_in_the_midst(workspace, draw.uniform(0, seconds)):
            done += 1
        process = train(workspace)
        process.join()
        assert process.exitcode == 0, said_by(workspace).read_text()
        assert file_digest(workspace / "oof/tuned.parquet") == expected
        left = {p.name for p in (workspace / "models/tuned").iterdir() if p.suffix == ".tmp"}
        assert not left
        assert not list((workspace / "models/tuned").glob("*checkpoint*"))


def test_killed_and_started_again_it_ends_as_if_nothing_had_happened(
    tmp_path: Path, whole: tuple[str, float]
) -> None:
    check_kills(tmp_path, 2, whole)


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path, whole: tuple[str, float]) -> None:
    check_kills(tmp_path, 50, whole)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_finishes_the_checkpoint(number: int, tmp_path: Path) -> None:
    workspace = prepared(tmp_path / "w", epochs=2000)
    process = train(workspace)
    checkpoint = workspace / "models/tuned/fold0.checkpoint.safetensors"
    wait_for(process, checkpoint)
    before = checkpoint.stat().st_mtime_ns
    assert process.pid
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == 130
    assert "the same command goes on" in said_by(workspace).read_text()
    assert checkpoint.stat().st_mtime_ns > before


def test_two_processes_share_the_jobs(tmp_path: Path, whole: tuple[str, float]) -> None:
    shared = prepared(tmp_path / "shared")
    processes = [train(shared, name) for name in ("one", "two")]
    for process in processes:
        process.join()
    output = "".join(said_by(shared, name).read_text() for name in ("one", "two"))
    assert [process.exitcode for process in processes] == [0, 0], output
    assert output.count("tuned: fold 0 (1 of 2)") == 1
    assert output.count("tuned: fold 1 (2 of 2)") == 1
    assert output.count("tuned: OOF") == 1
    assert file_digest(shared / "oof/tuned.parquet") == whole[0]
