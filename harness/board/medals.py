"""Where a score stands on a leaderboard, and what that is worth. Pure."""

from collections.abc import Sequence

MEDALS = ("gold", "silver", "bronze")


def medal_ranks(teams: int) -> tuple[int, int, int]:
    """The last rank that gets gold, silver and bronze among so many teams.

    Kaggle's progression rules; shares are rounded down, which the thresholds of sixteen finished
    competitions agree with.
    """
    if teams < 100:
        return teams // 10, teams // 5, teams * 2 // 5
    if teams < 250:
        return 10, teams // 5, teams * 2 // 5
    gold = 10 + teams // 500
    if teams < 1000:
        return gold, 50, 100
    return gold, teams // 20, teams // 10


def medal(rank: int, teams: int) -> str | None:
    """The medal of a rank, None where there is none."""
    return next(
        (name for name, last in zip(MEDALS, medal_ranks(teams), strict=True) if rank <= last), None
    )


def rank_of(score: float, scores: Sequence[float], *, greater_is_better: bool) -> int:
    """The rank of a score on a leaderboard: one more than there are better ones.

    Among equal scores Kaggle ranks the earlier one first, so that a new one may stand lower.
    """
    return 1 + sum(1 for other in scores if (other > score if greater_is_better else other < score))
