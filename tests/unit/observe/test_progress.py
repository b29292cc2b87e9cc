"""What a run shows, on a terminal and elsewhere."""

import io
import json
from collections.abc import Mapping

import pytest
from rich.console import Console

from engine.observe.json_lines import JsonLines
from engine.observe.progress import BARS_MAX, Bars, LoadBars, StatusLine


class FakeClock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.0


def _table(name: str, state: str, rows: int = 0, estimated: int = 0) -> Mapping[str, object]:
    return {
        "event": "table",
        "table": name,
        "state": state,
        "rows": rows,
        "rows_estimated": estimated,
    }


def test_json_lines_thin_out_metrics_and_nothing_else() -> None:
    stream, clock = io.StringIO(), FakeClock()
    view = JsonLines(stream, "orders", clock)
    for second in range(11):
        clock.now = float(second)
        view.event({"event": "metrics", "target_rows": second})
        view.event({"event": "state", "state": "streaming"})
    lines = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert [line["target_rows"] for line in lines if line["event"] == "metrics"] == [0, 5, 10]
    assert sum(line["event"] == "state" for line in lines) == 11
    assert lines[0]["replication"] == "orders"
    assert lines[0]["time"] == "2023-11-14T22:13:20.000Z"


def test_the_status_line_measures_rates_between_reports() -> None:
    clock = FakeClock()
    line = StatusLine("orders", clock)
    line.event({"event": "metrics", "state": "streaming", "target_rows": 1000})
    clock.now = 2.0
    line.event(
        {
            "event": "metrics",
            "state": "streaming",
            "target_rows": 5000,
            "load_rows": 10,
            "latency_target_seconds": 0.015,
            "queue_bytes": 3 << 19,
            "units": 2,
            "quarantined_rows": 2,
        }
    )
    assert line.text().plain == (
        "orders  streaming  2,000 rows/s  lag 15 ms  queue 1.5 MiB  2 units  5,010 rows in all"
        "  2 quarantined"
    )


def test_the_status_line_names_what_limits_the_flow() -> None:
    line = StatusLine("orders", FakeClock())
    line.event({"event": "metrics", "state": "streaming", "verdict": "target"})
    assert "limited by target" in str(line.text())
    line.event({"event": "metrics", "state": "loading", "verdict": "copiers"})
    assert "limited by copiers" in str(line.text())
    line.event({"event": "metrics", "state": "streaming", "verdict": "idle"})
    assert "limited" not in str(line.text())


@pytest.mark.parametrize(
    "event",
    [
        {"event": "state", "state": "retrying"},
        {"event": "metrics", "state": "loading"},
        {"event": "restarting", "reason": "x", "delay_seconds": 0.0},
    ],
)
def test_nothing_limits_a_stream_that_does_not_run(event: dict[str, object]) -> None:
    line = StatusLine("orders", FakeClock())
    line.event({"event": "metrics", "state": "streaming", "verdict": "target"})
    line.event(event)
    assert "limited" not in str(line.text())


def test_a_restarted_worker_does_not_show_a_negative_rate() -> None:
    clock = FakeClock()
    line = StatusLine("orders", clock)
    line.event({"event": "metrics", "state": "streaming", "target_rows": 1000})
    line.event({"event": "restarting", "reason": "x", "delay_seconds": 0.0})
    assert "restarting" in line.text().plain
    clock.now = 1.0
    line.event({"event": "metrics", "state": "streaming", "target_rows": 10})
    assert "  0 rows/s" in line.text().plain


def _shown(bars: LoadBars) -> dict[str, tuple[float, float | None]]:
    return {task.description: (task.completed, task.total) for task in bars.progress.tasks}


def test_a_loading_table_has_a_bar_that_grows_and_goes() -> None:
    bars = LoadBars(Console(file=io.StringIO()))
    bars.event(_table("public.a", "loading", estimated=100))
    bars.event(_table("public.b", "pending", estimated=300))
    bars.event({"event": "metrics", "tables": {"public.a": [40, 0, 0, 0, 0], "unknown.table": [7]}})
    assert _shown(bars) == {"[bold]full load": (40, 400), "public.a": (40, 100)}
    assert bars.any()
    bars.event(_table("public.a", "loaded", rows=120))
    bars.event(_table("public.b", "loading", rows=300, estimated=300))
    bars.event(_table("public.b", "streaming"))
    assert _shown(bars) == {"[bold]full load": (420, 420)}
    assert not bars.any()


def test_a_table_that_stops_in_its_load_holds_the_bars_up_no_longer() -> None:
    bars = LoadBars(Console(file=io.StringIO()))
    bars.event(_table("public.a", "loading", estimated=100))
    bars.event(_table("public.b", "loading", estimated=300))
    bars.event({"event": "metrics", "tables": {"public.a": [40, 1, 0, 0, 0]}})
    bars.event({"event": "table", "table": "public.a", "state": "needs-reload", "reason": "x"})
    bars.event(_table("public.b", "loaded", rows=300))
    assert _shown(bars) == {"[bold]full load": (300, 300)}
    assert not bars.any()
    bars.event(_table("public.a", "loading", estimated=100))
    assert bars.any()


def test_an_estimate_that_was_too_low_never_passes_the_end() -> None:
    bars = LoadBars(Console(file=io.StringIO()))
    bars.event(_table("public.a", "loading", estimated=10))
    bars.event({"event": "metrics", "tables": {"public.a": [50, 0, 0, 0, 0]}})
    assert _shown(bars)["public.a"] == (50, 50)


def test_many_tables_do_not_fill_the_screen() -> None:
    bars = LoadBars(Console(file=io.StringIO()))
    for number in range(100):
        bars.event(_table(f"public.t{number}", "loading", estimated=1))
    assert len(bars.progress.tasks) == BARS_MAX + 1


def test_a_terminal_shows_bars_log_lines_and_the_last_figures() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    view = Bars(console, "orders", FakeClock())
    view.event(_table("public.[bold]odd", "loading", estimated=100))
    view.log_line("2023 INFO [red]not markup[/red]")
    view.event({"event": "restarting", "reason": "the worker [died]", "delay_seconds": 1.0})
    sizes = {"rule": "up", "units_from": 2, "units_to": 4, "reason": "3.0 s behind"}
    view.event({"event": "capacity", **sizes})
    view.event({"event": "capacity", **sizes, "units_to": 2, "reason": "nothing changes"})
    view.event({"event": "metrics", "state": "streaming", "target_rows": 7})
    view.close()
    text = stream.getvalue()
    assert "capacity 2 -> 4 units: 3.0 s behind" in text
    assert "nothing changes" not in text
    assert "[red]not markup[/red]" in text
    assert "starting again in 1.0 s: the worker [died]" in text
    assert "7 rows in all" in text.splitlines()[-1]
