"""Off a terminal a stage says how far it is, without being asked and without flooding."""

import io
import re
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

    def forget(self) -> None:
        """Forget what was written, of which nobody knows how much that is."""
        self.truncate(self.seek(0))
        self.told.clear()


def display_on(lines: Lines, silence: float = 0.001) -> Display:
    return Display(Console(file=lines, width=80, soft_wrap=True), silence)


def test_a_stage_says_how_far_it_is() -> None:
    lines = Lines()
    with display_on(lines).progress("reading", 2000) as advance:
        advance(500, "fast")
        advance(1000, "fast")
        lines.forget()
        assert lines.told.wait(60)
    told = r"reading \(images\): 1,000 of 2,000 done, about \d+ s left \(fast\)\n"
    assert re.search(told, lines.getvalue())


@pytest.mark.parametrize("nested", [False, True])
def test_what_tells_of_no_steps_is_alive_too(nested: bool) -> None:
    lines = Lines()
    display = display_on(lines)
    with display.alive("train"):
        if nested:
            with display.working("compiling"):
                lines.forget()
                assert lines.told.wait(60)
        assert lines.told.wait(60)
    stage = "compiling" if nested else "train"
    assert f"{stage}: at work for 0 s, time left not known\n" in lines.getvalue()


def test_a_search_says_the_line_that_it_is_given() -> None:
    lines = Lines()
    with display_on(lines).live("tune", lambda: "table", lambda: "3 of 9 trials") as renew:
        renew()
        assert lines.told.wait(60)
    assert set(lines.getvalue().splitlines()) == {"3 of 9 trials"}


def test_a_short_stage_says_nothing() -> None:
    lines = Lines()
    display = display_on(lines, silence=3600)
    with display.progress("reading", 9) as advance, display.working("a step"):
        advance(9, "")
    assert lines.getvalue() == ""


def test_the_time_left_may_not_be_known() -> None:
    assert progress_line("tune", 6, 1000, 120) == "tune: 6 of 1,000 done, about 2 min 0 s left"
    assert progress_line("tune", 6, 10, None) == "tune: 6 of 10 done, time left not known yet"


def test_what_was_done_before_a_stage_began_does_not_count_as_fast() -> None:
    """A training that goes on from a checkpoint begins in the middle."""
    lines = Lines()
    with display_on(lines).progress("training", 2000) as advance:
        advance(1000, "")
        lines.forget()
        assert lines.told.wait(60)
    assert "1,000 of 2,000 done, time left not known yet\n" in lines.getvalue()
