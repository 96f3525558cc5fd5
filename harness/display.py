"""What a stage tells while it works: lines, tables and live progress; quiet bars off a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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

Advance = Callable[[int, str], None]
"""Told how many of the total are done, and a note to show beside the bar."""


def harmless(text: str) -> str:
    """The text with control characters spelled out: those in data must not reach the terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def one_line(message: object) -> str:
    """What an error says, harmless and on a single line that is not too long."""
    return harmless(" ".join(str(message).split()))[:2000]


class Display:
    """Lines go to standard output; bars appear only on a terminal and leave nothing behind."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """One line, shown as it is: what stands in brackets is no markup."""
        self.console.print(harmless(text), markup=False)

    def show(self, renderable: RenderableType) -> None:
        """A table or another of rich's renderables."""
        self.console.print(renderable, soft_wrap=False)

    @contextmanager
    def working(self, description: str) -> Iterator[None]:
        """A sign of life while something of unknown length goes on."""
        if not self.console.is_terminal:
            yield
            return
        with self.console.status(escape(description)):
            yield

    @contextmanager
    def live(self, current: Callable[[], RenderableType]) -> Iterator[Callable[[], None]]:
        """Show what ``current`` answers while the context lives; call what is yielded to renew it.

        Off a terminal nothing is shown.
        """
        if not self.console.is_terminal:
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
            *columns, console=self.console, transient=True, disable=not self.console.is_terminal
        )
        with bar:
            task = bar.add_task(f"{description} ({unit})", total=total, note="")
            yield lambda done, note: bar.update(task, completed=done, note=note)
