"""Tables of seconds."""

from rich.console import Console

from harness.board.costs import cost_table, plan_table
from harness.predict.cost import CostSheet, MemberCost
from harness.predict.measure import EngineCost
from harness.predict.plan import Costs, Plan, Stage

ENGINE = EngineCost("openvino-bf16", 16, 1, 1.0, 0.5, 0.5, 0.005, 0.006, 64)


def shown(table: object) -> str:
    console = Console(width=80, record=True)
    console.print(table)
    return console.export_text()


def test_each_member_has_its_engine_and_pace() -> None:
    members = (
        MemberCost("[b]probe", 64, True, ("fold0", "fold1"), ENGINE, 100, 0.61, 0.6),
        MemberCost("tuned", 64, False, ("fold0", "fold1"), ENGINE),
    )
    sheet = CostSheet("", "", 0.1, (1.0,), 0.001, ((64, 0.0),), 0.1, 9, members, ())
    text = shown(cost_table(sheet))
    assert "[b]probe" in text  # a name is no markup
    assert "0.6100, 0.6000" in text
    probe, tuned = (line for line in text.splitlines() if "openvino-bf16" in line)
    assert "200" in probe  # images/s
    assert "100" in tuned


def plan(seconds: float, score: float, share: float) -> Plan:
    stage = Stage("o", "tuned", "e", 1, 1, 64, share, "entropy", 0.1, 0.01, 0.5)
    costs = Costs(1.0, 0.1, ((64, 0.0),))
    return Plan(
        kind="classes",
        metric="log_loss",
        greater_is_better=False,
        stages=(stage,),
        blends=({},),
        weights=(1.0,),
        prior=(0.5, 0.5),
        costs=costs,
        rows=9,
        seconds=seconds,
        score=score,
        error=0.1,
    )


def test_plans_that_a_cheaper_one_equals_are_left_out() -> None:
    text = shown(
        plan_table([plan(1, 1.0, 0), plan(2, 0.7, 0.3), plan(3, 0.9, 0.5), plan(4, 0.5, 1)])
    )
    assert "the prior" in text
    assert "tuned 30%" in text
    assert "tuned 50%" not in text
    assert "0.5000 ± 0.1000" in text
