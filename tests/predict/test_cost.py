"""The cost model and its record."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from harness.errors import WorkspaceError
from harness.predict.cost import (
    Averaging,
    CostSheet,
    MemberCost,
    averaging_sentence,
    corrected,
    measure_decoding,
    read_costs,
    write_costs,
)
from harness.predict.measure import EngineCost
from harness.predict.plan import Plan, Stage


def member(name: str, *, shared: bool, start: float, engine: str = "torch-fp32") -> MemberCost:
    cost = EngineCost(engine, 4, 1, start, 0.5, 0.25, 0.01, 0.012, 64)
    return MemberCost(name, 64, shared, ("fold0", "fold1", "fold2"), cost, 100, 0.61, 0.6)


SHEET = CostSheet(
    ensemble="e",
    machine="m",
    probe=0.001,
    starts=(2.0, 1.0, 4.0),
    read=0.002,
    decode=((0, 0.0), (64, 0.001)),
    write=0.1,
    rows=100,
    members=(member("a", shared=True, start=0.3), member("b", shared=False, start=1.5)),
    notes=("one",),
)


def test_heads_of_one_backbone_cost_the_same_however_many() -> None:
    probe, tuned = SHEET.members
    assert probe.fixed_seconds(3) == probe.fixed_seconds(1) == 0.75
    assert probe.image_seconds(3) == 0.01
    assert tuned.fixed_seconds(3) == pytest.approx(3 * 0.75)
    assert tuned.image_seconds(3) == pytest.approx(0.03)


def test_what_all_members_share_is_paid_once() -> None:
    third = member("c", shared=False, start=0.7, engine="openvino-fp32")
    costs = replace(SHEET, members=(*SHEET.members, third)).costs(1000)
    assert costs.start == 2.0
    assert costs.imports(["torch", "torch", ""]) == pytest.approx(0.9)  # the mean of two
    assert costs.imports(["torch", "openvino"]) == pytest.approx(0.9 + 0.7)
    assert costs.imports([]) == 0
    assert costs.write == pytest.approx(1.0)  # ten times the rows
    assert SHEET.costs(10).write == pytest.approx(0.1)  # but never less than was measured
    assert costs.images([64, 64]) == pytest.approx(0.003)


def test_a_pass_that_takes_longer_makes_loads_and_images_dearer() -> None:
    slower = corrected(SHEET, ["b"], 2.0, 1.5, {"torch"})
    assert slower.members[0] == SHEET.members[0]
    assert slower.members[1].fixed_seconds(1) == pytest.approx(2 * 0.75)
    an_image = 0.003 + 0.01  # decoding, the network
    assert slower.members[1].image_seconds(1) == pytest.approx(1.5 * an_image - 0.003)
    assert slower.costs(100).images([64]) == SHEET.costs(100).images([64])
    both = corrected(SHEET, ["a", "b"], 1.0, 1.2, set())
    assert both.spread == pytest.approx(0.15)  # no more, however unlucky the pass was
    assert slower.members[1].cost.start_seconds == 2 * SHEET.members[1].cost.start_seconds
    later = corrected(SHEET, ["b"], 2.0, 1.5, set())  # its runtime was there
    assert later.members[1].cost.start_seconds == SHEET.members[1].cost.start_seconds
    assert sum(one.image_seconds(1) for one in both.members) == pytest.approx(1.2 * 0.023 - 0.003)


def test_what_is_averaged_is_said_with_its_gain_and_its_source() -> None:
    costs = SHEET.costs(100)
    stages = tuple(
        Stage(name, name, "torch-fp32", models, (0, 1), 64, share, "", 0.1, 0.01, 0.5, "torch")
        for name, models, share in (("a", (0, 3), 1.0), ("b", (0, 2), 1.0), ("b", (2, 3), 0.0))
    )
    plan = Plan(
        kind="classes",
        metric="log_loss",
        greater_is_better=False,
        stages=stages,
        blends=({},) * 3,
        weights=(0.5, 0.5),
        prior=(0.5, 0.5),
        costs=costs,
        rows=100,
        seconds=9.0,
        score=0.5,
        error=0.1,
        gain=0.0125,
        gain_error=0.002,
    )
    said = averaging_sentence(plan, SHEET)
    assert said == "b by 2 of 3 fold models (what averaging them gains could not be estimated)"
    known = replace(SHEET, averaging=(Averaging("b", 0.1, 0.1, 0.01, 3, 128, "test images"),))
    assert averaging_sentence(plan, known) == (
        "b by 2 of 3 fold models; averaging is expected to improve log_loss by 0.0125 ± 0.0020, "
        "by 128 rows of the test images"
    )
    heads = replace(plan, stages=stages[:1], blends=({},), weights=(1.0,))
    assert averaging_sentence(heads, known) == ""  # heads on one backbone are no choice


def test_a_sheet_survives_its_file(tmp_path: Path) -> None:
    write_costs(tmp_path / "costs.json", SHEET)
    assert read_costs(tmp_path / "costs.json") == SHEET


@pytest.mark.parametrize(
    "text",
    [None, "{", "{}", "[]", '{"members": [{}]}', "\xff"]
    + [
        json.dumps(asdict(SHEET) | {name: value})
        for name, value in [
            ("machine", None),
            ("probe", 0),
            ("starts", []),
            ("read", "x"),
            ("decode", [[64]]),
            ("rows", 0),
            ("members", "x"),
            ("members", [asdict(member("a", shared=True, start=0.3, engine="abacus"))]),
        ]
    ],
)
def test_no_sheet_and_a_damaged_one_are_told(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "costs.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(WorkspaceError, match="python -m harness cost"):
        read_costs(path)


def test_reading_is_told_apart_from_resizing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0

    def decode(path: Path, sizes: list[int]) -> None:
        nonlocal now
        now += 10 + sum(sizes) / 100  # ten to read, and so much a size

    monkeypatch.setattr("harness.predict.cost.decode", decode)
    monkeypatch.setattr("harness.predict.cost.cores", lambda: 1)
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.touch()
    read, by_size = measure_decoding([*paths, tmp_path / "missing"], [100, 200], lambda: now)
    assert read == pytest.approx(10, abs=0.02)
    assert dict(by_size) == pytest.approx({0: 0.0, 100: 0.99, 200: 1.99})


def test_costs_do_not_depend_on_members_that_are_not_there() -> None:
    assert replace(SHEET, members=()).costs(100).start == 2.0
