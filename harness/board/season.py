"""The season: each submission with what was believed of it, what it scored, and where it stands.

Pure: the ledger's rows and the submissions' cells in, rows and sentences out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.board.medals import medal, rank_of
from harness.board.relation import (
    Candidate,
    Z,
    choose_two,
    distinguishable,
    public_noise,
    rank_correlation,
)
from harness.estimate import Estimate
from harness.workspace.ledger import Entry, Standing, Upload

Likeness = Callable[[str, str], float | None]
"""How alike two submissions' predictions are, by their digests; None where nobody knows."""


@dataclass(frozen=True)
class Row:
    """One submission; what is not known is None. ``rank`` and ``medal`` are the public score's."""

    name: str
    made: str
    digest: str
    ensemble: str | None
    method: str | None
    members: str | None
    nested: float | None
    low: float | None
    high: float | None
    seconds: float | None
    budget_seconds: float | None
    local_score: float | None
    status: str | None
    ref: int | None
    public_score: float | None
    private_score: float | None
    rank: int | None
    medal: str | None
    error: str


@dataclass(frozen=True)
class Season:
    """The rows, the oldest first, and what there is to say of them.

    ``noise`` is the standard deviation of a public score; None where nothing tells it.
    """

    rows: tuple[Row, ...]
    noise: float | None
    notes: tuple[str, ...]


def season(
    entries: Sequence[Entry],
    uploads: Sequence[Upload],
    standing: Standing | None,
    likeness: Likeness,
    *,
    greater_is_better: bool,
    public_share: float | None,
    test_rows: int | None,
    today: str,
) -> Season:
    """What the ledger tells of a season at Kaggle; ``today`` is a UTC date, ISO 8601.

    Without ``public_share`` all test rows count as public, so that the noise is told too small.
    ``test_rows`` is the number of hidden rows where it is not that of the visible ones.
    """
    sent = {upload.digest: upload for upload in uploads}
    known = {entry.file_digest: entry for entry in entries}
    rows = [_row(d, known.get(d), sent.get(d), standing, greater_is_better) for d in known | sent]
    rows.sort(key=lambda row: (row.made, row.name))
    noise, public_rows = _noise(entries, public_share, test_rows)
    scored = [row for row in rows if row.public_score is not None and row.nested is not None]
    notes = [
        *_standing_notes(standing, today),
        *_relation_notes(scored),
        *_noise_notes(noise, public_rows, public_share),
        *_difference_notes(scored, noise, greater_is_better),
        *_choice_notes(scored, likeness, greater_is_better),
    ]
    return Season(tuple(rows), noise, tuple(notes))


def _row(
    digest: str,
    entry: Entry | None,
    upload: Upload | None,
    standing: Standing | None,
    greater_is_better: bool,
) -> Row:
    public = upload.public_score if upload else None
    rank = None
    if standing and standing.scores and public is not None:
        rank = rank_of(public, standing.scores, greater_is_better=greater_is_better)
    return Row(
        name=entry.name if entry else upload.name if upload else "",
        made=upload.made if upload else entry.recorded if entry else "",
        digest=digest,
        ensemble=entry.ensemble if entry else None,
        method=entry.method if entry else None,
        members=entry.members if entry else None,
        nested=entry.nested if entry else None,
        low=entry.low if entry else None,
        high=entry.high if entry else None,
        seconds=entry.seconds if entry else None,
        budget_seconds=entry.budget_seconds if entry else None,
        local_score=entry.local_score if entry else None,
        status=upload.status if upload else None,
        ref=upload.ref if upload else None,
        public_score=public,
        private_score=upload.private_score if upload else None,
        rank=rank,
        medal=medal(rank, len(standing.scores)) if rank and standing else None,
        error=upload.error if upload else "",
    )


def _noise(
    entries: Sequence[Entry], public_share: float | None, test_rows: int | None
) -> tuple[float | None, float]:
    """(the median over the ensembles of a public score's noise, the number of public rows)."""
    found, public_rows = [], 0.0
    for entry in entries:
        if entry.expected:
            public_rows = (public_share or 1.0) * (test_rows or entry.rows)
            believed = Estimate(entry.nested, entry.low, entry.high)
            expected = Estimate(entry.nested, *entry.expected)
            found.append(public_noise(believed, expected, entry.rows, public_rows))
    return (float(np.median(found)) if found else None), public_rows


def _standing_notes(standing: Standing | None, today: str) -> list[str]:
    if standing is None:
        return ["Ranks, scores and the quota: `board sync` asks Kaggle for them."]
    asked = standing.taken[:16].replace("T", " ")
    of_today = standing.taken[:10] == today
    quota = (
        f"{standing.allowed} submissions left today, {standing.today} made."
        if of_today
        else "A new day has begun since, and with it a new quota."
    )
    return [f"As of {asked} UTC: {len(standing.scores)} teams. {quota}"]


def _relation_notes(scored: Sequence[Row]) -> list[str]:
    found = rank_correlation(
        [row.nested for row in scored if row.nested is not None],
        [row.public_score for row in scored if row.public_score is not None],
    )
    if found is None:
        return []
    return [
        f"CV and public score: rank correlation {found.value:.2f} "
        f"({found.low:.2f} to {found.high:.2f}) over {len(scored)} submissions."
    ]


def _noise_notes(noise: float | None, rows: float, share: float | None) -> list[str]:
    if noise is None:
        return []
    least = "" if share else "at least "
    said = "" if share else " (say [competition] public_share, and it is told for the public rows)"
    return [f"Noise of a score on {rows:.0f} rows: {least}± {Z * noise:.4f}{said}."]


def _difference_notes(
    scored: Sequence[Row], noise: float | None, greater_is_better: bool
) -> list[str]:
    """Which public scores the best one can be told apart from."""
    if noise is None or len(scored) < 2:
        return []
    sign = -1 if greater_is_better else 1
    best, *others = sorted(scored, key=lambda row: sign * (row.public_score or 0.0))
    same = [
        row.name
        for row in others
        if not distinguishable(best.public_score or 0.0, row.public_score or 0.0, noise)
    ]
    if not same:
        return [f"{best.name} is distinguishable from all others on the public leaderboard."]
    listed = ", ".join(same[:6]) + (f" and {len(same) - 6} more" if len(same) > 6 else "")
    return [
        f"{best.name} has the best public score; not distinguishable from it: {listed} "
        f"({len(same)} of {len(others)})."
    ]


def _choice_notes(scored: Sequence[Row], alike: Likeness, greater_is_better: bool) -> list[str]:
    digests = {row.name: row.digest for row in scored}
    two = choose_two(
        [Candidate(r.name, r.nested or 0.0, r.low or 0.0, r.high or 0.0) for r in scored],
        lambda one, other: alike(digests[one], digests[other]),
        greater_is_better=greater_is_better,
    )
    if len(two) < 2:
        return []
    (one, why), (other, why_other) = two
    return [f"To select at the end: {one} ({why}) and {other} ({why_other})."]
