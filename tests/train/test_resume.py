"""`kill -9` and two processes at once: nothing lost, nothing done twice, bit for bit the same."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import edit, make_workspace

from harness.cli import main
from harness.files import file_digest


def train(workspace: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "train", "-C", str(workspace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def prepared(folder: Path, epochs: int = 30) -> Path:
    """One model on two folds, long enough to be interrupted, with an average to be kept."""
    workspace = make_workspace(folder)
    file = workspace / "competition.toml"
    edit(file, "epochs = 2", f'epochs = {epochs}\naverage = "ema"')
    edit(file, "k = 3", "k = 2")
    text = file.read_text(encoding="utf-8")
    start, end = text.index('[[model]]\nname = "probe"'), text.index("[stack]")
    file.write_text(text[:start] + text[end:], encoding="utf-8")
    assert main(["fold", "-C", str(workspace)]) == 0
    return workspace


def wait_for(process: "subprocess.Popen[str]", file: Path) -> None:
    """Until the file is there or the process has ended."""
    while process.poll() is None and not file.exists():
        time.sleep(0.002)


def kill_in_the_midst(workspace: Path, draw: random.Random) -> bool:
    """Start `train`, kill it at a random moment after its first sign of life; was it alive?"""
    process = train(workspace)
    wait_for(process, workspace / "models/tuned/run.json")
    try:
        process.wait(timeout=draw.uniform(0, 2.5))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return True
    process.communicate()
    return False


def check_kills(folder: Path, kills: int) -> None:
    whole = prepared(folder / "whole")
    assert main(["train", "-C", str(whole)]) == 0
    expected = file_digest(whole / "oof/tuned.parquet")
    draw = random.Random(kills)
    done, round_ = 0, 0
    while done < kills:
        workspace = prepared(folder / f"killed{round_}")
        round_ += 1
        while done < kills and kill_in_the_midst(workspace, draw):
            done += 1
        process = train(workspace)
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        assert file_digest(workspace / "oof/tuned.parquet") == expected
        left = {p.name for p in (workspace / "models/tuned").iterdir() if p.suffix == ".tmp"}
        assert not left
        assert not list((workspace / "models/tuned").glob("*checkpoint*"))


def test_killed_and_started_again_it_ends_as_if_nothing_had_happened(tmp_path: Path) -> None:
    check_kills(tmp_path, 2)


@pytest.mark.slow
def test_fifty_kills(tmp_path: Path) -> None:
    check_kills(tmp_path, 50)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_finishes_the_checkpoint(number: int, tmp_path: Path) -> None:
    workspace = prepared(tmp_path / "w", epochs=2000)
    process = train(workspace)
    checkpoint = workspace / "models/tuned/fold0.checkpoint.safetensors"
    wait_for(process, checkpoint)
    before = checkpoint.stat().st_mtime_ns
    process.send_signal(number)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "the same command goes on" in errors
    assert checkpoint.stat().st_mtime_ns > before


def test_two_processes_share_the_jobs(tmp_path: Path) -> None:
    whole = prepared(tmp_path / "whole", epochs=10)
    assert main(["train", "-C", str(whole)]) == 0
    shared = prepared(tmp_path / "shared", epochs=10)
    processes = [train(shared) for _ in range(2)]
    said = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    output = "".join(out for out, _ in said)
    assert output.count("tuned: fold 0 (1 of 2)") == 1
    assert output.count("tuned: fold 1 (2 of 2)") == 1
    assert output.count("tuned: OOF") == 1
    assert file_digest(shared / "oof/tuned.parquet") == file_digest(whole / "oof/tuned.parquet")
