"""The leaderboard and our submissions' scores, noted in the ledger."""

import re
from dataclasses import dataclass

from harness.kaggle.seam import Kaggle
from harness.kaggle.submission import as_upload
from harness.workspace.ledger import UNCONFIRMED, Ledger, Standing, utc_now

_DIGEST = re.compile(r"\[([0-9a-f]{32})\]$")


@dataclass(frozen=True)
class Synced:
    """How many submissions Kaggle has, how many of them scored; and the names of lost ones."""

    submissions: int
    scored: int
    teams: int
    never_arrived: tuple[str, ...]


def sync(kaggle: Kaggle, ledger: Ledger, competition: str, *, greater_is_better: bool) -> Synced:
    """Note every submission's status and scores, the quota and the leaderboard.

    Submissions that were made without the harness are entered, too; uploads that nobody had
    confirmed are confirmed or struck out.
    """
    known = {upload.ref: upload for upload in ledger.uploads() if upload.ref is not None}
    unconfirmed = {u.digest: u for u in ledger.uploads() if u.status == UNCONFIRMED}
    listed = list(kaggle.submissions(competition))
    limits = kaggle.limits(competition)
    scores = sorted(kaggle.leaderboard(competition), reverse=greater_is_better)
    uploads = []
    for found in listed:
        match = _DIGEST.search(found.message)
        digest = match[1] if match else f"ref:{found.ref}"
        name = found.message[: match.start()].strip() if match else found.file
        if found.ref in known:
            digest, name = known[found.ref].digest, known[found.ref].name
        uploads.append(as_upload(found, digest, name))
        unconfirmed.pop(digest, None)
    ledger.keep_uploads(*uploads)
    ledger.forget_uploads(*unconfirmed)
    ledger.keep_standing(Standing(utc_now(), limits.today, limits.allowed, tuple(scores)))
    return Synced(
        submissions=len(listed),
        scored=sum(1 for one in listed if one.public_score is not None),
        teams=len(scores),
        never_arrived=tuple(upload.name for upload in unconfirmed.values()),
    )
