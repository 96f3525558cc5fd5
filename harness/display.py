"""What a stage tells while it works: lines, tables, and bars or, off a terminal, a line a minute."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from rich.console import Console, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from harness.durations import format_duration

Advance = Callable[[int, str], None]
"""Told how many of the total are done, and a note to show beside the bar."""


def harmless(text: str) -> str:
    """The text with control characters spelled out: those in data must not reach the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def progress_line(stage: str, done: int, total: int, seconds: float, before: int = 0) -> str:
    """Return a line that says how far a stage is and when it should end.

    ``seconds`` have passed since ``before`` of the total were done.
    """
    line = f"{stage}: {done:,} of {total:,} done"
    if done > before:
        left = seconds * (total - done) / (done - before)
        return f"{line}, about {format_duration(left)} left"
    return f"{line} after {format_duration(seconds)}, time left not known yet"


def one_line(message: object) -> str:
    """What an error says, harmless and on a single line that is not too long."""
    return harmless(" ".join(str(message).split()))[:2000]


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Go on without a word: the work is wanted even where nobody reads the lines any more."""
        with suppress(SystemExit):
            super().on_broken_pipe()


class Display:
    """Lines go to standard output; bars appear only on a terminal and leave nothing behind.

    Off a terminal, a stage that says nothing for ``silence`` seconds says how far it is.
    """

    def __init__(self, console: Console | None = None, silence: float = 60.0) -> None:
        self.console = console or _Console(highlight=False, soft_wrap=True)
        self.silence = silence
        self._spoke = time.monotonic()
        self._stages: list[Callable[[], str]] = []

    def say(self, text: str) -> None:
        """One line, shown as it is: what stands in brackets is no markup."""
        self._spoke = time.monotonic()
        self.console.print(harmless(text), markup=False)

    def show(self, renderable: RenderableType) -> None:
        """A table or another of rich's renderables."""
        self._spoke = time.monotonic()
        self.console.print(renderable, soft_wrap=False)

    @contextmanager
    def alive(self, line: Callable[[], str]) -> Iterator[None]:
        """Off a terminal, say the line after every ``silence`` seconds without another one.

        Of nested stages the innermost is told. A thread tells, since a compiler calls nobody back.
        """
        if self.console.is_terminal:
            yield
            return
        over = Event()

        def tell() -> None:
            while not over.wait(max(0.0, self._spoke + self.silence - time.monotonic())):
                if time.monotonic() >= self._spoke + self.silence:
                    self.say(self._stages[-1]())

        self._stages.append(line)
        teller = Thread(target=tell, daemon=True)
        if len(self._stages) == 1:
            teller.start()
        try:
            yield
        finally:
            over.set()
            if len(self._stages) == 1:
                teller.join()
            self._stages.pop()

    @contextmanager
    def working(self, description: str, *, spinner: bool = True) -> Iterator[None]:
        """A sign of life while something of unknown length goes on.

        Without a ``spinner`` a terminal shows nothing but what goes on inside.
        """
        begun = time.monotonic()
        if spinner and self.console.is_terminal:
            with self.console.status(escape(description)):
                yield
            return
        with self.alive(
            lambda: (
                f"{description}: at work for {format_duration(time.monotonic() - begun)}, "
                "time left not known"
            )
        ):
            yield

    @contextmanager
    def live(
        self, current: Callable[[], RenderableType], line: Callable[[], str]
    ) -> Iterator[Callable[[], None]]:
        """Show what ``current`` answers while the context lives; call what is yielded to renew it.

        Off a terminal ``line`` is said once a minute instead.
        """
        if not self.console.is_terminal:
            with self.alive(line):
                yield lambda: None
            return
        with Live(current(), console=self.console, transient=True) as live:
            yield lambda: live.update(current(), refresh=True)

    @contextmanager
    def progress(self, description: str, total: int, unit: str = "images") -> Iterator[Advance]:
        """A bar that lives as long as the context."""
        stage = f"{description} ({unit})"
        if not self.console.is_terminal:
            begun, before, now, noted = time.monotonic(), -1, 0, ""

            def advance(done: int, note: str) -> None:
                nonlocal begun, before, now, noted
                if before < 0:  # a training that goes on has done some of it before
                    begun, before = time.monotonic(), done
                now, noted = done, note

            def line() -> str:
                told = progress_line(stage, now, total, time.monotonic() - begun, max(0, before))
                return f"{told} ({noted})" if noted else told

            with self.alive(line):
                yield advance
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=self.console, transient=True) as bar:
            task = bar.add_task(stage, total=total, note="")
            yield lambda done, note: bar.update(task, completed=done, note=note)
