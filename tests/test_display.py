"""Off a terminal a stage says how far it is, without being asked and without flooding."""

import io
from threading import Event

import pytest
from rich.console import Console

from harness.display import Display, progress_line


class Lines(io.StringIO):
    """Written lines; ``told`` is set once there are two."""

    def __init__(self) -> None:
        super().__init__()
        self.told = Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.getvalue().count("\n") >= 2:
            self.told.set()
        return written


def display_on(lines: Lines, silence: float = 0.001) -> Display:
    return Display(Console(file=lines, width=80, soft_wrap=True), silence)


def test_a_stage_says_how_far_it_is() -> None:
    lines = Lines()
    with display_on(lines).progress("reading", 2000) as advance:
        advance(500, "fast")
        advance(1000, "fast")
        assert lines.told.wait(60)
    assert "reading (images): 1,000 of 2,000 done, about 0 s left (fast)\n" in lines.getvalue()


@pytest.mark.parametrize("nested", [False, True])
def test_what_tells_of_no_steps_is_alive_too(nested: bool) -> None:
    lines = Lines()
    display = display_on(lines)
    with display.working("train", spinner=False):
        if nested:
            with display.working("compiling"):
                lines.truncate(lines.seek(0))
                lines.told.clear()
                assert lines.told.wait(60)
        assert lines.told.wait(60)
    stage = "compiling" if nested else "train"
    assert f"{stage}: at work for 0 s, time left not known\n" in lines.getvalue()


def test_a_search_says_the_line_that_it_is_given() -> None:
    lines = Lines()
    with display_on(lines).live(lambda: "table", lambda: "3 of 9 trials") as renew:
        renew()
        assert lines.told.wait(60)
    assert set(lines.getvalue().splitlines()) == {"3 of 9 trials"}


def test_a_short_stage_says_nothing() -> None:
    lines = Lines()
    display = display_on(lines, silence=3600)
    with display.progress("reading", 9) as advance, display.working("a step"):
        advance(9, "")
    assert lines.getvalue() == ""


def test_the_time_left_counts_only_what_was_done_meanwhile() -> None:
    assert progress_line("tune", 6, 10, 60, before=4) == (
        "tune: 6 of 10 done, about 2 min 0 s left"
    )
    assert progress_line("tune", 4, 10, 60, before=4) == (
        "tune: 4 of 10 done after 1 min 0 s, time left not known yet"
    )
