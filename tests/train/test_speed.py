"""How fast to train: chosen from timings, remembered, and pinned where the user says so."""

from pathlib import Path

import pytest
import torch
from torch import nn

from harness.backbone import build_classifier
from harness.model import ModelSection
from harness.train import speed
from harness.train.speed import Speed, Timing, choices, fastest, is_out_of_memory, measured_speed

CPU = torch.device("cpu")


def section(**values: object) -> ModelSection:
    base = {"name": "x", "backbone": "test_resnet", "weights": "none", "image_size": 32}
    return ModelSection.model_validate(base | values)


def build() -> nn.Module:
    return build_classifier("test_resnet", "none", 3, image_size=32, root=Path())


def test_the_fastest_counts_what_comes_before_the_first_step() -> None:
    usual, quick = Timing(Speed(), 1.0), Timing(Speed("bf16"), 0.5)
    compiled = Timing(Speed("bf16", compile=True), 0.4, start_seconds=60)
    assert fastest([usual, quick, compiled], steps=100) == quick
    assert fastest([usual, quick, compiled], steps=1000) == compiled


def test_a_difference_that_may_be_chance_changes_nothing() -> None:
    usual, other = Timing(Speed(), 1.0), Timing(Speed("bf16"), 0.98)
    assert fastest([usual, other], steps=10) == usual


def test_what_is_pinned_is_not_tried_otherwise() -> None:
    assert {o.precision for o in choices(section(precision="bf16"), CPU)} == {"bf16"}
    assert {o.channels_last for o in choices(section(channels_last=False), CPU)} == {False}
    assert choices(section(precision="fp32", channels_last=True, compile=True), CPU) == [
        Speed("fp32", channels_last=True, compile=True)
    ]


def test_a_short_training_takes_the_usual_way_and_nothing_is_kept(tmp_path: Path) -> None:
    timing = measured_speed(build, section(), steps=2, targets=3, cache=tmp_path)
    assert timing.speed == Speed()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> "dict[str, float]":
    """Timings that are given: seconds of a step, the share of the cores, compiling; ``times``."""
    given = {"step": 10.0, "share": 1.0, "compiling": 200.0, "times": 0.0, "compiled": 0.0}

    def time(network: object, model: object, option: Speed, *_: object) -> Timing:
        given["compiled" if option.compile else "times"] += 1
        seconds = given["step"] * (0.5 if option.compile else 1.0)
        start = given["compiling"] if option.compile else 0.0
        return Timing(option, seconds, start, given["share"])

    monkeypatch.setattr(speed, "_time", time)
    return given


def test_timings_of_a_busy_machine_are_made_again_and_compile_nothing(
    timed: dict[str, float], tmp_path: Path
) -> None:
    model = section(precision="fp32", channels_last=True)
    timed["share"] = 0.4
    busy = measured_speed(build, model, steps=1000, targets=3, cache=tmp_path)
    assert not busy.speed.compile
    assert timed["compiled"] == 0
    timed["share"] = 1.0
    assert measured_speed(build, model, steps=1000, targets=3, cache=tmp_path).speed.compile
    assert timed["times"] == 2
    assert timed["compiled"] == 1


def test_compilation_is_chosen_only_where_it_pays_in_the_steps_ahead(
    timed: dict[str, float], tmp_path: Path
) -> None:
    model = section(precision="fp32", channels_last=True)
    assert measured_speed(build, model, steps=1000, targets=3, cache=tmp_path).speed.compile
    assert not measured_speed(build, model, steps=20, targets=3, cache=tmp_path).speed.compile
    assert timed["times"] == timed["compiled"] == 1


def test_a_long_training_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "WORTH_MEASURING", 0.0)
    monkeypatch.setattr(speed, "CALM", 0.0)  # whatever else the machine does
    first = measured_speed(build, section(), steps=10, targets=3, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    monkeypatch.setattr(speed, "_time", lambda *_: pytest.fail("measured again"))
    assert measured_speed(build, section(), steps=10, targets=3, cache=tmp_path) == first
    file.write_text("{")
    with pytest.raises(pytest.fail.Exception, match="measured again"):
        measured_speed(build, section(), steps=10, targets=3, cache=tmp_path)


def test_where_memory_is_short_the_batch_is_taken_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = speed._time_steps

    def short(original, model, how, *rest):  # type: ignore[no-untyped-def]
        if how.pieces < 4:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried")
        return real(original, model, how, *rest)

    monkeypatch.setattr(speed, "_time_steps", short)
    assert measured_speed(build, section(), 2, 3, tmp_path).speed.pieces == 4
    with pytest.raises(RuntimeError, match="not enough memory"):
        measured_speed(build, section(batch_size=2), 2, 3, tmp_path)


def test_which_errors_mean_memory() -> None:
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    assert not is_out_of_memory(ValueError("not enough memory"))
