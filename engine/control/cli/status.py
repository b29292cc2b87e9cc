"""`penstock status`: how replications are and do."""

import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

import typer

from engine.control.cli.durations import duration, moment
from engine.control.cli.ending import end_with
from engine.control.cli.reach import USUAL, As, Output, Url, daemon, document, table
from engine.control.client.daemon import Daemon
from engine.control.client.errors import UnreachableError
from engine.control.client.replications import every, one
from engine.errors import ConfigError
from engine.observe.redact import clean
from engine.seams import SystemClock

WATCH_SECONDS: Final = 1.0
"""Between two looks: a worker tells its figures once a second."""

IDLE: Final = "idle"
"""The verdict where nothing waits."""

AWS_REASON: Final = "Stop Reason "
"""What AWS's words for why something stopped begin with."""

HEADING: Final = ("ID", "STATUS", "PHASE", "LAG", "UNITS", "ROWS", "SINCE")

OptionalId: TypeAlias = Annotated[
    str, typer.Argument(metavar="[ID]", help="One replication; without it, all of them.")
]

Watch: TypeAlias = Annotated[
    bool, typer.Option("--watch", "-w", metavar="", help="Look again every second, until Ctrl-C.")
]


def status(
    id: OptionalId = "", watch: Watch = False, output: As = Output.TEXT, url: Url = USUAL
) -> None:
    """How replications are: status, lag, size, rows of the newest start, since when.

    ROWS counts rows copied and changes applied by the worker that runs. SINCE is how long it has
    been so.
    """
    end_with(lambda: _status(id, url, output, watch=watch))


def _status(id: str, url: str, output: Output, *, watch: bool) -> int:
    asked = daemon(url)
    if watch:
        with contextlib.suppress(KeyboardInterrupt):  # how it ends
            _watch(asked, id, output)
    elif output is Output.JSON:
        document(one(asked, id) if id else list(every(asked)))
    else:
        for line in _lines(asked, id):
            typer.echo(line)
    return 0


def _watch(asked: Daemon, id: str, output: Output) -> None:
    if output is Output.JSON:
        while True:
            document(one(asked, id) if id else list(every(asked)))
            time.sleep(WATCH_SECONDS)
    if not on_terminal():
        raise ConfigError(
            "--watch", "redraws a terminal, and there is none", hint="use it with --output json"
        )
    from rich.console import Console  # a library, for terminals only
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(), auto_refresh=False) as live:
        while True:
            try:
                lines = _lines(asked, id)
            except UnreachableError as error:  # a daemon that is started again comes back
                lines = [clean(str(error))]
            live.update(Text("\n".join(lines)), refresh=True)
            time.sleep(WATCH_SECONDS)


def on_terminal() -> bool:
    """Whether there is a terminal to redraw."""
    return sys.stdout.isatty()


def _lines(asked: Daemon, id: str) -> list[str]:
    now = SystemClock().wall()
    if id:
        return details(one(asked, id), now)
    found = list(every(asked))
    if not found:
        return ["no replications; `penstock apply FILE` makes one of a replication file"]
    return overview(found, now)


def overview(found: Sequence[Mapping[str, Any]], now: float) -> list[str]:
    """A line for each."""
    rows = [(clean(str(each["identifier"])), *_cells(each, now)) for each in found]
    return list(table([HEADING, *rows]))


def _cells(each: Mapping[str, Any], now: float) -> tuple[str, ...]:
    since = each.get("since")
    return (
        str(each["status"]),
        _phase(each),
        duration(each["lag_seconds"]) if "lag_seconds" in each else "-",
        str(each.get("units", "-")),
        f"{rows:,}" if (rows := _rows(each)) is not None else "-",
        duration(now - since) if since else "-",
    )


def _phase(each: Mapping[str, Any]) -> str:
    phase = str(each.get("phase", "-"))
    if phase == "loading":
        phase = f"{phase} {each['load_percent']}%"
    errored = each.get("tables_errored")
    if not errored:
        return phase
    stand = f"{errored} table{'s' if errored > 1 else ''} errored"
    return stand if phase == "-" else f"{phase}, {stand}"


def _rows(each: Mapping[str, Any]) -> int | None:
    counts = [each[name] for name in ("load_rows", "rows_applied") if name in each]
    return sum(counts) if counts else None


def details(each: Mapping[str, Any], now: float) -> list[str]:
    """Everything about one."""
    pairs = [
        ("id", each["identifier"]),
        ("arn", each["arn"]),
        ("from", each["source"]),
        ("to", each["target"]),
        ("type", each["type"]),
        *zip(map(str.lower, HEADING[1:6]), _cells(each, now)[:5], strict=True),
        ("sizes", f"{each['units_min']} to {each['units_max']} units"),
        ("tables", _tables(each)),
        *(("errored", table) for table in stopped(each)),
        ("limited by", verdict if (verdict := each.get("verdict")) != IDLE else None),
        ("position", each.get("position")),
        ("log kept", _kept(each)),
        ("unit-hours", _hours(each)),
        ("stopped by", str(each.get("stop_reason") or "-").removeprefix(AWS_REASON)),
        ("since", moment(each["since"]) if each.get("since") else None),
        *(("failure", failure) for failure in each.get("failures", ())),
    ]
    width = max(len(name) for name, _ in pairs)
    return [
        f"{name:<{width}}  {clean(str(value))}" for name, value in pairs if value not in (None, "-")
    ]


def stopped(each: Mapping[str, Any]) -> list[str]:
    """A line for each table that stands: why, and what to do."""
    return [_named(table["table"], table["reason"]) for table in each.get("tables_stopped", ())]


def _named(table: str, reason: str) -> str:
    """Most reasons begin with the table that they are of."""
    return reason if reason.startswith((f"{table}:", f"{table},")) else f"{table}: {reason}"


def _tables(each: Mapping[str, Any]) -> str:
    words = ("loaded", "loading", "queued", "errored")
    counts = [f"{each[f'tables_{word}']} {word}" for word in words if each.get(f"tables_{word}")]
    return ", ".join(counts) or "-"


def _kept(each: Mapping[str, Any]) -> str | None:
    """What the source keeps for it."""
    size = each.get("retained_bytes")
    return None if size is None else f"{size / (1 << 20):,.1f} MiB at the source"


def _hours(each: Mapping[str, Any]) -> str | None:
    hours = each.get("unit_hours")
    if hours is None:
        return None
    text = f"{hours:.2f} this month"
    if "cost_month" in each:
        text += f", {each['cost_month']:.2f} {each['currency']}"
    if "cost_month_max" in each:
        text += f"; at most {each['cost_month_max']:.2f} {each['currency']} a month"
    return text
