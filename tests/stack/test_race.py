"""The engines that race: all once, then the close ones, then what won for the same backbone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tiny import make_workspace

from harness.cli import main
from harness.display import Display
from harness.predict.engines import ENGINES, Kind
from harness.predict.measure import EngineCost
from harness.stack import race as module
from harness.stack.make import read_problem
from harness.stack.race import Race, spread
from harness.workspace import Workspace

KINDS = [ENGINES[name] for name in ("torch-fp32", "openvino-fp32", "openvino-fp32-async")]
MODEL = """
[[model]]
name = "{name}"
backbone = "{backbone}"
weights = "none"
mode = "probe"
image_size = {size}
seed = {seed}
"""


def cost(name: str, seconds: float) -> EngineCost:
    return EngineCost(name, 4, 1, 1.0, 0.2, 0.1, seconds, seconds, 64)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Four trained members, three of them with the same backbone."""
    folder = make_workspace(tmp_path_factory.mktemp("race") / "w")
    toml = folder / "competition.toml"
    text = toml.read_text(encoding="utf-8").partition("[[model]]")[0]
    for seed, (name, backbone, size) in enumerate(
        (
            ("a", "test_efficientnet", 32),
            ("b", "test_resnet", 32),
            ("c", "test_resnet", 64),
            ("d", "test_resnet", 64),
        )
    ):
        text += MODEL.format(name=name, backbone=backbone, size=size, seed=seed)
    toml.write_text(text, encoding="utf-8")
    for verb in ("fold", "train"):
        assert main([verb, "-C", str(folder)]) == 0
    return Workspace.open(folder)


@pytest.fixture
def race(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> "Recorded":
    return Recorded(workspace, monkeypatch)


class Recorded:
    """A race whose timings are given; ``seconds`` by engine, and who answers wrongly."""

    def __init__(self, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = {"torch-fp32": 9.0, "openvino-fp32": 1.0, "openvino-fp32-async": 1.2}
        self.timed: list[list[str]] = []
        self.wrong: set[str] = set()
        training, problem = read_problem(workspace)
        paths = [workspace.root / f"data/images/{id_}.png" for id_ in training.ids]
        self.race = Race(workspace, problem, training, paths, Display(), thorough=False)
        stored = dict(zip(problem.names, problem.predictions, strict=True))
        monkeypatch.setattr(module, "time_engines", self.time)
        monkeypatch.setattr(module, "convert", lambda *_: 0)
        monkeypatch.setattr(module, "why_missing", lambda *_, **__: None)
        monkeypatch.setattr(module, "_made_the_stored", lambda kind, _: kind.runtime == "torch")

        def predict(cost: EngineCost, run: Path, *_: object, **__: object) -> np.ndarray:
            wrong = cost.engine in self.wrong
            return np.roll(stored[run.name], 1, axis=1) if wrong else stored[run.name]

        monkeypatch.setattr(module, "predict_apart", predict)

    def time(
        self, kinds: Sequence[Kind], *_: object, seconds: float
    ) -> dict[str, EngineCost | str]:
        if kinds:
            self.timed.append([kind.name for kind in kinds])
        return {kind.name: cost(kind.name, self.seconds[kind.name]) for kind in kinds}

    def winners(self, names: str, kinds: Sequence[Kind] = tuple(KINDS)) -> dict[str, str]:
        weights = {name: ("fold0.safetensors",) for name in names}
        served = self.race.serve(weights, {name: list(kinds) for name in names})
        return {name: member.cost.engine for name, member in served.items()}


def test_only_close_engines_race_again_and_one_backbone_races_once(race: Recorded) -> None:
    assert set(race.winners("abcd").values()) == {"openvino-fp32"}
    assert race.timed == [
        ["torch-fp32", "openvino-fp32", "openvino-fp32-async"],  # the first
        ["openvino-fp32", "openvino-fp32-async"],  # another backbone: those that were close
        ["openvino-fp32"],  # the same at another size: the winner's seconds there
    ]  # and the same at the same size: nothing


def test_where_the_winner_answers_otherwise_the_next_one_serves(race: Recorded) -> None:
    race.wrong = {"openvino-fp32", "openvino-fp32-async"}
    assert race.winners("ab") == {"a": "torch-fp32", "b": "torch-fp32"}
    assert any("openvino in fp32 is left out" in note for note in race.race.notes)


def test_thorough_races_all_for_every_member(race: Recorded) -> None:
    race.race.thorough = True
    race.winners("abc")
    assert [len(names) for names in race.timed] == [3, 3, 3]


def test_a_challenger_races_against_the_incumbent_alone(race: Recorded) -> None:
    race.winners("a")
    race.seconds["openvino-int8"] = 0.5
    again = [ENGINES["openvino-fp32"], ENGINES["openvino-int8"]]
    assert race.winners("a", again) == {"a": "openvino-int8"}
    assert race.timed[1:] == [["openvino-int8"]]


def test_a_network_that_cannot_be_exported_leaves_its_engines_out(
    race: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(kind: Kind, *_: object) -> int:
        if kind.converted:
            raise RuntimeError("no such operator")
        return 0

    monkeypatch.setattr(module, "convert", fail)
    assert race.winners("a") == {"a": "torch-fp32"}
    assert any("cannot be converted (no such operator)" in note for note in race.race.notes)


def test_spread_takes_both_ends_and_no_more_than_there_are() -> None:
    assert spread(10, 4).tolist() == [0, 3, 6, 9]
    assert spread(3, 100).tolist() == [0, 1, 2]
    assert spread(0, 5).tolist() == []
