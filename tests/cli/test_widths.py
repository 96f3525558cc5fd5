"""Every table that a verb prints fits a terminal of 80 columns, however long names are."""

from dataclasses import replace

import pytest
from board.test_tables import ENSEMBLE, ENTRY, printed, score
from rich.console import RenderableType

from harness.audit.suspects import Doubt, Doubts
from harness.board.costs import cost_table, plan_table
from harness.board.season import Row as Submitted
from harness.board.tables import (
    difference_table,
    ledger_table,
    member_table,
    method_table,
    season_table,
)
from harness.cli import audit, training
from harness.display import Display, PlainConsole
from harness.metrics import get_metric
from harness.predict.cost import CostSheet, MemberCost
from harness.predict.measure import EngineCost
from harness.predict.plan import Costs, Plan, Stage
from harness.space import TuneSection
from harness.submit.rehearsal import Rehearsal, rehearsal_table
from harness.train.hours import Work
from harness.tune.tables import Row, importance_table, slice_table, trial_table
from harness.workspace.submissions import Sidecar

LONG = "convnextv2_tiny_in22k_in1k_384-with_strong_augmentation-seed_123"  # the longest name
METRIC = "quadratic_weighted_kappa"
ENSEMBLE_OF_LONG_NAMES = replace(
    ENSEMBLE,
    metric=METRIC,
    method="bagged_two_layers",
    members=(LONG, "short"),
    used=(LONG,),
    member_seconds=(123456.0, 1.0),
    scores=(score("best", -0.53), score("bagged_two_layers", -0.51)),
    nested=-0.5132,
    low=-0.5480,
    high=-0.4801,
)
LONG_ENTRY = replace(
    ENTRY, name=LONG, metric=METRIC, nested=-0.5132, low=-0.5480, high=-0.4801, local_score=-0.58
)
SUBMITTED = Submitted(
    name=LONG,
    made="",
    digest="",
    ensemble=None,
    method=None,
    members=None,
    nested=-0.5132,
    low=-0.5480,
    high=-0.4801,
    seconds=32100.5,
    budget_seconds=32400.0,
    local_score=None,
    status="complete",
    ref=1,
    public_score=-0.5234,
    private_score=-0.5345,
    rank=1234,
    medal="bronze",
    error="",
)


def _costs() -> RenderableType:
    engine = EngineCost("openvino-fp32-async", 16, 1, 1.0, 12.34, 0.5, 0.00005, 0.00006, 64)
    member = MemberCost(LONG, 64, False, ("fold0",) * 25, engine, 100, -0.6123, -0.6012)
    return cost_table(CostSheet("", "", 0.1, (1.0,), 0.001, ((64, 0.0),), 0.1, 9, (member,), ()))


def _plans() -> RenderableType:
    stage = Stage(LONG, LONG, "e", (0, 5), (0, 1), 64, 0.3, "entropy", 0.1, 0.01, 0.5)
    plan = Plan(
        kind="classes",
        metric=METRIC,
        greater_is_better=True,
        stages=(stage, replace(stage, member="short")),
        blends=({}, {}),
        weights=(0.5, 0.5),
        prior=(0.5, 0.5),
        costs=Costs(1.0, 0.1, ((64, 0.0),)),
        rows=1_000_000,
        seconds=32100.5,
        score=-0.5123,
        error=0.1234,
    )
    return plan_table([replace(plan, gain=0.0123)])


def _rehearsal() -> RenderableType:
    sidecar = Sidecar("", "plan", METRIC, 1, 1, 1, 1, 1, (), "", 9, (), 1.0, 9.0, "")
    stages = {"start": 1234.5, "predict": 31000.5}
    told = replace(sidecar, spent=stages, predicted=stages)
    return rehearsal_table(Rehearsal(32100.5, 32400.0, 0, 2**36, 1_000_000, told))


AXES = TuneSection.model_validate({"space": {"lr": {"low": 1e-5, "high": 1e-2, "log": True}}}).axes
TRIALS = [
    Row(
        1000 + i,
        "run",
        "complete",
        {"lr": 0.000123 * (i + 1), "layer_decay": 0.75, "augment": "a_recipe_that_is_long"},
        0.5123,
        2.5,
        12345.0,
        "it needs 12.5 GiB of 8.0 on this card" if i else "",
    )
    for i in range(6)
]
TABLES: dict[str, tuple[RenderableType, list[str]]] = {
    "members": (member_table(ENSEMBLE_OF_LONG_NAMES), ["0.5300", "123456", "not used"]),
    "methods": (
        method_table(ENSEMBLE_OF_LONG_NAMES, 80, LONG_ENTRY),
        ["-0.5350 – -0.4850", "-0.5480 – -0.4801", "-0.5800", "-0.6100"],
    ),
    "gains": (difference_table(ENSEMBLE_OF_LONG_NAMES, 80), ["+0.0123 (-0.0034 to +0.0280)"]),
    "ledger": (
        ledger_table([LONG_ENTRY], 80),
        ["-0.5132", "-0.5480 – -0.4801", "-0.5800", "656", "12.1"],
    ),
    "season": (season_table([SUBMITTED], 80), ["-0.5132", "-0.5234", "1234", "bronze"]),
    "costs": (_costs(), ["openvino-fp32-async", "321.00", "25", "-0.6123, -0.6012"]),
    "plans": (_plans(), ["32100.5", "-0.5123 ± 0.1234", "0.0123"]),
    "rehearsal": (_rehearsal(), ["31000.5", "32100.5", "64.0 GiB"]),
    "trials": (
        trial_table(TRIALS, get_metric(METRIC), "title"),
        ["1005", "-0.5123", "2.5", "12345", "layer_decay=0.75"],
    ),
    "importance": (importance_table({"layer_decay": 0.98, "augment": 0.02}), ["0.98", "█" * 20]),
    "slices": (slice_table(AXES, TRIALS, get_metric(METRIC)), ["0.000123 – 0.000246", "-0.5123"]),
    "training": (
        training._table([Work(LONG, "", 125, 7654321.0, 12_345_678_901)]),
        ["125", "2126 h 12 min", "12346 MB"],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_fits_80_columns_and_breaks_no_figure(name: str) -> None:
    table, figures = TABLES[name]
    lines = printed(table, 80)
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if "…" in line]
    for figure in figures:
        assert any(figure in line for line in lines), (figure, lines)


def test_the_list_of_doubts_fits_80_columns() -> None:
    doubts = Doubts((Doubt("folder/" + "x" * 90, LONG, LONG[::-1], 0.98),), 1, 1, 1, (), ())
    display = Display(PlainConsole(width=80, color_system=None))
    with display.console.capture() as capture:
        audit._list(doubts, display)
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.rstrip().endswith("0.98") for line in lines)
    assert "".join(line[1:30].strip() for line in lines).count("x") >= 20
