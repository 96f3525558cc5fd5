"""Which runs come first when the hours are limited."""

from hypothesis import given
from hypothesis import strategies as st

from harness.train.hours import Work, by_gain


def work(run: str, seconds: float, backbone: str = "") -> Work:
    return Work(run, backbone or run, 5, seconds, 0)


def names(works: list[Work]) -> list[str]:
    return [w.run for w in works]


def test_the_quickest_first_and_another_backbone_before_a_second_of_the_same() -> None:
    works = [work("a1", 10, "a"), work("a2", 10, "a"), work("b", 15)]
    assert names(by_gain(works)) == ["a1", "b", "a2"]
    assert names(by_gain(works, trained=["a"])) == ["b", "a1", "a2"]


def test_what_can_be_finished_comes_before_what_cannot() -> None:
    works = [work("big", 100), work("small", 10, "big"), work("huge", 1000)]
    assert names(by_gain(works, trained=["big", "big"], seconds=50))[0] == "small"


@given(
    seconds=st.lists(st.floats(0.1, 1e5), min_size=1, max_size=8),
    limit=st.floats(0.1, 1e5),
)
def test_nothing_is_lost_and_a_run_that_fits_alone_is_finished(
    seconds: list[float], limit: float
) -> None:
    works = [work(str(i), s) for i, s in enumerate(seconds)]
    order = by_gain(works, seconds=limit)
    assert sorted(names(order)) == sorted(names(works))
    if min(seconds) <= limit:
        assert order[0].seconds <= limit
