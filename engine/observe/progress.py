"""What a run shows on a terminal: progress bars. Anywhere else: `json_lines.py`.

Both are fed with the worker's events (`engine/observe/report.py`) and the supervisor's.
"""

from collections.abc import Mapping
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
)
from rich.text import Text

from engine.machine import Clock

BARS_MAX: Final = 8
"""Tables with a bar of their own at once; a small terminal has 24 lines."""

FRAMES_PER_SECOND: Final = 4
"""Redraws; the worker reports once a second."""

DONE_STATES: Final = frozenset({"loaded", "streaming"})
STOPPED_STATES: Final = frozenset({"suspended", "needs-reload"})


class Bars:
    """A live display: a bar for each table that loads, then one line about the stream."""

    takes_log = True

    def __init__(self, console: Console, replication: str, clock: Clock) -> None:
        self._console = console
        self._replication = replication
        self._clock = clock
        self._loading = LoadBars(console)
        self._status = StatusLine(replication, clock)
        self._live = Live(
            console=console,
            refresh_per_second=FRAMES_PER_SECOND,
            get_renderable=self._render,
            transient=True,
        )
        self._live.start()

    def event(self, event: Mapping[str, object]) -> None:
        """Take an event into the display."""
        self._status.event(event)
        self._loading.event(event)
        if (said := _announcement(event)) is not None:
            self._console.print(said, highlight=False)

    def log_line(self, line: str) -> None:
        """Print a log line above the display."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Leave the last figures on the screen and give the terminal back."""
        self._live.stop()
        self._console.print(self._status.text(), highlight=False)

    def _render(self) -> Group:
        return Group(
            *([self._loading.progress] if self._loading.any() else []), self._status.text()
        )


class LoadBars:
    """Bars of the tables that are loading, and one for all of them."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            MofNCompleteColumn(),
            TextColumn("rows"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}
        self._totals: dict[str, int] = {}
        self._rows: dict[str, int] = {}
        self._done: set[str] = set()
        self._all = self.progress.add_task("[bold]full load", total=None)

    def any(self) -> bool:
        """Whether a load is under way."""
        return len(self._done) < len(self._rows)

    def event(self, event: Mapping[str, object]) -> None:
        """Take a `table` or `metrics` event."""
        if event["event"] == "table":
            self._table(event)
        elif event["event"] == "metrics":
            tables = event.get("tables")
            for name, counts in tables.items() if isinstance(tables, Mapping) else ():
                if isinstance(counts, list) and counts and counts[0]:
                    self._grow(str(name), _number(counts[0]))

    def _table(self, event: Mapping[str, object]) -> None:
        name, state = str(event["table"]), str(event.get("state", ""))
        rows = int(_number(event.get("rows")))
        estimate = int(_number(event.get("rows_estimated")))
        if state in DONE_STATES:
            self._finish(name, rows)
        elif state in STOPPED_STATES:
            self._forget(name)
        elif state in ("pending", "loading"):
            self._done.discard(name)
            self._totals[name] = max(estimate, rows)
            self._rows.setdefault(name, 0)
            self._grow(name, rows, shown=state == "loading")

    def _grow(self, name: str, rows: float, *, shown: bool = True) -> None:
        if name not in self._totals or name in self._done:
            return
        self._rows[name] = max(self._rows.get(name, 0), int(rows))
        total = max(self._totals[name], self._rows[name])
        if name not in self._tasks and shown and len(self._tasks) < BARS_MAX:
            self._tasks[name] = self.progress.add_task(escape(name), total=total)
        if name in self._tasks:
            self.progress.update(self._tasks[name], completed=self._rows[name], total=total)
        self._sum()

    def _finish(self, name: str, rows: int) -> None:
        if name in self._totals:
            self._done.add(name)
            self._rows[name] = max(self._rows[name], rows)
            self._totals[name] = self._rows[name]
        if name in self._tasks:
            self.progress.remove_task(self._tasks.pop(name))
        self._sum()

    def _forget(self, name: str) -> None:
        """A table that stopped in its load loads no more, until it begins anew."""
        for figures in (self._totals, self._rows):
            figures.pop(name, None)
        self._done.discard(name)
        if name in self._tasks:
            self.progress.remove_task(self._tasks.pop(name))
        self._sum()

    def _sum(self) -> None:
        done = sum(self._rows.values())
        self.progress.update(self._all, completed=done, total=max(sum(self._totals.values()), done))


_STREAMS: Final = frozenset({"catching-up", "streaming"})
_LIMITED: Final = _STREAMS | {"loading"}
"""States in which something may limit the flow."""


class StatusLine:
    """State, rates and lag, from two metrics events."""

    def __init__(self, replication: str, clock: Clock) -> None:
        self._replication = replication
        self._clock = clock
        self._state = "starting"
        self._limited_by = ""
        self._figures: dict[str, float] = {}
        self._rates: dict[str, float] = {}
        self._at: float | None = None

    def event(self, event: Mapping[str, object]) -> None:
        """Take any event; only states and metrics matter."""
        if event["event"] in ("state", "metrics"):
            self._state = str(event.get("state", self._state))
        elif event["event"] in ("restarting", "stopping"):
            self._state = str(event["event"])
        if self._state not in _STREAMS:
            self._limited_by = ""
        if event["event"] == "metrics":
            self._measure(event)

    def text(self) -> Text:
        """The line, e.g. `orders  streaming  12,345 rows/s  lag 15 ms  queue 1.2 MiB  2 units`."""
        parts = [f"{self._replication}  {self._state}"]
        if self._state == "loading":
            parts.append(f"{self._rates.get('load_rows', 0):,.0f} rows/s")
        if "target_rows" in self._rates and self._state != "loading":
            parts.append(f"{self._rates['target_rows']:,.0f} rows/s")
        if (lag := self._figures.get("latency_target_seconds")) is not None:
            parts.append(f"lag {lag * 1000:,.0f} ms" if lag < 10 else f"lag {lag:,.0f} s")
        if (queue := self._figures.get("queue_bytes")) is not None:
            parts.append(f"queue {queue / (1 << 20):.1f} MiB")
        if (units := self._figures.get("units")) is not None:
            parts.append(f"{units:.0f} unit{'' if units == 1 else 's'}")
        parts.append(f"{self._total():,.0f} rows in all")
        if self._limited_by not in ("", "idle"):
            parts.append(f"limited by {self._limited_by}")
        if rejected := self._figures.get("quarantined_rows"):
            parts.append(f"{rejected:,.0f} quarantined")
        return Text("  ".join(parts))

    def _total(self) -> float:
        return self._figures.get("load_rows", 0) + self._figures.get("target_rows", 0)

    def _measure(self, event: Mapping[str, object]) -> None:
        now = self._clock.monotonic()
        figures = {name: float(v) for name, v in event.items() if isinstance(v, (int, float))}
        if self._at is not None and (passed := now - self._at) > 0:
            for name in ("target_rows", "load_rows"):
                grown = figures.get(name, 0) - self._figures.get(name, 0)
                self._rates[name] = max(grown, 0) / passed
        self._at, self._figures = now, figures
        self._limited_by = str(event.get("verdict", "")) if self._state in _LIMITED else ""


def _announcement(event: Mapping[str, object]) -> str | None:
    """What deserves a line of its own above the display."""
    match event["event"]:
        case "caught-up":
            return "caught up with the source"
        case "listening":
            return f"metrics at http://{event['address']}/metrics"
        case "capacity" if event["units_to"] != event["units_from"]:
            sizes = f"capacity {event['units_from']} -> {event['units_to']} units"
            return escape(f"{sizes}: {event['reason']}")
        case "restarting":
            return escape(f"starting again in {event['delay_seconds']} s: {event['reason']}")
        case "stopping":
            return "stopping: what is under way is finished first (at most 10 s)"
        case _:
            return None


def _number(value: object) -> float:
    return value if isinstance(value, (int, float)) else 0
