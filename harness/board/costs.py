"""The tables of seconds: what serves each member, and what a budget buys."""

from collections.abc import Sequence

from rich import box
from rich.markup import escape
from rich.table import Table

from harness.predict.cost import CostSheet
from harness.predict.plan import Plan

MOST_PLANS = 12


def cost_table(sheet: CostSheet) -> Table:
    """Each member's engine, its pace, and how its answers score beside the stored ones."""
    table = Table(title="engines on this machine", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("member", overflow="fold")
    table.add_column("engine", overflow="fold")
    table.add_column("images/s", justify="right")
    table.add_column("load s", justify="right")
    table.add_column("models", justify="right")
    table.add_column("OOF: engine, stored", justify="right")
    for member in sheet.members:
        count = len(member.weights)
        checked = ""
        if member.score is not None and member.reference is not None:
            checked = f"{member.score:.4f}, {member.reference:.4f}"
        table.add_row(
            escape(member.member),
            member.cost.engine,
            f"{1 / member.image_seconds(count):.0f}",
            f"{member.fixed_seconds(count):.2f}",
            str(count),
            checked,
        )
    return table


def plan_table(plans: Sequence[Plan]) -> Table:
    """What more seconds buy: of the plans that no cheaper one equals, some, cheapest first."""
    better: list[Plan] = []
    sign = 1 if plans[0].greater_is_better else -1
    for plan in plans:
        if not better or sign * plan.score > sign * better[-1].score:
            better.append(plan)
    step = max(1, -(-len(better) // MOST_PLANS))
    shown = [*better[:-1:step], better[-1]]
    table = Table(
        title=f"what a budget buys, for {plans[0].rows} images",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("seconds", justify="right")
    table.add_column(f"{plans[0].metric}, nested", justify="right")
    table.add_column("members, and for how many images", overflow="fold")
    for plan in shown:
        stages = [f"{s.member} {s.share:.0%}" for s in plan.stages if s.share]
        table.add_row(
            f"{plan.seconds:.1f}",
            f"{plan.score:.4f} ± {plan.error:.4f}",
            escape(", ".join(stages)) or "the prior",
        )
    return table
