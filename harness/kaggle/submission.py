"""Submitting: never lost, never twice.

A slot of the day's quota is spent by one call, whose answer may get lost. So the submission's
digest stands in its message, and whoever is not sure looks for the digest before asking again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from harness.errors import KaggleError, Unanswered
from harness.kaggle.seam import Kaggle, RemoteSubmission
from harness.workspace.ledger import UNCONFIRMED, Ledger, Upload, utc_now

LOOKS = (2.0, 8.0, 20.0)
"""Seconds before each look for a submission whose answer was lost."""
FIRST_WAIT, LONGEST_WAIT = 5.0, 60.0
"""Seconds between two questions whether a submission is scored."""


@dataclass(frozen=True)
class Parcel:
    """What is submitted: a file, or a version of the kernel owner/slug."""

    name: str
    digest: str
    path: Path | None = None
    kernel: str = ""
    version: int = 0

    @property
    def message(self) -> str:
        """What Kaggle shows beside the submission."""
        return f"{self.name} [{self.digest}]"


def send(kaggle: Kaggle, ledger: Ledger, competition: str, parcel: Parcel) -> tuple[Upload, bool]:
    """(the upload, whether it was made now); one that Kaggle has is not made again.

    A KaggleError if it was not made, or if nobody knows: then the ledger holds it unconfirmed, and
    the next ``send`` or ``sync`` finds out.
    """
    if found := find(kaggle, competition, parcel.digest):
        return _keep(ledger, parcel, found), False
    require_quota(kaggle, competition, datetime.now(UTC))
    token = kaggle.upload_submission(competition, parcel.path) if parcel.path else ""
    upload = Upload(parcel.digest, parcel.name, utc_now(), UNCONFIRMED)
    ledger.keep_uploads(upload)
    try:
        if parcel.path:
            ref = kaggle.submit_file(competition, token, parcel.message)
        else:
            ref = kaggle.submit_kernel(competition, parcel.kernel, parcel.version, parcel.message)
    except Unanswered as error:
        return _keep(ledger, parcel, _look(kaggle, competition, parcel, error)), True
    except KaggleError:
        ledger.forget_uploads(parcel.digest)
        raise
    upload = Upload(parcel.digest, parcel.name, upload.made, "pending", ref)
    ledger.keep_uploads(upload)
    return upload, True


def wait_for_score(
    kaggle: Kaggle, ledger: Ledger, upload: Upload, sleep: Callable[[float], None]
) -> Upload:
    """The upload once it is scored or has failed, however long that takes."""
    pause = FIRST_WAIT
    while upload.status == "pending" and upload.ref is not None:
        sleep(pause)
        pause = min(1.5 * pause, LONGEST_WAIT)
        upload = as_upload(kaggle.submission(upload.ref), upload.digest, upload.name)
        ledger.keep_uploads(upload)
    return upload


def find(kaggle: Kaggle, competition: str, digest: str) -> RemoteSubmission | None:
    """Our submission whose message holds the digest, if Kaggle lists one."""
    return next((s for s in kaggle.submissions(competition) if digest in s.message), None)


def require_quota(kaggle: Kaggle, competition: str, now: datetime) -> None:
    """A KaggleError if no submission is allowed now; the day ends at midnight UTC."""
    limits = kaggle.limits(competition)
    if limits.allowed > 0:
        return
    if limits.total == 0:
        raise KaggleError(
            "kaggle",
            f"no submission to {competition!r} is allowed and none was ever made",
            "join it: accept the rules on its page",
        )
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    minutes = round((midnight - now).total_seconds() / 60)
    raise KaggleError(
        "kaggle",
        f"no submission is left today, {limits.today} were made",
        f"the day ends in {minutes // 60} h {minutes % 60:02d} min, at midnight UTC",
    )


def as_upload(found: RemoteSubmission, digest: str, name: str) -> Upload:
    """What Kaggle tells of a submission, as the ledger keeps it."""
    return Upload(
        digest=digest,
        name=name,
        made=found.made,
        status=found.status,
        ref=found.ref,
        public_score=found.public_score,
        private_score=found.private_score,
        error=found.error,
    )


def _keep(ledger: Ledger, parcel: Parcel, found: RemoteSubmission) -> Upload:
    upload = as_upload(found, parcel.digest, parcel.name)
    ledger.keep_uploads(upload)
    return upload


def _look(kaggle: Kaggle, competition: str, parcel: Parcel, error: Unanswered) -> RemoteSubmission:
    """The submission that may have been made; a KaggleError if it does not show up.

    It is not made again at once: a server that has not answered may still be at it.
    """
    try:
        for pause in LOOKS:
            kaggle.wire.sleep(pause)
            if found := find(kaggle, competition, parcel.digest):
                return found
    except KaggleError as second:
        raise KaggleError(
            "kaggle",
            f"{error.found}, then {second.found}: nobody knows whether it was submitted",
            "run the same command later: it looks before it submits",
        ) from second
    raise KaggleError(
        "kaggle",
        f"{error.found}, and it is not among the submissions",
        "run the same command again: it looks before it submits",
    ) from error
