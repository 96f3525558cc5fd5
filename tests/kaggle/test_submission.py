"""Submitting through the official client: no submission lost, none made twice, no wrong success."""

import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from contract_server import AFTER, BEFORE, Json
from contract_server import Kaggle as Server

from harness.errors import KaggleError
from harness.kaggle.leaderboard import sync
from harness.kaggle.seam import Kaggle
from harness.kaggle.submission import Parcel, require_quota, send, wait_for_score
from harness.workspace.ledger import UNCONFIRMED, Ledger

SLUG = "leaves"
STEPS = ("ListSubmissions", "GetSubmissionLimits", "StartSubmissionUpload", "PUT")
"""What happens before the one call that spends a slot."""


@pytest.fixture
def parcel(tmp_path: Path) -> Parcel:
    return parcel_of(tmp_path, 0)


def parcel_of(folder: Path, number: int) -> Parcel:
    path = folder / f"mean-{number}.csv"
    path.write_text("id,label\n1,0.5\n" * 100, encoding="utf-8")
    return Parcel(path.stem, f"{number:032x}", path)


def test_a_file_is_submitted_once(
    server: Server, kaggle: Kaggle, ledger: Ledger, parcel: Parcel
) -> None:
    upload, made = send(kaggle, ledger, SLUG, parcel)
    assert made
    assert (upload.status, upload.ref) == ("pending", 1000)
    assert ledger.uploads() == [upload]
    (submission,) = server.submissions
    assert submission["description"] == f"mean-0 [{parcel.digest}]"
    assert submission["totalBytes"] == parcel.path.stat().st_size if parcel.path else 0
    again, made = send(kaggle, ledger, SLUG, parcel)
    assert not made
    assert again.ref == 1000
    assert len(server.submissions) == len(ledger.uploads()) == 1


def test_one_among_hundreds_is_found(
    server: Server, kaggle: Kaggle, ledger: Ledger, parcel: Parcel
) -> None:
    server.allowed = 1000
    send(kaggle, ledger, SLUG, parcel)
    server.submissions += [
        server.submissions[0] | {"ref": 2000 + i, "description": ""} for i in range(450)
    ]
    _, made = send(kaggle, ledger, SLUG, parcel)
    assert not made


@pytest.mark.parametrize(
    ("step", "fault"),
    # nobody reads what a PUT answers
    [(s, f) for s in STEPS for f in (*BEFORE, *AFTER) if (s, f) != ("PUT", "garbled")],
)
def test_a_fault_before_the_submission_is_survived(
    fault: str, step: str, server: Server, kaggle: Kaggle, ledger: Ledger, parcel: Parcel
) -> None:
    server.faults[step] = [fault, fault]
    if fault == "401":
        with pytest.raises(KaggleError):
            send(kaggle, ledger, SLUG, parcel)
        assert server.submissions == ledger.uploads() == []
        server.faults.clear()
    upload, made = send(kaggle, ledger, SLUG, parcel)
    assert made
    assert len(server.submissions) == 1
    assert upload.ref == 1000


@pytest.mark.parametrize("fault", AFTER)
def test_an_answer_that_is_lost_is_looked_for(
    fault: str,
    server: Server,
    kaggle: Kaggle,
    ledger: Ledger,
    parcel: Parcel,
    pauses: list[float],
) -> None:
    server.faults["CreateSubmission"] = [fault]
    upload, made = send(kaggle, ledger, SLUG, parcel)
    assert made
    assert (upload.ref, upload.status) == (1000, "pending")
    assert len(server.submissions) == 1
    assert server.calls.count("CreateSubmission") == 1
    assert pauses == [2.0]


@pytest.mark.parametrize("fault", ["500", "503", "reset before", "hang before"])
def test_what_did_not_arrive_is_said_and_made_the_next_time(
    fault: str, server: Server, kaggle: Kaggle, ledger: Ledger, parcel: Parcel
) -> None:
    server.faults["CreateSubmission"] = [fault]
    with pytest.raises(KaggleError, match="it is not among the submissions; run the same command"):
        send(kaggle, ledger, SLUG, parcel)
    assert [upload.status for upload in ledger.uploads()] == [UNCONFIRMED]
    assert server.submissions == []
    _, made = send(kaggle, ledger, SLUG, parcel)
    assert made
    assert len(server.submissions) == 1


def test_a_busy_server_is_asked_again_after_the_time_it_names(
    server: Server, kaggle: Kaggle, ledger: Ledger, parcel: Parcel, pauses: list[float]
) -> None:
    server.faults["CreateSubmission"] = ["429", "429"]
    send(kaggle, ledger, SLUG, parcel)
    assert pauses == [3.0, 3.0]
    assert len(server.submissions) == 1


def test_one_that_shows_up_late_is_not_made_again(
    server: Server,
    kaggle: Kaggle,
    ledger: Ledger,
    parcel: Parcel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.faults["CreateSubmission"] = ["reset after"]
    with monkeypatch.context() as patch:
        patch.setattr(server, "ListSubmissions", lambda request: {})
        with pytest.raises(KaggleError, match="not among the submissions"):
            send(kaggle, ledger, SLUG, parcel)
    upload, made = send(kaggle, ledger, SLUG, parcel)
    assert (made, upload.ref) == (False, 1000)
    assert len(server.submissions) == 1


def test_if_nobody_can_tell_that_is_said_and_found_out_later(
    server: Server,
    kaggle: Kaggle,
    ledger: Ledger,
    parcel: Parcel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create = server.CreateSubmission

    def create_and_break(request: Json) -> Json:
        server.faults["ListSubmissions"] = ["500"] * 9
        return create(request)

    server.faults["CreateSubmission"] = ["reset after"]
    monkeypatch.setattr(server, "CreateSubmission", create_and_break)
    with pytest.raises(KaggleError, match="nobody knows whether it was submitted"):
        send(kaggle, ledger, SLUG, parcel)
    assert [upload.status for upload in ledger.uploads()] == [UNCONFIRMED]
    server.faults.clear()
    found = sync(kaggle, ledger, SLUG, greater_is_better=True)
    assert (found.submissions, found.never_arrived) == (1, ())
    assert [(u.name, u.ref) for u in ledger.uploads()] == [("mean-0", 1000)]


def test_a_process_that_dies_at_the_worst_moment_has_submitted_once(
    server: Server,
    kaggle: Kaggle,
    ledger: Ledger,
    parcel: Parcel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = kaggle.submit_file

    def submit_and_die(*arguments: str) -> int:
        real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(kaggle, "submit_file", submit_and_die)
        with pytest.raises(KeyboardInterrupt):
            send(kaggle, ledger, SLUG, parcel)
    assert [upload.status for upload in ledger.uploads()] == [UNCONFIRMED]
    upload, made = send(kaggle, ledger, SLUG, parcel)
    assert (upload.ref, made) == (1000, False)
    assert len(server.submissions) == 1


def test_no_number_is_no_success(
    server: Server,
    kaggle: Kaggle,
    ledger: Ledger,
    parcel: Parcel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer = {"message": "Could not submit to competition"}
    monkeypatch.setattr(server, "CreateSubmission", lambda request: answer)
    with pytest.raises(KaggleError, match="Could not submit to competition"):
        send(kaggle, ledger, SLUG, parcel)


def test_a_refusal_leaves_nothing_behind(
    server: Server, kaggle: Kaggle, ledger: Ledger, parcel: Parcel
) -> None:
    server.faults["CreateSubmission"] = ["401"]
    with pytest.raises(KaggleError, match="the credentials were refused"):
        send(kaggle, ledger, SLUG, parcel)
    assert ledger.uploads() == []
    with pytest.raises(KaggleError, match=r"HTTP 403.*check the slug"):
        send(kaggle, ledger, "leafs", parcel)


def test_the_quota_is_asked_for_before_anything_is_sent(
    server: Server, kaggle: Kaggle, ledger: Ledger, tmp_path: Path
) -> None:
    server.allowed = 1
    send(kaggle, ledger, SLUG, parcel_of(tmp_path, 1))
    server.calls.clear()
    with pytest.raises(KaggleError, match="no submission is left today, 1 were made"):
        send(kaggle, ledger, SLUG, parcel_of(tmp_path, 2))
    assert server.calls == ["ListSubmissions", "GetSubmissionLimits"]
    with pytest.raises(KaggleError, match=r"the day ends in 3 h 05 min"):
        require_quota(kaggle, SLUG, datetime(2026, 1, 31, 20, 55, tzinfo=UTC))
    server.joined = False
    with pytest.raises(KaggleError, match="join it"):
        require_quota(kaggle, SLUG, datetime.now(UTC))


def test_waiting_ends_with_the_score(
    server: Server, kaggle: Kaggle, ledger: Ledger, parcel: Parcel, pauses: list[float]
) -> None:
    upload, _ = send(kaggle, ledger, SLUG, parcel)
    server.faults["GetSubmission"] = ["500", "hang before"]
    server.score = lambda submission: (
        {"status": "COMPLETE", "publicScore": "0.91234", "privateScore": "0.9"}
        if sum(pauses) > 60
        else {}
    )
    scored = wait_for_score(kaggle, ledger, upload, pauses.append)
    assert (scored.public_score, scored.private_score) == (0.91234, 0.9)
    assert scored.status == "complete"
    assert ledger.uploads() == [scored]
    assert max(pauses) <= 60


def test_the_reason_of_a_failure_is_kept(
    server: Server, kaggle: Kaggle, ledger: Ledger, parcel: Parcel
) -> None:
    upload, _ = send(kaggle, ledger, SLUG, parcel)
    server.score = lambda _: {"status": "ERROR", "errorDescription": "Notebook Timeout"}
    failed = wait_for_score(kaggle, ledger, upload, lambda _: None)
    assert (failed.status, failed.error) == ("error", "Notebook Timeout")


def test_a_kernel_is_submitted_by_its_version(
    server: Server, kaggle: Kaggle, ledger: Ledger
) -> None:
    server.kernels["ann/leaves-kernel"] = [{}, {}]
    parcel = Parcel("leaves-kernel-v2", "a" * 32, kernel="ann/leaves-kernel", version=2)
    server.faults["CreateCodeSubmission"] = ["reset after"]
    upload, made = send(kaggle, ledger, SLUG, parcel)
    assert made
    assert upload.ref == 1000
    absent = replace(parcel, digest="b" * 32, version=3)
    with pytest.raises(KaggleError, match="Could not find provided notebook"):
        send(kaggle, ledger, SLUG, absent)
    assert len(ledger.uploads()) == 1


SEASONS = 200


def test_over_random_faults_both_sides_count_the_same(
    server: Server, kaggle: Kaggle, ledger: Ledger, tmp_path: Path
) -> None:
    server.allowed = 10**6
    faults = [fault for fault in (*BEFORE, *AFTER) if not fault.startswith("hang")]
    lost, wrong = 0, []
    for season in range(SEASONS):
        rng = random.Random(season)
        for step in (*STEPS, "CreateSubmission"):
            count = rng.choice((0, 0, 0, 1, 2, 8))
            server.faults[step] = [rng.choice(faults) for _ in range(count)]
        parcel = parcel_of(tmp_path, season)
        for _ in range(rng.choice((1, 1, 2))):  # whoever gets an error may run it again
            try:
                upload, _ = send(kaggle, ledger, SLUG, parcel)
            except KaggleError:
                lost += 1
            else:
                if upload.ref not in [s["ref"] for s in server.submissions]:
                    wrong.append(season)
        server.faults.clear()
        there = sum(parcel.digest in s["description"] for s in server.submissions)
        assert there <= 1, season
        known = [u for u in ledger.uploads() if u.digest == parcel.digest]
        assert there <= len(known), season  # nothing arrived that the ledger does not hold
    assert wrong == []
    assert lost  # the faults did bite
    sync(kaggle, ledger, SLUG, greater_is_better=True)
    assert len(ledger.uploads()) == len(server.submissions)
    assert {u.ref for u in ledger.uploads()} == {s["ref"] for s in server.submissions}
