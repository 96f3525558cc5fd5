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

RGB, GREY16 = ImageFacts("RGB", 40, 30), ImageFacts("I;16", 40, 8, 60_000)


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
        ("note", "grey of more than 8 bits: the brightest value is 60000, white is 65535"),
        ("note", "1 have a side shorter than 16 pixels, the first is grey"),
        ("ok", "6 can be read: 40 × 8–30 pixels, RGB"),
    ]


@pytest.mark.parametrize(
    ("mode", "brightest", "white", "said"),
    [
        ("I;16", 4000, None, "mend: set [data] white = 4095"),
        ("I;16", 4000, 4095, "note"),
        ("I;16", 30_000, None, "note"),
        ("I;16", 5000, 4095, "mend: set [data] white = 16383"),
        ("I", 70_000, None, "mend: set [data] white = 70000"),
        ("F", 0.8, None, "note"),
        ("F", 250.0, None, "mend: set [data] white = 255"),
    ],
)
def test_what_would_be_dark_or_clipped_must_be_mended(
    mode: str, brightest: float, white: float | None, said: str
) -> None:
    report = ImageReport("x", facts=ImageFacts(mode, 40, 40, brightest))
    found = image_findings("images", [report], white)[0]
    assert found.verdict == said[:4]
    assert found.text.endswith(said[6:])


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
