"""The tables of seconds: what serves each member, and what a budget buys."""

from collections.abc import Sequence

from rich import box
from rich.table import Table

from harness.predict.cost import CostSheet
from harness.predict.plan import Plan

MOST_PLANS = 12


def cost_table(sheet: CostSheet) -> Table:
    """Each member's engine, its pace, and how its answers score beside the stored ones."""
    table = Table(title="engines on this machine", title_justify="left", box=box.SIMPLE_HEAD)
    table.padding = (0, 1, 0, 0)
    table.add_column("member", overflow="fold")
    table.add_column("engine", no_wrap=True)
    table.add_column("images/s", justify="right")
    table.add_column("load s", justify="right")
    table.add_column("models", justify="right")
    table.add_column("OOF: engine, stored", justify="right", min_width=16)
    for member in sheet.members:
        count = len(member.weights)
        checked = ""
        if member.score is not None and member.reference is not None:
            checked = f"{member.score:.4f}, {member.reference:.4f}"
        table.add_row(
            member.member,
            member.cost.engine,
            f"{1 / member.image_seconds(count):.0f}",
            f"{member.fixed_seconds(count):.2f}",
            str(count),
            checked,
        )
    return table


def plan_table(plans: Sequence[Plan]) -> Table:
    """Show a part of the plans, from the prior to the best: what more seconds buy."""
    step = max(1, -(-len(plans) // MOST_PLANS))
    table = Table(
        title=f"what a budget buys, for {plans[0].rows} images",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("seconds", justify="right")
    nested = f"{plans[0].metric}, nested"
    table.add_column(nested, justify="right", overflow="fold", min_width=16)
    table.add_column("averaging gains", justify="right")
    table.add_column("members, for how many images, by how many models", overflow="fold")
    for plan in [*plans[:-1:step], plans[-1]]:
        used = [
            f"{member} {share:.0%}{_models(*plan.models_of(member))}"
            for member in plan.members
            if (share := max(stage.share for stage in plan.stages if stage.member == member))
        ]
        table.add_row(
            f"{plan.seconds:.1f}",
            f"{plan.score:.4f} ± {plan.error:.4f}",
            f"{plan.gain:.4f}" if plan.gain else "",
            ", ".join(used) or "the prior",
        )
    return table


def averaging_notes(sheet: CostSheet, metric: str) -> list[str]:
    """Say of each member what averaging its fold models is worth, and how that is known."""
    return [
        f"{one.member}: averaging {one.models} fold models improves its {metric} by "
        f"{one.score * (1 - 1 / one.models):.4f} ± {one.error * (1 - 1 / one.models):.4f}, "
        f"by {one.rows} rows of the {one.source}"
        for one in sheet.averaging
    ]


def _models(used: int, there: int) -> str:
    return "" if there == 1 else f" ({used} of {there})"
