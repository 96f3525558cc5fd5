"""What ``audit``, ``review`` and ``add`` do: each calls its part of harness.audit and tells."""

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from harness.display import Display

if TYPE_CHECKING:
    from harness.audit.suspects import Doubts
    from harness.data.findings import Findings
    from harness.workspace import Workspace


MOST_DROPPED = 0.05
"""The share of the training images above which ``--drop`` asks first."""


def audit(
    workspace: "Workspace", display: Display, drop: Sequence[str] = (), *, sure: bool = False
) -> None:
    """Look at the data, say what is odd, and leave images out; ``sure`` asks no question."""
    from harness.audit.make import audit as look_at_all
    from harness.data.findings import KINDS
    from harness.data.state import FINDINGS, SUMMARY
    from harness.errors import ConfigError, nearest

    for kind in drop:
        if kind not in KINDS:
            raise ConfigError("audit --drop", f"knows no kind {kind!r}", nearest(kind, KINDS))
    with display.alive("audit"):
        report = look_at_all(workspace, display)
    for line in report.lines:
        display.say(line)
    display.say(f"audit: wrote {FINDINGS} ({len(report.findings.found)} findings), {SUMMARY}")
    if drop:
        _drop(workspace.root, display, report.findings, drop, sure=sure)


def _drop(
    root: Path, display: Display, findings: "Findings", kinds: Sequence[str], *, sure: bool
) -> None:
    """Leave the training images of these kinds out; a ConfigError where nobody agrees to many."""
    import typer

    from harness.audit.make import drop, to_drop
    from harness.data.state import CORRECTIONS
    from harness.errors import ConfigError

    kind_of = to_drop(findings, kinds)
    counts = ", ".join(f"{kind} {count}" for kind, count in Counter(kind_of.values()).items())
    said = f"{len(kind_of)} of {len(findings.ids)} training images ({counts or 'none'})"
    display.say(f"audit: --drop would leave out {said}")
    many = len(kind_of) > MOST_DROPPED * len(findings.ids)
    if many and not sure and not (sys.stdin.isatty() and typer.confirm("leave them out?")):
        found = f"{said} are more than {MOST_DROPPED:.0%}, and nothing was left out"
        raise ConfigError("audit --drop", found, "look at some; if you agree, add --yes")
    drop(root, kind_of)
    display.say(f"dropped: {len(kind_of)} training images, by lines in {CORRECTIONS}")


def restore(workspace: "Workspace", display: Display) -> None:
    """Take back all that ``audit --drop`` left out."""
    from harness.audit.make import restore as take_back
    from harness.data.state import CORRECTIONS

    restored, others = take_back(workspace.root)
    display.say(
        f"restored: {restored} training images, by lines in {CORRECTIONS}; "
        f"{others} that `review` or an earlier version dropped stay left out"
    )


def audit_if_needed(workspace: "Workspace", display: Display) -> None:
    """Audit where the folds want to know the copies and nothing is known yet."""
    from harness.data.state import FINDINGS

    if workspace.competition.folds.group_duplicates and not (workspace.root / FINDINGS).exists():
        audit(workspace, display)


def review(workspace: "Workspace", display: Display, *, most: int, show: bool, table: bool) -> None:
    """Serve the doubted labels as a page until interrupted, or only list them."""
    from harness.audit.review import Review, ReviewServer
    from harness.audit.suspects import image_paths, read_doubts
    from harness.data.state import CORRECTIONS

    doubts = read_doubts(workspace, most=most)
    display.say(
        f"review: {len(doubts.members)} member(s) disagree, out of fold, with {doubts.doubted} of "
        f"{doubts.rows} labels. An estimated {doubts.wrong} of these labels are wrong; the others "
        f"are the members' errors. Here are the {len(doubts.found)} most doubtful that nobody "
        "decided"
    )
    if table or not doubts.found:
        _list(doubts, display)
        return
    paths = image_paths(workspace, doubts)
    rendering = workspace.competition.data.rendering
    server = ReviewServer(
        Review(doubts.found, doubts.labels, paths, workspace.root / CORRECTIONS, rendering)
    )
    display.say(f"review: open {server.address}")
    display.say(f"review: decisions go to {CORRECTIONS}; end with Ctrl-C, then run fold and train")
    with ExitStack() as ending:
        ending.callback(server.server_close)
        if show:
            import webbrowser

            # the address is a secret, and every user of the machine can read a command line
            page = Path(ending.enter_context(TemporaryDirectory())) / "review.html"
            leading = f'<meta http-equiv="refresh" content="0; url={server.address}">'
            page.write_text(leading, encoding="utf-8")
            webbrowser.open(page.as_uri())
        server.serve_forever()


def _list(doubts: "Doubts", display: Display) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for name in ("id", "given", "likely"):
        table.add_column(name, overflow="fold")
    table.add_column("doubt", justify="right")
    for doubt in doubts.found:
        table.add_row(doubt.id, doubt.given, doubt.likely, f"{doubt.doubt:.2f}")
    display.show(table)


def add(
    workspace: "Workspace", display: Display, given: Path, *, source: str, weight: float
) -> None:
    """Take pictures in, and say what was refused and what the others bring."""
    from harness.audit.grow import add as take_in
    from harness.data.extra import extra_table
    from harness.data.state import FOLDER
    from harness.locks import holding

    with holding(workspace.root / FOLDER / ".add.lock"):  # it reads extra.csv and replaces it
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
    named = extra_table(workspace.root, workspace.competition.data.extra)
    if named != added.table and added.taken:
        table = added.table.relative_to(workspace.root).as_posix()
        display.say(f'add: write extra = "{table}" under [data] to train on them')
