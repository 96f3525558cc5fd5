"""What ``python -m harness audit`` does: look at every picture, say what is odd, write it down."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from harness.audit.drift import Drift, find_drift
from harness.audit.duplicates import copy_findings, find_copies
from harness.audit.learn import Probed, growth, shortcuts, twins
from harness.audit.metadata import PIXELS, file_columns, table_columns
from harness.audit.pictures import Pictures, see
from harness.audit.probe import CLASSIFIED, linear, trees
from harness.audit.quality import quality_findings
from harness.data.corrections import Correction, append_corrections, read_corrections, standing
from harness.data.findings import KINDS, Finding, Findings, write_findings
from harness.data.state import CORRECTIONS, FINDINGS, SUMMARY
from harness.display import Display
from harness.files import write_text
from harness.workspace import Workspace


@dataclass(frozen=True)
class Report:
    """The findings, and what is to be read: lines under headings."""

    findings: Findings
    lines: tuple[str, ...]


def audit(workspace: Workspace, display: Display) -> Report:
    """Look at the data of a workspace and write the findings and their summary to audit/."""
    pictures = see(workspace, display)
    copies = find_copies(pictures.looks)
    found = quality_findings(pictures.looks, pictures.ids, pictures.parts)
    # what they mean, not how the table writes it: "rust scab" does not contradict "scab rust"
    labels = pictures.table.target.tolist()
    found += copy_findings(copies, pictures.ids, labels, pictures.trained)
    sections = [_findings_lines(found), _balance_lines(pictures, workspace.competition.task)]
    drift_lines, drift_findings = _drift(workspace, pictures)
    found += drift_findings
    sections.append(drift_lines)
    if workspace.competition.task in CLASSIFIED:
        probed = Probed(workspace, pictures, copies)
        sections += [twins(probed), shortcuts(probed), growth(probed)]
    else:
        task = workspace.competition.task
        sections.append(
            [
                f"left out for task {task!r}, whose images have no one class: the score with "
                "copies kept together, shortcuts, what more pictures would bring"
            ]
        )
    findings = Findings(tuple(found), tuple(map(str, pictures.table.ids)))
    write_findings(workspace.root / FINDINGS, findings)
    lines = tuple(line for section in sections for line in section)
    write_text(workspace.root / SUMMARY, "\n".join(lines) + "\n")
    return Report(findings, lines)


def _findings_lines(found: Sequence[Finding]) -> list[str]:
    """How many of each kind, and the gravest of each."""
    counts: Counter[str] = Counter(finding.kind for finding in found)
    lines = []
    for kind in KINDS:
        if kind not in counts:
            continue
        worst = max((f for f in found if f.kind == kind), key=lambda f: (f.severity, f.id))
        partner = f" and {worst.partner!r}" if worst.partner is not None else ""
        where = " (test)" if worst.part == "test" else ""
        lines.append(
            f"{kind.replace('_', ' ')}: {counts[kind]}, such as {worst.id!r}{where}{partner}"
        )
    return lines or ["pictures: nothing odd was found"]


def _balance_lines(pictures: Pictures, task: str) -> list[str]:
    """The rarest and the commonest class; none where images have values."""
    names, target = pictures.table.targets, pictures.table.target
    if task == "regression":
        return []
    if target.ndim == 1:
        counts = np.bincount(target.astype(np.int64), minlength=len(names))
    else:
        counts = target.sum(axis=0).astype(np.int64)
    few, many = int(counts.argmin()), int(counts.argmax())
    return [
        f"class balance: {len(counts)} classes, from {counts[few]} ({names[few]}) "
        f"to {counts[many]} ({names[many]}) images"
    ]


def _drift(workspace: Workspace, pictures: Pictures) -> tuple[list[str], list[Finding]]:
    """Adversarial validation on what the pictures look like, and on what is known of them."""
    looks, is_test = pictures.looks, np.arange(len(pictures.ids)) >= pictures.trained
    rows = np.flatnonzero(looks.readable)
    if min(np.bincount(is_test[rows], minlength=2)) < 20:
        return ["drift: too few test images to tell"], []
    names, table = table_columns(workspace, pictures)
    columns = np.hstack([file_columns(pictures), table])
    lines: list[str] = []
    found: list[Finding] = []
    for what, names_of, values, classifier in (
        ("looks", [], pictures.reduced, linear),
        ("size, light and metadata", [*PIXELS, *names], columns, trees),
    ):
        drift = find_drift(values[rows], names_of, is_test[rows], classifier)
        lines += _drift_lines(what, drift)
        if drift.telling:
            severity = 2 * drift.area - 1
            found += [
                Finding(pictures.ids[rows[row]], "drift", severity * told, part="test")
                for row, told in drift.rows
            ]
    best = {f.id: f for f in sorted(found, key=lambda f: f.severity)}
    return lines, list(best.values())


def _drift_lines(what: str, drift: Drift) -> list[str]:
    figure = f"area {drift.area:.2f} ({drift.low:.2f} to {drift.high:.2f})"
    if not drift.telling:
        return [f"drift in {what}: none seen, {figure}"]
    lines = [f"DRIFT in {what}: test and training images are told apart, {figure}"]
    if drift.columns:
        listed = ", ".join(f"{name} {area:.2f}" for name, area in drift.columns[:5])
        lines.append(f"  given away by {listed}")
    return lines


def to_drop(findings: Findings, kinds: Sequence[str]) -> dict[str, str]:
    """Return the kind of finding for which each training image would be left out, by id."""
    found = {f.id: f.kind for f in reversed(findings.of(*kinds)) if f.part == "train"}
    return dict(sorted(found.items()))


def drop(root: Path, kind_of: Mapping[str, str]) -> None:
    """Leave training images out from now on, by corrections that say for which finding."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [Correction(now, id_, "drop", kind) for id_, kind in kind_of.items()]
    append_corrections(root / CORRECTIONS, *lines)


def restore(root: Path) -> tuple[int, int]:
    """Take back what ``drop`` left out; (how many images that are, how many others stay out)."""
    decided = standing(read_corrections(root / CORRECTIONS))
    dropped = [one for one in decided.values() if one.action == "drop"]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [Correction(now, one.id, "undo") for one in dropped if one.label in KINDS]
    if lines:
        append_corrections(root / CORRECTIONS, *lines)
    return len(lines), len(dropped) - len(lines)
