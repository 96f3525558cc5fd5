"""Tables that can be read at the width that there is."""

from dataclasses import replace

import pytest
from rich.console import RenderableType

from harness.board.tables import difference_table, ensemble_notes, member_table, method_table
from harness.cli.steps import show_ensemble
from harness.decision import Decision
from harness.display import Display, PlainConsole
from harness.estimate import Estimate
from harness.workspace.ensemble import Ensemble, Score
from harness.workspace.ledger import Entry

NONE = Estimate(0.0, 0.0, 0.0)
GAIN = Estimate(0.0123, -0.0034, 0.0280)


def score(method: str, nested: float, over_mean: Estimate = GAIN) -> Score:
    low, high = nested - 0.025, nested + 0.025
    return Score(method, nested, low, high, nested - 0.1, 2.5, over_mean, GAIN)


ENSEMBLE = Ensemble(
    method="weighted",
    metric="log_loss",
    nested=0.5132,
    low=0.4801,
    high=0.5480,
    rows=1968,
    members=("lite0-probe", "[bold]odd"),
    used=("lite0-probe",),
    targets=("a", "b"),
    member_scores=(0.53, 0.54),
    member_seconds=(12.0, float("nan")),
    weights=((), ()),
    scores=(
        score("best", 0.53),
        score("mean", 0.52, NONE),
        score("bagged_logistic", 0.511),
        score("weighted", 0.51),
    ),
    reason="weighted is chosen: the simplest ensemble is also the best.",
    diversity=("Most alike: a and b.",),
    fold_models=("Not measured.",),
    blend={"members": 2, "targets": 2},
    decision=Decision(),
    fold_decisions=(),
    runs=("", ""),
    views=("identity",),
    metadata=(),
    prior=(0.5, 0.5),
    folds="",
    inputs="",
    task="multiclass",
    metric_digest="m",
)
ENTRY = Entry(
    name="weighted-1234",
    recorded="",
    file_digest="",
    ensemble="",
    folds="",
    method="weighted",
    members="lite0-probe",
    metric="log_loss",
    nested=0.5132,
    low=0.4801,
    high=0.5480,
    rows=656,
    seconds=12.1,
    budget_seconds=60.0,
    local_score=0.58,
    expected_low=0.45,
    expected_high=0.57,
)


def printed(table: RenderableType, width: int) -> list[str]:
    console = PlainConsole(width=width, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 120])
def test_every_interval_can_be_read_at_every_width(width: int) -> None:
    methods = "\n".join(printed(method_table(ENSEMBLE, width, ENTRY), width))
    for text in ("0.4850 – 0.5350", "0.4801 – 0.5480", "0.4500 – 0.5700", "0.4100"):
        assert text in methods
    differences = printed(difference_table(ENSEMBLE, width), width)
    row = next(line for line in differences if "weighted" in line)
    assert row.count("-0.0034 to +0.0280") == 2
    assert next(line for line in differences if line.startswith(" mean")).count(" to ") == 1
    assert "bagged_logistic" in methods
    for table in (member_table(ENSEMBLE), method_table(ENSEMBLE, width, ENTRY)):
        assert max(map(len, printed(table, width))) <= width


def test_wide_tables_say_more() -> None:
    assert "+0.0123 (" in "\n".join(printed(difference_table(ENSEMBLE, 80), 80))
    assert "+0.0123 (" not in "\n".join(printed(difference_table(ENSEMBLE, 79), 79))
    assert " 2.5" in "\n".join(printed(method_table(ENSEMBLE, 80), 80))
    assert " 2.5" not in "\n".join(printed(method_table(ENSEMBLE, 79), 79))


def test_the_chosen_method_and_what_to_believe_of_it_are_marked() -> None:
    lines = printed(method_table(ENSEMBLE, 100, ENTRY), 100)
    assert [line for line in lines if "→ weighted" in line]
    (believed,) = (line for line in lines if "chosen, with the choice itself nested" in line)
    assert "0.5132" in believed
    (graded,) = (line for line in lines if "graded on 656 new rows: above" in line)
    assert "0.5800" in graded
    unknown = replace(ENTRY, expected_low=None, expected_high=None)
    (graded,) = (
        line for line in printed(method_table(ENSEMBLE, 100, unknown), 100) if "graded" in line
    )
    assert graded.split() == ["graded", "on", "656", "new", "rows", "0.5800"]


def test_members_say_whether_they_are_used() -> None:
    lines = printed(member_table(ENSEMBLE), 80)
    (odd,) = (line for line in lines if "[bold]odd" in line)
    assert odd.endswith("not used")
    assert "nan" not in odd
    (used,) = (line for line in lines if "lite0-probe" in line)
    assert "not used" not in used


def test_the_notes_begin_with_the_reason_for_the_choice() -> None:
    assert ensemble_notes(ENSEMBLE) == (
        "weighted is chosen: the simplest ensemble is also the best.",
        "Most alike: a and b.",
        "Not measured.",
    )
    alone = replace(ENSEMBLE, reason="")
    assert ensemble_notes(alone) == ("Most alike: a and b.", "Not measured.")


NAMES = tuple(f"{i:02d}_tf_efficientnetv2_s_in21k_384_seed{i}" for i in range(40))
MANY = replace(
    ENSEMBLE,
    method="weighted",
    members=NAMES,
    used=NAMES[30:],
    member_scores=(0.53,) * 40,
    member_seconds=(12345.0,) * 40,
    weights=((),) * 40,
    runs=("",) * 40,
    blend={"members": 40, "targets": 2},
    scores=(*(score(f"bagged_method_{i}", 0.5) for i in range(20)), score("weighted", 0.4)),
    diversity=("A sentence that takes up more than one line of eighty characters. " * 2,) * 30,
)


def test_the_ensemble_is_shown_on_a_screen_and_all_of_it_when_asked() -> None:
    display = Display(PlainConsole(width=80, color_system=None))

    def lines(*, everything: bool) -> list[str]:
        with display.console.capture() as capture:
            show_ensemble(MANY, display, everything=everything)
        return [line[i : i + 80] for line in capture.get().splitlines() for i in (0, 80)]

    screen = [line for line in lines(everything=False) if line]
    assert len(screen) <= 37
    text = "\n".join(screen)
    assert "→ weighted" in text
    assert NAMES[30] in text
    assert NAMES[0] not in text
    assert "… 34 more" in text
    assert "stack --all" in text
    everything = "\n".join(lines(everything=True))
    assert all(name in everything for name in NAMES)
    assert "over the best member" in everything
    assert everything.count("A sentence") > 30
    assert "more\n" not in everything
