"""Log lines: context, rate limit, and that no value and no secret gets through."""

import io
import json
import logging
import threading
from collections.abc import Callable
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.secret import Secret
from engine.errors import PenstockError, SourceConnectionError
from engine.model.change import INSERT, Change
from engine.model.position import LogPosition
from engine.model.relation import Relation, TableName
from engine.observe import writer as writing
from engine.observe.limit import CAUSES_MAX, LINES_PER_SECOND_MAX, LineLimit
from engine.observe.log import Level, Line, Log, discard
from engine.observe.redact import clean, describe_error, fact
from engine.observe.writer import LibraryLines, LineWriter, as_json, as_text

CANARY = "canary-5d1e"


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_700_000_000.25


class Kept:
    def __init__(self, level: Level = Level.INFO) -> None:
        self.lines: list[Line] = []
        self.clock = FakeClock()
        self.log = Log(self.lines.append, self.clock, level=level)


def test_context_is_bound_once_and_does_not_leak_back() -> None:
    kept = Kept()
    lane = kept.log.bind(replication="orders", lane="t:public.a")
    lane.bind(batch=3).info("batch applied", action="apply.batch", rows=7)
    kept.log.info("started", action="worker.start")
    assert kept.lines[0].message == "batch applied"
    assert dict(kept.lines[0].fields) == {
        "replication": "orders",
        "lane": "t:public.a",
        "batch": 3,
        "action": "apply.batch",
        "rows": 7,
    }
    assert dict(kept.lines[1].fields) == {"action": "worker.start"}


def test_levels_below_the_chosen_one_are_not_written() -> None:
    kept = Kept(Level.WARNING)
    kept.log.info("quiet", action="a")
    kept.log.warning("loud", action="b")
    assert [line.message for line in kept.lines] == ["loud"]
    assert not kept.log.enabled(Level.INFO)


def test_an_error_of_ours_shows_message_hint_and_context() -> None:
    kept = Kept()
    error = SourceConnectionError("the link broke", hint="look at it", context={"attempt": 3})
    kept.log.error("cannot read", action="capture.read", error=error)
    fields = kept.lines[0].fields
    assert fields["error"] == "SourceConnectionError: the link broke"
    assert (fields["hint"], fields["attempt"]) == ("look at it", 3)


# --- rate limit ---------------------------------------------------------------------------------


def test_one_cause_writes_ten_lines_a_second_and_the_rest_is_counted() -> None:
    kept = Kept()
    for _ in range(1000):
        kept.log.warning("row refused", action="apply.reject")
    assert len(kept.lines) == LINES_PER_SECOND_MAX
    kept.clock.now += 1.0
    kept.log.info("something else", action="other")
    assert kept.lines[-2].fields["suppressed"] == 990
    assert kept.lines[-2].fields["action"] == "apply.reject"
    assert kept.lines[-1].message == "something else"


def test_causes_do_not_silence_each_other() -> None:
    kept = Kept()
    for _ in range(50):
        kept.log.warning("a", action="one")
    kept.log.warning("b", action="two")
    kept.log.warning("c", action="one", error=ValueError())
    assert [line.message for line in kept.lines[-2:]] == ["b", "c"]


def test_bound_logs_share_the_limit() -> None:
    kept = Kept()
    for number in range(50):
        kept.log.bind(lane=number).warning("row refused", action="apply.reject")
    assert len(kept.lines) == LINES_PER_SECOND_MAX


def test_flush_tells_what_was_held_back() -> None:
    kept = Kept()
    for _ in range(12):
        kept.log.error("x", action="a", error=OSError())
    kept.log.flush()
    assert kept.lines[-1].fields == {"action": "a", "suppressed": 2, "error": "OSError"}
    kept.log.flush()
    assert len(kept.lines) == LINES_PER_SECOND_MAX + 1


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(0, 0.7)), max_size=300))
def test_every_line_is_either_admitted_or_counted(events: list[tuple[int, float]]) -> None:
    limit, now, admitted, counted = LineLimit(), 0.0, 0, 0
    for cause, step in events:
        now += step
        counted += sum(count for _, count in limit.take_suppressed(now))
        admitted += limit.admit(cause, now)
    counted += sum(count for _, count in limit.take_suppressed())
    assert admitted + counted == len(events)


def test_the_limit_remembers_a_bounded_number_of_causes() -> None:
    limit = LineLimit()
    for cause in range(CAUSES_MAX * 3):
        for _ in range(LINES_PER_SECOND_MAX + 1):
            limit.admit(cause, 0.0)
    assert len(limit._windows) <= CAUSES_MAX
    assert len(list(limit.take_suppressed())) <= CAUSES_MAX


# --- values and secrets -------------------------------------------------------------------------


class Odd:
    def __str__(self) -> str:
        raise RuntimeError(CANARY)


class DriverError(Exception):
    sqlstate = "23505"


class Plain(Enum):
    WORD = "word"


ROW = (CANARY.encode(), None)
CHANGE = Change(INSERT, Relation(1, "public", "a", ()), ROW, None)

HIDDEN: tuple[object, ...] = (
    CANARY.encode(),
    bytearray(CANARY.encode()),
    memoryview(CANARY.encode()),
    ROW,
    [ROW],
    {"row": ROW},
    CHANGE,
    DriverError(f"Key (email)=({CANARY}) already exists."),
    ExceptionGroup("errors", [ValueError(CANARY)]),
    UnicodeDecodeError("utf-8", CANARY.encode(), 0, 1, CANARY),
    OSError(5, CANARY),
    Odd(),
    Secret(CANARY),
    [Secret(CANARY)],
    f"postgresql://user:{CANARY}@host/db",
    f"could not connect to postgresql://user:{CANARY}@with@host:5432/db?x=1",
    f"host=h password={CANARY} user=u",
    f"password = '{CANARY} {CANARY}'",
    f"PGPASSWORD={CANARY}",
    [f"secret: {CANARY}"],
)


@pytest.mark.parametrize("value", HIDDEN, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("format", [as_text, as_json])
def test_no_value_and_no_secret_gets_through(value: object, format: Callable[[Line], str]) -> None:
    kept = Kept()
    kept.log.bind(bound=value).info("something", action="a", fact=value, error=value)
    assert CANARY not in format(kept.lines[0])


def test_a_secret_in_a_message_is_masked() -> None:
    kept = Kept()
    message = f"opening postgresql://u:{CANARY}@h/d"
    kept.log.info(message, action="a")
    assert kept.lines[0].message == "opening postgresql://u:***@h/d"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (TableName("public", "a"), "public.a"),
        (LogPosition(0x16B374D848, 12), "16/B374D848+12"),
        (Plain.WORD, "word"),
        (b"12345", "<5 bytes>"),
        (object(), "<object>"),
        ((1, "two", None), [1, "two", None]),
        ({"a": 1.5}, {"a": 1.5}),
        (DriverError("x"), "DriverError [23505]"),
        (list(range(22)), [*range(20), "and 2 more"]),
        ([[[["deep"]]]], [[["<list>"]]]),
    ],
)
def test_names_numbers_and_positions_are_shown(value: object, shown: object) -> None:
    assert fact(value) == shown


def test_our_own_error_keeps_its_message_and_a_group_names_its_parts() -> None:
    group = ExceptionGroup("x", [PenstockError("told"), ValueError(CANARY)])
    assert describe_error(group) == "ExceptionGroup: PenstockError: told; ValueError"


@given(st.text())
def test_a_text_is_always_one_line_of_bounded_length(text: str) -> None:
    shown = clean(text)
    assert len(shown.splitlines()) <= 1
    assert "\x1b" not in shown
    assert len(clean("x" * 10_000)) == 1_000


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_fact_can_be_written_in_both_formats(value: object) -> None:
    kept = Kept()
    kept.log.info("something", action="a", value=value)
    assert len(as_text(kept.lines[0]).splitlines()) == 1
    assert "value" in json.loads(as_json(kept.lines[0]))


# --- writing ------------------------------------------------------------------------------------


def test_the_two_formats() -> None:
    line = Line(1_700_000_000.25, Level.INFO, "table loaded", {"relation": "a b", "rows": 3})
    assert as_text(line) == ('2023-11-14T22:13:20.250Z INFO    table loaded relation="a b" rows=3')
    assert json.loads(as_json(line)) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "message": "table loaded",
        "relation": "a b",
        "rows": 3,
    }


def test_a_field_cannot_pose_as_the_message() -> None:
    line = Line(0.0, Level.INFO, "true", {"message": "false", "level": "error"})
    assert json.loads(as_json(line))["message"] == "true"


class Stalled(io.StringIO):
    """A reader that does not read until `reads` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = threading.Event()

    def write(self, text: str) -> int:
        self.reads.wait()
        return super().write(text)


def test_a_stalled_reader_never_stalls_the_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "LINES_WAITING_MAX", 5)
    stream = Stalled()
    writer = LineWriter(stream, as_json)
    for number in range(100):
        writer.write(Line(0.0, Level.INFO, f"line {number}", {}))
    stream.reads.set()
    writer.close()
    lines = [json.loads(text) for text in stream.getvalue().splitlines()]
    lost = sum(line.get("lines", 0) for line in lines)
    assert lost + sum(line["message"].startswith("line ") for line in lines) == 100
    assert lost >= 94


def test_a_closed_stream_is_no_error() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream, as_json)
    stream.close()
    writer.write(Line(0.0, Level.INFO, "x", {}))
    writer.close()


def test_a_library_s_warning_becomes_a_line_without_its_arguments() -> None:
    lines: list[Line] = []
    logger = logging.getLogger("penstock-test-driver")
    logger.addHandler(LibraryLines(lines.append))
    logger.propagate = False
    try:
        raise ValueError(CANARY)
    except ValueError:
        logger.exception("task failed: %s\nsource_traceback: %s", CANARY, CANARY)
    logger.info("not worth it")
    assert len(lines) == 1
    assert lines[0].fields == {
        "action": "library",
        "library": "penstock-test-driver",
        "error": "ValueError",
    }
    assert CANARY not in as_json(lines[0])


def test_discard_takes_anything() -> None:
    Log(discard, FakeClock()).info("x", action="a")
