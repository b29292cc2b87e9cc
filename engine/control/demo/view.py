"""What the demo shows: bars and a status line on a terminal, plain lines anywhere else."""

from collections.abc import Mapping
from typing import Final, Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

LINE_SECONDS: Final = 2.0
"""Time between two plain lines."""


class View(Protocol):
    """Shows how far the demo is."""

    def say(self, text: str) -> None:
        """A sentence that stays."""
        ...

    def loading(self, rows: Mapping[str, tuple[int, int]]) -> None:
        """Rows copied and expected, by table."""
        ...

    def streaming(self, text: str) -> None:
        """The stream's figures now."""
        ...

    def close(self) -> None: ...


class Bars:
    """For a terminal."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("  {task.description:<10}"),
            BarColumn(bar_width=40),
            MofNCompleteColumn(),
            TextColumn("rows"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._status = Text("")
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=8, transient=True
        )
        self._live.start()

    def say(self, text: str) -> None:
        self._live.console.print(text, highlight=False)

    def loading(self, rows: Mapping[str, tuple[int, int]]) -> None:
        for name, (done, expected) in rows.items():
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=expected)
            self._progress.update(self._tasks[name], completed=done, total=expected)

    def streaming(self, text: str) -> None:
        self._status = Text(f"  {text}")

    def close(self) -> None:
        self._live.stop()

    def _render(self) -> Group:
        return Group(self._progress, self._status) if self._tasks else Group(self._status)


class Lines:
    """For a file or a pipe. `now` gives seconds that only grow."""

    def __init__(self, console: Console, now: "Clock") -> None:
        self._console = console
        self._now = now
        self._shown_at = float("-inf")

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def loading(self, rows: Mapping[str, tuple[int, int]]) -> None:
        if self._due():
            done, expected = (sum(pair[n] for pair in rows.values()) for n in (0, 1))
            self.say(f"  loading: {done:,} of about {expected:,} rows")

    def streaming(self, text: str) -> None:
        if self._due():
            self.say(f"  {text}")

    def close(self) -> None:
        """Nothing is held back."""

    def _due(self) -> bool:
        now = self._now()
        if now - self._shown_at < LINE_SECONDS:
            return False
        self._shown_at = now
        return True


class Clock(Protocol):
    """Seconds that only grow."""

    def __call__(self) -> float: ...
