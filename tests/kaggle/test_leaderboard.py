"""Syncing the ledger: every page, in every weather, and what never arrived is struck out."""

import pytest
from contract_server import AFTER, BEFORE
from contract_server import Kaggle as Server

from harness.errors import KaggleError
from harness.kaggle.leaderboard import sync
from harness.kaggle.seam import Kaggle
from harness.workspace.ledger import UNCONFIRMED, Ledger, Upload

DIGESTS = [f"{number:032x}" for number in range(3)]


@pytest.fixture
def season(server: Server, ledger: Ledger) -> Server:
    """450 submissions, two of them the harness's, and 450 teams on a leaderboard of losses."""
    blank = {"date": "2026-01-01T00:00:00Z", "fileName": "x.csv", "description": ""}
    server.submissions = [blank | {"ref": ref} for ref in range(450)]
    server.submissions[3]["description"] = f"first [{DIGESTS[0]}]"
    server.submissions[4]["description"] = f"lost answer [{DIGESTS[1]}]"
    server.score = lambda one: (
        {"status": "COMPLETE", "publicScore": "0.5"} if one["ref"] < 4 else {}
    )
    server.teams = [0.1 + team / 1000 for team in range(450)]
    ledger.keep_uploads(Upload(DIGESTS[0], "first", "2026-01-01", "pending", 3))
    ledger.keep_uploads(Upload(DIGESTS[1], "lost answer", "2026-01-01", UNCONFIRMED))
    ledger.keep_uploads(Upload(DIGESTS[2], "lost", "2026-01-01", UNCONFIRMED))
    return server


def test_all_pages_are_read_and_both_sides_agree(
    season: Server, kaggle: Kaggle, ledger: Ledger
) -> None:
    found = sync(kaggle, ledger, "leaves", greater_is_better=False)
    assert (found.submissions, found.scored, found.teams) == (450, 4, 450)
    assert found.never_arrived == ("lost",)
    uploads = {upload.ref: upload for upload in ledger.uploads()}
    assert set(uploads) == set(range(450))
    assert (uploads[3].name, uploads[3].status, uploads[3].public_score) == (
        "first",
        "complete",
        0.5,
    )
    assert (uploads[4].digest, uploads[4].name, uploads[4].status) == (
        DIGESTS[1],
        "lost answer",
        "pending",
    )
    standing = ledger.standing()
    assert standing is not None
    assert list(standing.scores) == sorted(season.teams)
    assert sync(kaggle, ledger, "leaves", greater_is_better=False).never_arrived == ()


@pytest.mark.parametrize("step", ["ListSubmissions", "GetSubmissionLimits", "GetLeaderboard"])
@pytest.mark.parametrize("fault", [*BEFORE, *AFTER])
def test_a_fault_changes_nothing_or_delays(
    fault: str, step: str, season: Server, kaggle: Kaggle, ledger: Ledger
) -> None:
    before = ledger.uploads()
    season.submissions, season.teams = season.submissions[:5], season.teams[:5]
    season.faults[step] = [fault, fault]
    if fault == "401":
        with pytest.raises(KaggleError):
            sync(kaggle, ledger, "leaves", greater_is_better=False)
        assert ledger.uploads() == before
        assert ledger.standing() is None
    else:
        assert sync(kaggle, ledger, "leaves", greater_is_better=False).teams == 5
