"""What is said of images, credentials and progress."""

import pytest

from harness.data.images import ImageFacts
from harness.doctor.findings import (
    ImageReport,
    Progress,
    credential_finding,
    image_findings,
    next_verb,
)

RGB, GREY16 = ImageFacts("RGB", 40, 30), ImageFacts("I;16", 40, 8)


def test_faults_are_told_by_kind_and_odd_ones_noted() -> None:
    reports = [
        *[ImageReport(f"{i}", facts=RGB) for i in range(5)],
        ImageReport("grey", facts=GREY16),
        ImageReport("gone", "missing"),
        *[ImageReport(f"bad{i}", "unreadable", "cut") for i in range(4)],
    ]
    found = [(f.verdict, f.text) for f in image_findings("images", reports)]
    assert found == [
        ("mend", "1 of 11 are missing: gone"),
        ("mend", "4 of 11 are unreadable: bad0 (cut); bad1 (cut); bad2 (cut), …"),
        ("note", "1 of 6 are I;16 where most are RGB, the first is grey"),
        ("note", "16-bit grey: the higher 8 bits are used"),
        ("note", "1 have a side shorter than 16 pixels, the first is grey"),
        ("ok", "6 can be read: 40–40 × 8–30 pixels, RGB"),
    ]


def test_without_a_sound_image_only_faults_are_told() -> None:
    (found,) = image_findings("images", [ImageReport("x", "empty")])
    assert found.verdict == "mend"


@pytest.mark.parametrize(
    ("progress", "verb"),
    [
        (Progress(False, ("a",), False, True, False, ()), "fold"),
        (Progress(True, ("a",), True, True, True, ("x.csv",)), "train"),
        (Progress(True, (), False, True, False, ()), "stack"),
        (Progress(True, (), True, True, False, ()), "cost"),
        (Progress(True, (), True, False, False, ()), "submit"),
        (Progress(True, (), True, True, True, ("x.csv",)), "board"),
    ],
)
def test_the_next_verb(progress: Progress, verb: str) -> None:
    assert next_verb(progress) == verb


def test_credentials_must_be_private() -> None:
    finding = credential_finding("works", "it works", "x is readable: chmod 600 x", wanted=True)
    assert (finding.verdict, finding.text) == ("mend", "x is readable: chmod 600 x")


def test_no_credentials_matter_only_where_they_are_wanted() -> None:
    assert credential_finding("missing", "none", None, wanted=False).verdict == "note"
    assert credential_finding("missing", "none", None, wanted=True).verdict == "mend"
    assert credential_finding("refused", "wrong", None, wanted=True).verdict == "mend"
    assert credential_finding("found", "there", None, wanted=True).verdict == "ok"
