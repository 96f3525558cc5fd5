"""A scripted season: 30 submissions of an accuracy that grows, on a leaderboard of 1,200 teams."""

from dataclasses import replace

import numpy as np

from harness.board.season import Season, season
from harness.board.tables import season_table
from harness.display import PlainConsole
from harness.estimate import Estimate
from harness.workspace.ledger import Entry, Standing, Upload

ROWS, TEST_ROWS, PUBLIC_SHARE = 20_000, 10_000, 0.3
BLANK = Entry(
    "", "", "", "e", "f", "mean", "a b", "accuracy", 0, 0, 0, 0, 0, 60.0, None, None, None
)


def scripted() -> Season:
    """28 submissions with a nested score, one that failed, one made without the harness."""
    rng = np.random.default_rng(7)
    entries, uploads = [], []
    for number in range(29):
        true = 0.86 + 0.04 * number / 28 + rng.normal(0, 0.003)
        error = float(np.sqrt(true * (1 - true) / ROWS))
        nested = float(true + rng.normal(0, error))
        believed = Estimate(nested, nested - 1.96 * error, nested + 1.96 * error)
        expected = believed.for_new_rows(ROWS, TEST_ROWS)
        spread = np.sqrt(true * (1 - true) / TEST_ROWS)
        public, private = (round(float(true + rng.normal(0, s)), 5) for s in (spread * 1.8, spread))
        entries.append(
            replace(
                BLANK,
                name=f"day{1 + number // 5}-{number % 5}",
                recorded=f"2026-01-{1 + number // 5:02d}T12:{number:02d}:00+00:00",
                file_digest=f"{number:032x}",
                nested=nested,
                low=believed.low,
                high=believed.high,
                expected_low=expected.low,
                expected_high=expected.high,
                rows=TEST_ROWS,
                seconds=40.0 + number / 2,
            )
        )
        sent = Upload(f"{number:032x}", "", f"{entries[-1].recorded}", "complete", 1000 + number)
        uploads.append(replace(sent, public_score=public, private_score=private))
    uploads[11] = Upload(
        uploads[11].digest, "", uploads[11].made, "error", 1011, error="Notebook Timeout"
    )
    uploads.append(
        Upload("ref:999", "by-hand.csv", "2026-01-01T08:00:00+00:00", "complete", 999, 0.85)
    )
    teams = np.sort(np.round(0.87 + 0.03 * rng.random(1200) ** 2, 5))[::-1]
    return season(
        entries,
        uploads,
        Standing("2026-01-06T18:30:00+00:00", 4, 1, tuple(teams.tolist())),
        lambda a, b: 0.9 if (int(a, 16) - int(b, 16)) % 2 else 0.7,
        greater_is_better=True,
        public_share=PUBLIC_SHARE,
        test_rows=None,
        today="2026-01-06",
    )


def shown(width: int) -> str:
    """The table and the notes as `board` shows them."""
    found = scripted()
    console = PlainConsole(width=width, color_system=None)
    with console.capture() as capture:
        console.print(season_table(found.rows, width))
        for note in found.notes:
            console.print(note, markup=False, highlight=False, soft_wrap=True)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"
