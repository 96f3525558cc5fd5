"""The medal rule, held against finished competitions."""

import pytest

from harness.board.medals import medal, medal_ranks, rank_of

# private leaderboards: teams, the scores that gold, silver and bronze took, {rank: score}
FINISHED = {
    "aptos2019-blindness-detection": (
        2928,
        (0.930508, 0.919654, 0.914492),
        {15: 0.930508, 16: 0.930493, 146: 0.919654, 147: 0.919623, 292: 0.914492, 293: 0.914434},
    ),
    "dogs-vs-cats-redux-kernels-edition": (
        1314,
        (0.03882, 0.05038, 0.06127),
        {12: 0.03882, 13: 0.03889, 65: 0.05038, 66: 0.0504, 131: 0.06127, 132: 0.06149},
    ),
    "invasive-species-monitoring": (
        511,
        (0.99505, 0.99237, 0.98979),
        {11: 0.99505, 12: 0.99501, 50: 0.99237, 51: 0.99235, 100: 0.98979, 101: 0.9894},
    ),
}


@pytest.mark.parametrize("name", FINISHED)
def test_the_rule_gives_the_thresholds_of_finished_competitions(name: str) -> None:
    teams, thresholds, leaderboard = FINISHED[name]
    assert tuple(leaderboard[rank] for rank in medal_ranks(teams)) == thresholds


@pytest.mark.parametrize(
    ("teams", "ranks"),
    [
        (9, (0, 1, 3)),
        (99, (9, 19, 39)),
        (100, (10, 20, 40)),
        (249, (10, 49, 99)),
        (250, (10, 50, 100)),
        (499, (10, 50, 100)),
        (500, (11, 50, 100)),
        (999, (11, 50, 100)),
        (1000, (12, 50, 100)),
    ],
)
def test_the_rule_at_its_borders(teams: int, ranks: tuple[int, int, int]) -> None:
    assert medal_ranks(teams) == ranks


def test_a_rank_has_one_medal_or_none() -> None:
    found = [medal(rank, 1314) for rank in (1, 12, 13, 65, 66, 131, 132)]
    assert found == ["gold", "gold", "silver", "silver", "bronze", "bronze", None]


def test_a_score_ranks_behind_the_better_ones_in_either_direction() -> None:
    # the private leaderboard of dogs-vs-cats-redux, log loss, from the eleventh rank on
    losses = [0.03806, 0.03882, 0.03893]
    assert rank_of(0.03882, losses, greater_is_better=False) == 2
    assert rank_of(0.05, losses, greater_is_better=False) == 4
    assert rank_of(0.05, losses, greater_is_better=True) == 1
