"""The seam: every call to Kaggle, as plain records. Nothing else imports the official client.

It is kagglesdk, the part of the `kaggle` package that speaks to Kaggle. The package itself is not
imported: its import authenticates, which with an access token is a request without a time-out,
prints, and makes folders.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from harness.errors import KaggleError, Unanswered
from harness.kaggle.credentials import Credentials, find_credentials
from harness.kaggle.wire import CONNECT_SECONDS, SILENT_SECONDS, Wire

PAGE = 200
"""Rows asked for at once: without a number Kaggle gives 20."""

Status = Literal["pending", "complete", "error"]


@dataclass(frozen=True)
class RemoteFile:
    """A file of a competition or a data set; ``size`` in bytes, 0 where it is not said."""

    name: str
    size: int


@dataclass(frozen=True)
class Limits:
    """Submissions made today (UTC) and ever, and how many more are allowed now."""

    today: int
    total: int
    allowed: int


@dataclass(frozen=True)
class RemoteSubmission:
    """A submission as Kaggle tells it; ``made`` is UTC, ISO 8601."""

    ref: int
    made: str
    file: str
    message: str
    status: Status
    public_score: float | None
    private_score: float | None
    error: str


@dataclass(frozen=True)
class KernelRun:
    """A kernel's latest run; ``status`` is Kaggle's word in lower case, such as "running"."""

    status: str
    error: str


def connect(
    sleep: Callable[[float], None],
    timeout: tuple[float, float] = (CONNECT_SECONDS, SILENT_SECONDS),
) -> "Kaggle":
    """The seam with the credentials that are there; a KaggleError if there are none."""
    return Kaggle(find_credentials(), sleep, timeout)


def ask_name() -> str:
    """The user's name, for which Kaggle is asked: whether the credentials work."""
    kaggle = connect(time.sleep)
    if kaggle.credentials.key is None:
        return kaggle.username
    # the legacy key brings its name along, so something is asked that needs it to be right
    from kagglesdk.competitions.types.competition_api_service import ApiListCompetitionsRequest

    request = filled(ApiListCompetitionsRequest(), page_size=1)
    call = kaggle.client.competitions.competition_api_client.list_competitions
    kaggle.wire.read("the credentials", lambda: call(request))
    return kaggle.username


class Kaggle:
    """Kaggle's calls as plain records; all raise KaggleErrors, and none that acts does so twice."""

    def __init__(
        self,
        credentials: Credentials,
        sleep: Callable[[float], None],
        timeout: tuple[float, float],
    ) -> None:
        self.credentials = credentials
        self._name, token = credentials.username, credentials.token
        if credentials.key is None and token is None:
            client = _client()
            self.wire = Wire(client.http_client(), sleep, timeout)
            self._name, token = self._logged_in(client)
        self.client = _client(self._name, credentials.key, token)
        self.wire = Wire(self.client.http_client(), sleep, timeout)

    @property
    def username(self) -> str:
        """Whose credentials these are; Kaggle is asked where they do not say."""
        if self._name is None:
            from kagglesdk.security.types.oauth_service import IntrospectTokenRequest

            request = filled(IntrospectTokenRequest(), token=self.credentials.token)
            call = self.client.security.oauth_client.introspect_token
            self._name = self.wire.read("who we are", lambda: call(request)).username
        return self._name

    def files(self, competition: str) -> Iterator[RemoteFile]:
        """The competition's files."""
        from kagglesdk.competitions.types.competition_api_service import ApiListDataFilesRequest

        call = self.client.competitions.competition_api_client.list_data_files
        for page in self.pages(
            "the list of files", call, ApiListDataFilesRequest, competition_name=competition
        ):
            yield from (RemoteFile(one.name, one.total_bytes) for one in page.files or ())

    def archive(self, competition: str) -> Any:
        """An open answer (requests.Response) whose body is the archive of all files."""
        from kagglesdk.competitions.types.competition_api_service import (
            ApiDownloadDataFilesRequest,
        )

        request = filled(ApiDownloadDataFilesRequest(), competition_name=competition)
        call = self.client.competitions.competition_api_client.download_data_files
        return self.wire.read("the download", lambda: call(request))

    def limits(self, competition: str) -> Limits:
        """How many submissions are allowed now."""
        from kagglesdk.competitions.types.competition_api_service import (
            ApiGetSubmissionLimitsRequest,
        )

        request = filled(ApiGetSubmissionLimitsRequest(), competition_name=competition)
        call = self.client.competitions.competition_api_client.get_submission_limits
        found = self.wire.read("the quota", lambda: call(request))
        return Limits(found.num_today, found.num_total, found.num_allowed_now)

    def submissions(self, competition: str) -> Iterator[RemoteSubmission]:
        """All our submissions, the newest first."""
        from kagglesdk.competitions.types.competition_api_service import ApiListSubmissionsRequest

        call = self.client.competitions.competition_api_client.list_submissions
        for page in self.pages(
            "the list of submissions",
            call,
            ApiListSubmissionsRequest,
            competition_name=competition,
        ):
            yield from (_submission(one) for one in page.submissions or ())

    def submission(self, ref: int) -> RemoteSubmission:
        """One submission of ours."""
        from kagglesdk.competitions.types.competition_api_service import ApiGetSubmissionRequest

        request = filled(ApiGetSubmissionRequest(), ref=ref)
        call = self.client.competitions.competition_api_client.get_submission
        return self.wire.read("the submission", lambda: _submission(call(request)))

    def upload_submission(self, competition: str, path: Path) -> str:
        """Store a file for a submission, which this does not make yet; its token."""
        from kagglesdk.competitions.types.competition_api_service import (
            ApiStartSubmissionUploadRequest,
        )

        state = path.stat()
        request = filled(
            ApiStartSubmissionUploadRequest(),
            competition_name=competition,
            file_name=path.name,
            content_length=state.st_size,
            last_modified_epoch_seconds=int(state.st_mtime),
        )
        call = self.client.competitions.competition_api_client.start_submission_upload
        # an upload that nothing refers to costs nothing, so this may be repeated
        place = self.wire.read("the upload", lambda: told(call(request), "token", "create_url"))
        self.wire.put("the upload", place.create_url, path)
        return place.token

    def submit_file(self, competition: str, token: str, message: str) -> int:
        """Make a submission of a stored file; its number. Unanswered if it may have been made."""
        from kagglesdk.competitions.types.competition_api_service import ApiCreateSubmissionRequest

        request = filled(
            ApiCreateSubmissionRequest(),
            competition_name=competition,
            blob_file_tokens=token,
            submission_description=message,
        )
        call = self.client.competitions.competition_api_client.create_submission
        return _ref(self.wire.act("the submission", lambda: call(request)))

    def submit_kernel(self, competition: str, kernel: str, version: int, message: str) -> int:
        """Submit a version of the kernel owner/slug; as ``submit_file``."""
        from kagglesdk.competitions.types.competition_api_service import (
            ApiCreateCodeSubmissionRequest,
        )

        owner, _, slug = kernel.partition("/")
        request = filled(
            ApiCreateCodeSubmissionRequest(),
            competition_name=competition,
            kernel_owner=owner,
            kernel_slug=slug,
            kernel_version=version,
            file_name="submission.csv",
            submission_description=message,
        )
        call = self.client.competitions.competition_api_client.create_code_submission
        return _ref(self.wire.act("the submission", lambda: call(request)))

    def leaderboard(self, competition: str) -> Iterator[float]:
        """The teams' scores, the best first; teams without one are left out."""
        from kagglesdk.competitions.types.competition_api_service import ApiGetLeaderboardRequest

        call = self.client.competitions.competition_api_client.get_leaderboard
        for page in self.pages(
            "the leaderboard", call, ApiGetLeaderboardRequest, competition_name=competition
        ):
            scores = (_score(one.score) for one in page.submissions or ())
            yield from (score for score in scores if score is not None)

    def pages(
        self, what: str, call: Callable[[Any], Any], kind: Callable[[], Any], **fields: Any
    ) -> Iterator[Any]:
        """Each page of a list; the client gives the first only."""
        token, seen = "", set[str]()
        while True:
            request = filled(kind(), page_size=PAGE, page_token=token, **fields)
            page = self.wire.read(what, partial(call, request))
            yield page
            seen.add(token)
            token = page.next_page_token
            if not token or token in seen:
                return

    def _logged_in(self, client: Any) -> tuple[str | None, str]:
        """(name, access token) of what `kaggle auth login` has stored, made anew if it is old."""
        from kagglesdk.kaggle_creds import KaggleCredentials

        stored = KaggleCredentials.load(client, str(self.credentials.file))
        token = self.wire.read("the login", stored.get_access_token) if stored else None
        if not stored or not token:
            raise KaggleError("kaggle", "the stored login is of no use", "run `kaggle auth login`")
        return stored.get_username(), token


def _client(name: str | None = None, key: str | None = None, token: str | None = None) -> Any:
    from kagglesdk.kaggle_client import KaggleClient

    # verbose=False whatever the environment says: verbose prints the credentials
    return KaggleClient(verbose=False, username=name, password=key, api_token=token)


def filled(request: Any, **fields: Any) -> Any:
    for name, value in fields.items():
        setattr(request, name, value)
    return request


def told(answer: Any, *fields: str) -> Any:
    """The answer, a ValueError if it lacks one of the fields."""
    if missing := [name for name in fields if not getattr(answer, name)]:
        raise ValueError(f"no {missing[0]}")
    return answer


def _ref(answer: Any) -> int:
    """The number of the submission made; an answer without one does not say that it was made."""
    if not answer.ref:
        raise Unanswered(
            "kaggle", f"the submission: no number, {answer.message!r}", "see why on its page"
        )
    return answer.ref


def _submission(found: Any) -> RemoteSubmission:
    made: datetime | None = found.date
    return RemoteSubmission(
        ref=found.ref,
        made=(made or datetime.now(UTC)).replace(tzinfo=UTC).isoformat(timespec="seconds"),
        file=found.file_name,
        message=found.description,
        status=found.status.name.lower(),
        public_score=_score(found.public_score),
        private_score=_score(found.private_score),
        error=found.error_description or "",
    )


def _score(text: str | None) -> float | None:
    """Scores come as text; empty until there is one."""
    try:
        return float(text) if text else None
    except ValueError:
        return None
