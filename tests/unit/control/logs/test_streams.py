"""What a worker says reaches the daemon's log and the engine's stream, at a bounded rate."""

import contextlib
import json
from pathlib import Path

from engine.config.settings import parse_given
from engine.control.lifecycle import Status
from engine.control.logs.files import LogFiles, Stream, lines_of
from engine.control.streams import HELD_MAX, LINES_BURST, LINES_PER_SECOND, Streams
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
        streams.entered(Status.RUNNING)
        for _ in range(LINES_BURST + 7):
            streams.worker_line(LINE, 42)
        said.pop(0)  # that it runs
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


ENGINE = Stream("dms-serverless-replication-AB12", "dms-serverless-run-1")


def line(text: str, action: str = "load.begun", level: str = "info") -> str:
    time = "2026-11-30T10:00:00.000Z"
    return json.dumps({"time": time, "level": level, "message": text, "action": action})


def engine_lines(folder: Path, *steps: str | Status, settings: str = "") -> list[str]:
    """Texts of the engine's stream, when a worker says these lines and these statuses come."""
    logging = settings or '{"Logging": {"EnableLogging": true}}'
    with contextlib.closing(LogFiles(folder)) as files:
        clock = FakeClock()
        streams = Streams(files, Log(lambda _: None, clock), clock, "AB12")
        streams.begin("run-1", parse_given(logging)[1])
        for step in steps:
            if isinstance(step, Status):
                streams.entered(step)
            else:
                streams.worker_line(step, 42)
    return [text.split(":  ")[1].split("  (")[0] for text in lines_of(folder, ENGINE)]


def test_what_a_worker_says_before_it_is_said_to_run_begins_its_stream(tmp_path: Path) -> None:
    """Its pipe and its log are two: a table's load may be told first."""
    told = engine_lines(tmp_path, line("a"), line("b"), Status.RUNNING, line("c"))
    assert told == ["a", "b", "c"]


def test_a_start_that_fails_has_no_engine_stream(tmp_path: Path) -> None:
    assert engine_lines(tmp_path, line("a"), Status.FAILED) == []


def test_a_stream_goes_on_to_the_workers_end(tmp_path: Path) -> None:
    assert engine_lines(tmp_path, Status.RUNNING, Status.STOPPING, line("draining")) == ["draining"]


def test_what_is_held_is_bounded(tmp_path: Path) -> None:
    said = [line(str(number)) for number in range(HELD_MAX + 3)]
    assert engine_lines(tmp_path, *said, Status.RUNNING)[0] == "3"


def test_what_is_held_is_as_talkative_as_is_asked_for(tmp_path: Path) -> None:
    quiet = {"Id": "TARGET_LOAD", "Severity": "LOGGER_SEVERITY_ERROR"}
    settings = json.dumps({"Logging": {"EnableLogging": True, "LogComponents": [quiet]}})
    said = [line("load"), line("other", "capture.open"), line("stopped", level="error")]
    told = engine_lines(tmp_path, *said, Status.RUNNING, line("again"), settings=settings)
    assert told == ["other", "stopped"]


def test_a_line_of_the_orchestrator_has_its_time(tmp_path: Path) -> None:
    engine_lines(tmp_path, Status.INITIALIZING)
    orchestrator = Stream(ENGINE.group, "dms-serverless-replication-orchestrator-AB12")
    (told,) = lines_of(tmp_path, orchestrator)
    assert told.startswith("1970-01-01T00:16:40 {'replication_state': 'initializing', ")
