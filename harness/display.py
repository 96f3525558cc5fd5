"""Output of a stage at work: lines, tables, bars and, off a terminal, a line a minute."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from threading import Event, Thread
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.segment import Segment

from harness.durations import format_duration

Advance = Callable[[int, str], None]
"""Told how many of the total are done, and a note to show beside the bar."""


def harmless(text: str) -> str:
    """The text with control characters spelled out: those in data must not reach the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def harmless_lines(text: str) -> str:
    """The text with all but its line ends as ``harmless`` makes it."""
    return "\n".join(map(harmless, text.split("\n")))


def progress_line(stage: str, done: float, total: float, left: float | None) -> str:
    """Return a line that says how far a stage is and in how many seconds it should end."""
    when = "time left not known yet" if left is None else f"about {format_duration(left)} left"
    return f"{stage}: {done:,.0f} of {total:,.0f} done, {when}"


def one_line(message: object) -> str:
    """What an error says, harmless and on a single line that is not too long."""
    return harmless(" ".join(str(message).split()))[:2000]


def complain(line: str) -> None:
    """Write a line to standard error, if that takes it."""
    with suppress(OSError):
        print(line, file=sys.stderr)


def flush_output() -> None:
    """Write what was said, or drop it for good: at its end Python would fail for what is left."""
    for stream in filter(None, (sys.stdout, sys.stderr)):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def relay(lines: IO[str] | None, say: Callable[[str], None]) -> Thread:
    """Say the lines of a process that this one started, in a thread until they end.

    Left out is what this process says itself, once.
    """

    def tell() -> None:
        for line in lines or ():
            if not line.startswith(("next:", "interrupted:")):
                say(line.rstrip("\n"))

    thread = Thread(target=tell, daemon=True)
    thread.start()
    return thread


class PlainConsole(Console):
    """A console that shows text as it is: no markup, no control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """Make harmless whatever comes from data, in whichever table or bar it stands."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else harmless_lines(text), style, control)

    def print(self, *objects: Any, **options: Any) -> None:
        """Go on without a word, too, where what takes the lines is full or gone."""
        with suppress(OSError):
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Go on without a word: the work is wanted even where nobody reads the lines any more."""
        with suppress(SystemExit):
            super().on_broken_pipe()


class Display:
    """Lines go to standard output; bars appear only on a terminal and leave nothing behind.

    Off a terminal, a stage that says nothing for ``silence`` seconds says how far it is.
    """

    def __init__(self, console: Console | None = None, silence: float = 60.0) -> None:
        self.console = console or PlainConsole(soft_wrap=True)
        self.silence = silence
        self._spoke = time.monotonic()
        self._stages: list[Callable[[], str]] = []

    def say(self, text: str) -> None:
        """One line, shown as it is."""
        self._spoke = time.monotonic()
        self.console.print(harmless(text), markup=False)

    def show(self, renderable: RenderableType) -> None:
        """A table or another of rich's renderables."""
        self._spoke = time.monotonic()
        self.console.print(renderable, soft_wrap=False)

    @contextmanager
    def alive(self, stage: str, line: Callable[[], str] | None = None) -> Iterator[None]:
        """Off a terminal, say the line after every ``silence`` seconds without another one.

        Of nested stages the innermost is told. A thread tells, since a compiler calls nobody back.
        """
        if self.console.is_terminal:
            yield
            return
        begun, over = time.monotonic(), Event()

        def at_work() -> str:
            spent = format_duration(time.monotonic() - begun)
            return f"{stage}: at work for {spent}, time left not known"

        def tell() -> None:
            while not over.wait(max(0.0, self._spoke + self.silence - time.monotonic())):
                if time.monotonic() >= self._spoke + self.silence:
                    self.say(self._stages[-1]())

        teller = None if self._stages else Thread(target=tell, daemon=True)
        self._stages.append(line or at_work)
        try:
            if teller:
                teller.start()
            yield
        finally:
            over.set()
            if teller:
                teller.join()
            self._stages.pop()

    @contextmanager
    def working(self, description: str) -> Iterator[None]:
        """A sign of life while something of unknown length goes on that shows no bar of its own."""
        spinner = self.console.status(escape(description))
        with self.alive(description), spinner if self.console.is_terminal else nullcontext():
            yield

    @contextmanager
    def live(
        self, stage: str, current: Callable[[], RenderableType], line: Callable[[], str]
    ) -> Iterator[Callable[[], None]]:
        """Show what ``current`` answers while the context lives; call what is yielded to renew it.

        Off a terminal ``line`` is said once a minute instead.
        """
        if not self.console.is_terminal:
            with self.alive(stage, line):
                yield lambda: None
            return
        with Live(current(), console=self.console, transient=True) as live:
            yield lambda: live.update(current(), refresh=True)

    @contextmanager
    def progress(self, description: str, total: int, unit: str = "images") -> Iterator[Advance]:
        """A bar that lives as long as the context."""
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(compact=True),
        )
        bar = Progress(
            *columns,
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
            speed_estimate_period=3600,  # seconds; some steps take minutes
        )
        stage = f"{description} ({unit})"
        bar.add_task(stage, total=total, note="")
        (task,) = bar.tasks

        def line() -> str:
            note = task.fields["note"]
            told = progress_line(stage, task.completed, total, task.time_remaining)
            return f"{told} ({note})" if note else told

        with bar, self.alive(stage, line):
            yield lambda done, note: bar.update(task.id, completed=done, note=note)
