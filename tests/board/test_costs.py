"""Tables of seconds."""

from dataclasses import replace

from harness.board.costs import cost_table, plan_table
from harness.display import PlainConsole
from harness.predict.cost import CostSheet, MemberCost
from harness.predict.measure import EngineCost
from harness.predict.plan import Costs, Plan, Stage

ENGINE = EngineCost("openvino-bf16", 16, 1, 1.0, 0.5, 0.5, 0.005, 0.006, 64)


def shown(table: object) -> str:
    console = PlainConsole(width=80, record=True)
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
    stage = Stage("o", "tuned", "e", (0, 1), (0, 1), 64, share, "entropy", 0.1, 0.01, 0.5)
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


def test_plans_go_from_the_prior_to_the_best() -> None:
    plans = [plan(1, 1.0, 0), plan(2, 0.7, 0.3), replace(plan(4, 0.5, 1), gain=0.02)]
    text = shown(plan_table(plans))
    assert "the prior" in text
    assert "tuned 30%" in text
    assert "0.5000 ± 0.1000" in text
    assert "0.0200" in text
    many = shown(plan_table([*plans[:2]] * 20 + [plans[2]]))
    assert many.count("±") <= 13
    assert "tuned 100%" in many  # the best is always there


def test_a_plan_says_how_many_models_it_uses() -> None:
    one = plan(1, 1.0, 0.5)
    rungs = (one.stages[0], replace(one.stages[0], models=(1, 5), share=0.0))
    text = shown(plan_table([replace(one, stages=rungs, blends=({}, {}))]))
    assert "tuned 50% (1 of 5)" in text
