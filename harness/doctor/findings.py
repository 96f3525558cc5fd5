"""What an examination found, and what comes next. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harness.data.images import WHITE, ImageFacts

Verdict = Literal["ok", "note", "mend"]
SHOWN = 3
"""Files that are named of those with the same fault."""
WHITES = (1, 255, 1023, 4095, 16383, 65535)
"""What white usually is: fractions, and 8 to 16 bits."""
TOO_DARK = 4
"""How many times darker than they could be pictures may become: two bits of eight."""
SMALL = 16
"""Pixels; a side shorter than that says little."""


@dataclass(frozen=True)
class Finding:
    """One line: ``mend`` is what must be mended, ``note`` what may surprise."""

    verdict: Verdict
    topic: str
    text: str


def credential_finding(state: str, text: str, warning: str | None, *, wanted: bool) -> Finding:
    """What ``harness.kaggle.credentials`` says, as a finding.

    ``wanted``: competition.toml names a Kaggle competition, so that none is a fault.
    """
    if warning:
        return Finding("mend", "kaggle", warning)
    if state in ("found", "works"):
        return Finding("ok", "kaggle", text)
    return Finding("mend" if wanted else "note", "kaggle", text)


@dataclass(frozen=True)
class ImageReport:
    """One image file: its ``fault`` (missing, empty, unreadable) and why, or what it is."""

    name: str
    fault: Literal["missing", "empty", "unreadable"] | None = None
    why: str = ""
    facts: ImageFacts | None = None


def image_findings(
    what: str, reports: Sequence[ImageReport], white: float | None = None
) -> list[Finding]:
    """What is to be said of ``what`` images: their faults by kind, odd modes, tiny ones.

    ``white`` is that of [data], for grey pictures of more than 8 bits.
    """
    found = []
    for fault in ("missing", "empty", "unreadable"):
        bad = [report for report in reports if report.fault == fault]
        if bad:
            shown = "; ".join(f"{r.name}{f' ({r.why})' if r.why else ''}" for r in bad[:SHOWN])
            more = ", …" if len(bad) > SHOWN else ""
            found.append(
                Finding("mend", what, f"{len(bad)} of {len(reports)} are {fault}: {shown}{more}")
            )
    good = [(report.name, report.facts) for report in reports if report.facts is not None]
    if not good:
        return found
    modes = Counter(facts.mode for _, facts in good)
    usual = modes.most_common(1)[0][0]
    for mode, count in sorted(modes.items()):
        if mode != usual:
            first = next(name for name, facts in good if facts.mode == mode)
            text = f"{count} of {len(good)} are {mode} where most are {usual}, the first is {first}"
            found.append(Finding("note", what, text))
    deep = [(f.mode[0], f.brightest) for _, f in good if f.brightest is not None]
    for kind in sorted({kind for kind, _ in deep}):
        brightest = max(value for of, value in deep if of == kind)
        found.append(_depth(what, brightest, white or WHITE[kind]))
    if tiny := [name for name, facts in good if min(facts.width, facts.height) < SMALL]:
        text = f"{len(tiny)} have a side shorter than {SMALL} pixels, the first is {tiny[0]}"
        found.append(Finding("note", what, text))
    widths, heights = zip(*((f.width, f.height) for _, f in good), strict=True)
    sides = [f"{min(s)}–{max(s)}" if min(s) < max(s) else str(s[0]) for s in (widths, heights)]
    shape = f"{' × '.join(sides)} pixels, {usual}"
    found.append(Finding("ok", what, f"{len(good)} can be read: {shape}"))
    return found


def _depth(what: str, brightest: float, white: float) -> Finding:
    """Whether grey of more than 8 bits loses what it shows: clipped, or all of it dark."""
    fitting = next((one for one in WHITES if one >= brightest), brightest)
    said = f"grey of more than 8 bits: the brightest value is {brightest:g}, white is {white:g}"
    if brightest > white or fitting * TOO_DARK < white:
        return Finding("mend", what, f"{said}: set [data] white = {fitting:g}")
    return Finding("note", what, said)


@dataclass(frozen=True)
class Progress:
    """What a workspace has: folds, the models without OOF file, an ensemble, plans, submissions."""

    folds: bool
    untrained: tuple[str, ...]
    ensemble: bool
    budget: bool
    plans: bool
    submissions: tuple[str, ...]


def next_verb(progress: Progress) -> str:
    """The verb that goes on from there.

    >>> next_verb(Progress(True, ("lite0",), False, False, False, ()))
    'train'
    """
    if not progress.folds:
        return "fold"
    if progress.untrained:
        return "train"
    if not progress.ensemble:
        return "stack"
    if progress.budget and not progress.plans:
        return "cost"
    if not progress.submissions:
        return "submit"
    return "board"
