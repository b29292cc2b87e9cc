"""What a worker says reaches the daemon's log and the engine's stream, at a bounded rate."""

import contextlib
from pathlib import Path

from engine.config.settings import parse_given
from engine.control.logs.files import LogFiles, Stream, lines_of
from engine.control.streams import LINES_BURST, LINES_PER_SECOND, Streams
from engine.observe.log import Line, Log

_, LOGGED = parse_given('{"Logging": {"EnableLogging": true}}')

LINE = '{"time":"2026-11-30T10:00:00.000Z","level":"info","message":"m","action":"load.done"}'


class FakeClock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


def test_a_worker_that_writes_too_much_is_cut_short_and_that_is_told(tmp_path: Path) -> None:
    clock, said = FakeClock(), list[Line]()
    with contextlib.closing(LogFiles(tmp_path)) as files:
        streams = Streams(files, Log(said.append, clock), clock, "AB12")
        streams.begin("run-1", LOGGED)
        streams.running = True
        for _ in range(LINES_BURST + 7):
            streams.worker_line(LINE, 42)
        assert len(said) == LINES_BURST
        clock.now += 2 / LINES_PER_SECOND
        streams.worker_line(LINE, 42)
    assert [line.message for line in said[LINES_BURST:]] == [
        f"7 lines of the worker were left out: it wrote more than {LINES_PER_SECOND} a second",
        "m",
    ]
    kept = list(
        lines_of(tmp_path, Stream("dms-serverless-replication-AB12", "dms-serverless-run-1"))
    )
    assert len(kept) == len(said)
    assert "7 lines of the worker were left out" in kept[-2]


def test_a_worker_that_keeps_to_the_rate_loses_no_line(tmp_path: Path) -> None:
    clock, said = FakeClock(), list[Line]()
    with contextlib.closing(LogFiles(tmp_path)) as files:
        streams = Streams(files, Log(said.append, clock), clock, "AB12")
        for _ in range(3 * LINES_BURST):
            clock.now += 1 / LINES_PER_SECOND
            streams.worker_line(LINE, 42)
    assert len(said) == 3 * LINES_BURST
