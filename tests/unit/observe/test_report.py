"""What a worker's end means, and the pipe it is told over."""

import os
from collections.abc import Iterator

import orjson
import pytest

from engine.errors import (
    ConfigError,
    FencedError,
    InvariantError,
    PenstockError,
    SourceConnectionError,
    SourceError,
    TargetBusyError,
)
from engine.observe.report import (
    DEFECT_REMEDY,
    WAITING_BYTES_MAX,
    Outcome,
    ReportPipe,
    leading,
    parse,
)

CANARY = "canary-91c2"


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    read_end, write_end = os.pipe()
    yield read_end, write_end
    for descriptor in (read_end, write_end):
        try:
            os.close(descriptor)
        except OSError:
            continue


def _events(data: bytes) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in data.splitlines()]


@pytest.mark.parametrize(
    ("error", "exit_code", "retry"),
    [
        (ConfigError("a", "b"), 2, "never"),
        (FencedError("x"), 3, "never"),
        (SourceConnectionError("x"), 1, "backoff"),
        (TargetBusyError("x"), 1, "wait"),
        (SourceError("x"), 1, "never"),
        (InvariantError("x"), 1, "restart"),
        (ValueError("x"), 1, "restart"),
    ],
)
def test_an_error_s_class_decides_the_outcome(error: Exception, exit_code: int, retry: str) -> None:
    outcome = Outcome.of(error)
    assert (outcome.exit, outcome.retry, outcome.error) == (exit_code, retry, type(error).__name__)


def test_a_foreign_error_keeps_its_text_to_itself_and_asks_for_a_report() -> None:
    outcome = Outcome.of(ValueError(CANARY))
    assert CANARY not in repr(outcome)
    assert outcome.remedy == DEFECT_REMEDY


def test_what_needs_a_person_leads_a_group() -> None:
    fenced, link = FencedError("fenced"), SourceConnectionError("link")
    assert leading(ExceptionGroup("x", [link, ExceptionGroup("y", [fenced])])) is fenced
    lasting = SourceError("lasting")
    assert leading(ExceptionGroup("x", [link, lasting])) is lasting


def test_a_group_with_a_foreign_error_is_a_defect() -> None:
    group = ExceptionGroup("x", [PenstockError("ours"), KeyError(CANARY)])
    assert leading(group) is None
    assert CANARY not in repr(Outcome.of(group))


def test_events_arrive_as_they_were_sent(ends: tuple[int, int]) -> None:
    pipe = ReportPipe(ends[1])
    pipe.send("state", {"state": "streaming"})
    pipe.finish(Outcome(3, reason="it broke", remedy="mend it"))
    assert _events(os.read(ends[0], 65_536)) == [
        {"event": "state", "state": "streaming"},
        {
            "event": "outcome",
            "exit": 3,
            "retry": "never",
            "error": "",
            "reason": "it broke",
            "remedy": "mend it",
        },
    ]


def test_a_remedy_of_several_lines_is_told_on_one(ends: tuple[int, int]) -> None:
    ReportPipe(ends[1]).finish(Outcome(1, remedy="GRANT a TO b;\nor run that as c"))
    (event,) = _events(os.read(ends[0], 65_536))
    assert event["remedy"] == "GRANT a TO b; or run that as c"


def test_a_parent_that_does_not_read_costs_metrics_but_no_event(ends: tuple[int, int]) -> None:
    pipe = ReportPipe(ends[1])
    taken = 0
    for number in range(2_000):
        taken += pipe.send("metrics", {"number": number, "filler": "x" * 200})
        assert pipe.send("table", {"number": number})
    data = b""
    while b'"last"' not in data:
        data += os.read(ends[0], 1 << 20)
        pipe.send("last", {})
    events = _events(data[: data.rindex(b"\n") + 1])
    assert [e["number"] for e in events if e["event"] == "table"] == list(range(2_000))
    assert 0 < taken < 1_000
    assert sum(event["event"] == "metrics" for event in events) == taken


def test_memory_for_a_parent_that_does_not_read_is_bounded(ends: tuple[int, int]) -> None:
    pipe = ReportPipe(ends[1])
    for _ in range(10_000):
        pipe.send("table", {"filler": "x" * 900})
    assert len(pipe._rest) < WAITING_BYTES_MAX + 2_000


def test_a_dead_parent_is_noticed(ends: tuple[int, int]) -> None:
    pipe = ReportPipe(ends[1])
    os.close(ends[0])
    pipe.send("metrics", {})
    assert pipe.broken
    pipe.finish(Outcome(0))


def test_without_a_parent_everything_is_dropped() -> None:
    pipe = ReportPipe(None)
    pipe.send("state", {"state": "x"})
    pipe.finish(Outcome(0))
    assert not pipe.broken


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"{}", b"\xff\xfe", b'"event"'])
def test_a_line_cut_off_is_no_event(line: bytes) -> None:
    assert parse(line) is None


def test_no_secret_travels(ends: tuple[int, int]) -> None:
    pipe = ReportPipe(ends[1])
    pipe.send("state", {"state": f"postgresql://u:{CANARY}@h/d", "row": CANARY.encode()})
    assert CANARY.encode() not in os.read(ends[0], 65_536)
