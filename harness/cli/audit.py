"""What ``audit``, ``review`` and ``add`` do: each calls its part of harness.audit and tells."""

from pathlib import Path
from typing import TYPE_CHECKING

from harness.display import Display

if TYPE_CHECKING:
    from harness.audit.suspects import Doubts
    from harness.workspace import Workspace


def audit(workspace: "Workspace", display: Display, drop: list[str]) -> None:
    """Look at the data and say what is odd."""
    from harness.audit.make import SUMMARY
    from harness.audit.make import audit as look_at_all
    from harness.data.findings import FILE, KINDS
    from harness.errors import ConfigError, nearest

    for kind in drop:
        if kind not in KINDS:
            raise ConfigError("audit --drop", f"knows no kind {kind!r}", nearest(kind, KINDS))
    with display.alive("audit"):
        report = look_at_all(workspace, display, drop=drop)
    for line in report.lines:
        display.say(line)
    display.say(f"audit: wrote {FILE} ({len(report.findings.found)} findings), {SUMMARY}")


def audit_if_needed(workspace: "Workspace", display: Display) -> None:
    """Audit where the folds want to know the copies and nothing is known yet."""
    from harness.data.findings import FILE

    if workspace.competition.folds.group_duplicates and not (workspace.root / FILE).exists():
        audit(workspace, display, [])


def review(workspace: "Workspace", display: Display, *, most: int, show: bool, table: bool) -> None:
    """Serve the doubted labels as a page until interrupted, or only list them."""
    from harness.audit.review import Review, ReviewServer
    from harness.audit.suspects import image_paths, read_doubts
    from harness.data.corrections import FILE

    doubts = read_doubts(workspace, most=most)
    display.say(
        f"review: about {doubts.wrong} labels are wrong, by {len(doubts.members)} member(s) out of "
        f"fold; here are the {len(doubts.found)} most doubtful that nobody decided"
    )
    if table or not doubts.found:
        _list(doubts, display)
        return
    paths = image_paths(workspace, doubts)
    white = workspace.competition.data.white
    server = ReviewServer(Review(doubts.found, doubts.labels, paths, workspace.root / FILE, white))
    display.say(f"review: open {server.address}")
    display.say(f"review: decisions go to {FILE}; end with Ctrl-C, then run fold and train")
    if show:
        import webbrowser

        webbrowser.open(server.address)
    try:
        server.serve_forever()
    finally:
        server.server_close()


def _list(doubts: "Doubts", display: Display) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for name in ("id", "given", "likely"):
        table.add_column(name, overflow="fold")
    table.add_column("doubt", justify="right")
    for doubt in doubts.found:
        cells = (doubt.id, doubt.given, doubt.likely)
        table.add_row(*map(escape, cells), f"{doubt.doubt:.2f}")
    display.show(table)


def add(
    workspace: "Workspace", display: Display, given: Path, *, source: str, weight: float
) -> None:
    """Take pictures in, and say what was refused and what the others bring."""
    from harness.audit.grow import add as take_in

    added = take_in(workspace, display, given, source=source, weight=weight)
    display.say(f"add: took {added.taken} pictures from {given} ({source}) into {added.table}")
    for reason, count in sorted(added.refused.items()):
        display.say(f"add: refused {count}: {reason}")
    if added.gain is not None:
        metric, gain = workspace.competition.metric.name, added.gain
        helps = "may be noise" if gain.includes_zero else "helps" if gain.value > 0 else "HARMS"
        display.say(
            f"add: with them a probe's {metric} on the old images gains {gain.value:+.4f} "
            f"({gain.low:+.4f} to {gain.high:+.4f}; positive is better): that {helps}"
        )
    if workspace.competition.data.extra is None and added.taken:
        table = added.table.relative_to(workspace.root).as_posix()
        display.say(f'add: write extra = "{table}" under [data] to train on them')
