"""A stage that has work and does not move is told from one that has none."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from unittest.mock import ANY

import pytest

from engine.apply.checkpoint import Checkpoint
from engine.apply.lane import Lane
from engine.apply.suspension import Suspension
from engine.checkpoint.ownership import SeqSum
from engine.errors import (
    SourceConnectionError,
    TargetBusyError,
    TargetConnectionError,
    TargetRewoundError,
)
from engine.model.change import INSERT, Change, Transaction
from engine.model.position import LogPosition, Position
from engine.model.relation import Relation
from engine.model.segment import Mark, Segment
from engine.observe.lag import SourceLag
from engine.observe.load_stages import LoadStages
from engine.observe.log import Line, Log
from engine.observe.metrics import Metrics, Stage
from engine.spool import Spool, SpoolBudget
from engine.stalls import BUSY_SECONDS, REOPEN_SECONDS, STUCK_SECONDS, Stalls, Watched
from tests.simulation.seams import SimulatedDisk

SIGN_SECONDS = 5
"""Time between two signs of life of a source that has nothing to say."""

TABLE = Relation(1, "public", "t", ())


class FakeClock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


@dataclass
class Capture:
    passed: Position = LogPosition(100)
    waits_for_room: bool = False
    cuts: list[str] = field(default_factory=list)

    def cut(self, why: str) -> bool:
        self.cuts.append(why)
        return True


class Bench:
    """A stream that has read all there is, and one lane."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics("orders")
        self.lines: list[Line] = []
        self.stalls = Stalls(self.clock, self.metrics, Log(self.lines.append, self.clock))
        self.capture = Capture()
        self.reading = SourceLag(self.clock)
        self.lane = Lane("t", {TABLE.table: Checkpoint("t", 1, 0, "0/0")})
        self.seqs = SeqSum(0)
        self.answers = True
        self.head = 100
        self.watched = Watched(
            self.capture, self.reading, lambda: [self.lane], self.seqs, lambda: "a lock"
        )

    def waits(self) -> None:
        change = Change(INSERT, TABLE, (b"1",), None)
        self.lane.offer(Segment(Mark(), Transaction(200), [change], [1], 10, LogPosition(210)))

    def after(self, seconds: float, *, streams: bool = True) -> dict[Stage, str]:
        """What is stuck after so many seconds, in each of which everything was looked at."""
        for second in range(int(seconds)):
            self.clock.now += 1
            if self.answers and second % SIGN_SECONDS == 0:
                self.reading.head(LogPosition(self.head), self.clock.now)
            self.reading.reached(self.capture.passed)
            if streams:
                with self.stalls.watching(self.watched):
                    self.stalls.look()
            else:
                self.stalls.look()
        return {stage: why for stage, why in self.metrics.stuck.items() if why}

    @property
    def said(self) -> list[str]:
        return [line.message for line in self.lines]


def test_an_idle_stream_is_never_stuck() -> None:
    bench = Bench()
    assert bench.after(1000) == {}
    assert bench.said == []
    assert bench.capture.cuts == []


def test_a_source_that_goes_on_unread_is_stuck_and_its_link_given_up() -> None:
    bench = Bench()
    bench.after(10)
    bench.head = 900
    assert bench.after(STUCK_SECONDS - SIGN_SECONDS) == {}
    assert "nothing of it was read" in bench.after(SIGN_SECONDS + 1)[Stage.SOURCE]
    assert bench.said == ["a stage is stuck"]
    assert bench.lines[0].fields["stage"] == "source"
    assert bench.lines[0].fields["hint"]
    bench.after(REOPEN_SECONDS)
    assert len(bench.capture.cuts) == 1
    bench.capture.passed = LogPosition(900)
    assert bench.after(1) == {}
    assert bench.said == ["a stage is stuck", "a stage moves again"]


def test_a_link_that_brings_nothing_is_given_up_more_and_more_rarely() -> None:
    bench = Bench()
    bench.head = 900
    bench.after(40 * REOPEN_SECONDS)
    assert 4 <= len(bench.capture.cuts) <= 7


def test_a_source_without_a_sign_of_life_is_stuck() -> None:
    bench = Bench()
    bench.after(6)
    bench.answers = False
    assert "no sign of life" in bench.after(STUCK_SECONDS + 5)[Stage.SOURCE]


def test_a_reader_that_waits_for_room_is_not_stuck() -> None:
    bench = Bench()
    bench.head = 900
    bench.capture.waits_for_room = True
    assert bench.after(100) == {}


def test_changes_that_wait_and_do_not_move_are_stuck_and_the_reason_is_told() -> None:
    bench = Bench()
    bench.waits()
    assert bench.after(STUCK_SECONDS - 1) == {}
    assert "none became durable" in bench.after(2)[Stage.TARGET]
    assert bench.lines[0].fields["waits_for"] == "a lock"
    bench.seqs.add(1)
    assert bench.after(1) == {}


def test_an_attempt_that_takes_its_time_to_end_is_still_the_one_that_did_not_move() -> None:
    """Its sessions are closed between the end of its stream and the word that it failed."""
    bench = Bench()
    bench.waits()
    assert bench.after(STUCK_SECONDS - 10) == {}
    with pytest.raises(TargetConnectionError), bench.stalls.watching(bench.watched):
        raise TargetConnectionError("gone")
    assert bench.after(3, streams=False) == {}
    bench.stalls.failed(TargetConnectionError("gone"))
    assert "it is not reached: gone" in bench.after(8, streams=False)[Stage.TARGET]


def test_a_stream_that_was_handed_over_leaves_nothing_that_stands_still() -> None:
    bench = Bench()
    bench.waits()
    assert bench.after(STUCK_SECONDS - 1) == {}
    assert bench.after(STUCK_SECONDS, streams=False) == {}


def test_a_process_that_was_frozen_takes_nothing_for_stuck_when_it_goes_on() -> None:
    bench = Bench()
    bench.waits()
    bench.head = 900
    assert bench.after(STUCK_SECONDS - 10) == {}
    bench.clock.now += 10 * REOPEN_SECONDS
    assert bench.after(5) == {}
    assert (bench.said, bench.capture.cuts) == ([], [])
    assert set(bench.after(6)) == {Stage.TARGET, Stage.SOURCE}, "what was before counts"


def test_what_takes_long_once_both_servers_are_reached_is_not_stuck() -> None:
    """An attempt after a restart of the target goes on making indexes."""
    bench = Bench()
    bench.stalls.failed(TargetConnectionError("gone"))
    assert bench.after(STUCK_SECONDS - 5, streams=False) == {}
    bench.stalls.reached()
    assert bench.after(1000, streams=False) == {}
    assert bench.said == []


def test_what_was_stuck_moves_again_once_both_servers_are_reached_for_a_while() -> None:
    bench = Bench()
    bench.stalls.failed(TargetConnectionError("gone"))
    assert bench.after(STUCK_SECONDS + 1, streams=False) != {}
    bench.stalls.reached()
    assert bench.after(STUCK_SECONDS + 2, streams=False) == {}
    assert bench.said == ["a stage is stuck", "a stage moves again"]


def test_attempts_that_reach_both_servers_and_fail_at_once_get_nowhere() -> None:
    bench = Bench()
    stuck: dict[Stage, str] = {}
    for _ in range(10):
        bench.stalls.failed(TargetConnectionError("no index"))
        stuck = bench.after(5, streams=False)
        bench.stalls.reached()
        bench.after(1, streams=False)
    assert "no index" in stuck[Stage.TARGET]


def test_attempts_that_wait_for_a_lock_in_vain_stand_still_until_one_gets_past_it() -> None:
    bench = Bench()
    bench.stalls.reached()
    assert bench.after(30, streams=False) == {}
    bench.stalls.failed(TargetBusyError("looking for rows in t"))
    assert bench.after(1, streams=False) == {Stage.TARGET: ANY}
    bench.stalls.reached()
    found = bench.after(30, streams=False)
    assert "it is held up: looking for rows in t" in found[Stage.TARGET]
    bench.stalls.failed(TargetBusyError("looking for rows in t"))
    bench.stalls.reached()
    assert bench.after(BUSY_SECONDS + 2, streams=False) == {}
    assert bench.after(1000, streams=False) == {}


def test_an_attempt_that_fails_after_a_long_preparation_was_not_stuck_in_it() -> None:
    bench = Bench()
    bench.stalls.reached()
    assert bench.after(1000, streams=False) == {}
    bench.stalls.failed(TargetConnectionError("gone"))
    assert bench.after(STUCK_SECONDS - 1, streams=False) == {}


def test_changes_that_move_slowly_are_not_stuck() -> None:
    bench = Bench()
    bench.waits()
    for _ in range(10):
        assert bench.after(STUCK_SECONDS - 1) == {}
        bench.seqs.add(1)


@pytest.mark.parametrize("why", ["held by a load", "stopped", "the rest has not come"])
def test_changes_that_no_applier_could_apply_do_not_count(why: str) -> None:
    bench = Bench()
    if why == "stopped":
        spool = Spool("s", SimulatedDisk(), SpoolBudget(1 << 20), bytes(32))
        bench.lane.suspension = Suspension(spool, bench.lane.checkpoints, lambda _: None)
    bench.lane.held = why == "held by a load"
    bench.lane.parked = why == "the rest has not come"
    bench.waits()
    assert bench.after(100) == {}


def _stages(found: Sequence[Stage]) -> set[str]:
    return {stage.value for stage in found}


def test_attempts_that_do_not_get_as_far_as_a_stream_are_that_stage_standing_still() -> None:
    bench = Bench()
    bench.waits()
    bench.after(15)
    for _ in range(2):
        bench.stalls.failed(TargetConnectionError("nobody answers"))
        bench.after(5, streams=False)
    assert _stages(list(bench.after(3, streams=False))) == {"target"}
    bench.lane.segments.clear()
    assert bench.after(1) == {}


def test_a_source_that_is_away_counts_from_when_it_went() -> None:
    bench = Bench()
    bench.after(1000)
    bench.stalls.failed(SourceConnectionError("refused"))
    assert bench.after(STUCK_SECONDS - SIGN_SECONDS, streams=False) == {}
    assert _stages(list(bench.after(SIGN_SECONDS + 1, streams=False))) == {"source"}


def test_what_is_mended_by_reading_again_is_no_stage_standing_still() -> None:
    bench = Bench()
    bench.stalls.failed(TargetConnectionError("cut"))
    with bench.stalls.watching(bench.watched):
        pass
    assert bench.after(100, streams=False) == {}
    bench.stalls.failed(TargetRewoundError("restored"))
    assert _stages(list(bench.after(STUCK_SECONDS + 2, streams=False))) == {"target"}


def test_a_load_that_goes_on_after_a_cut_is_not_stuck() -> None:
    bench = Bench()
    bench.stalls.failed(TargetConnectionError("cut"))
    assert bench.after(5, streams=False) == {}
    for _ in range(40):
        bench.metrics.loaded(TABLE.table, 1, 1)
        assert bench.after(5, streams=False) == {}


def test_copiers_that_wait_for_rows_are_the_source_standing_still() -> None:
    bench, stages = Bench(), LoadStages()
    with bench.stalls.loading(stages), stages.copying, stages.waiting("shop.orders"):
        assert bench.after(STUCK_SECONDS - 1, streams=False) == {}
        assert _stages(list(bench.after(2, streams=False))) == {"source"}
        stages.came += 1
        assert bench.after(1, streams=False) == {}
    assert bench.said == ["a stage is stuck", "a stage moves again"]


def test_rows_that_are_not_taken_are_the_target_standing_still() -> None:
    bench, stages = Bench(), LoadStages()
    with bench.stalls.loading(stages), stages.copying:
        assert bench.after(STUCK_SECONDS - 1, streams=False) == {}
        assert _stages(list(bench.after(2, streams=False))) == {"target"}
        bench.metrics.loaded(TABLE.table, 1, 1)
        assert bench.after(1, streams=False) == {}


def test_a_load_that_moves_slowly_or_makes_indexes_is_not_stuck() -> None:
    bench, stages = Bench(), LoadStages()
    with bench.stalls.loading(stages):
        with stages.copying, stages.waiting("shop.orders"):
            for _ in range(3):
                assert bench.after(STUCK_SECONDS - 1, streams=False) == {}
                stages.came += 1
        with stages.finish:
            assert bench.after(1000, streams=False) == {}
    assert bench.said == []


def test_a_silent_load_that_is_begun_anew_goes_on_counting_until_a_row_comes() -> None:
    bench, stages = Bench(), LoadStages()
    stuck: list[set[str]] = []
    for _ in range(2):
        bench.stalls.reached()
        with contextlib.suppress(SourceConnectionError):
            _load_silently(bench, stages, stuck)
        bench.stalls.failed(SourceConnectionError("silent"))
    assert stuck == [set(), {"source"}]
    bench.stalls.reached()
    with bench.stalls.loading(stages), stages.copying, stages.waiting("shop.orders"):
        stages.came += 1
        assert bench.after(1, streams=False) == {}


def _load_silently(bench: Bench, stages: LoadStages, stuck: list[set[str]]) -> None:
    with bench.stalls.loading(stages), stages.copying, stages.waiting("shop.orders"):
        stuck.append(_stages(list(bench.after(STUCK_SECONDS - 10, streams=False))))
        raise SourceConnectionError("silent")


def test_a_source_that_does_not_answer_is_stuck_before_it_streams() -> None:
    bench = Bench()
    with bench.stalls.questions.asking("its tables"):
        assert bench.after(STUCK_SECONDS - 1, streams=False) == {}
        found = bench.after(2, streams=False)
    assert _stages(list(found)) == {"source"}
    assert "asked for its tables" in found[Stage.SOURCE]
    assert bench.after(1, streams=False) == {}
    assert bench.said == ["a stage is stuck", "a stage moves again"]


def test_a_source_that_does_not_answer_a_load_is_stuck() -> None:
    bench, stages = Bench(), LoadStages()
    with bench.stalls.loading(stages):
        with bench.stalls.questions.asking("the chunks of shop.orders"):
            assert bench.after(STUCK_SECONDS - 1, streams=False) == {}
            assert _stages(list(bench.after(2, streams=False))) == {"source"}
        assert bench.after(1000, streams=False) == {}
    assert bench.said == ["a stage is stuck", "a stage moves again"]


def test_a_source_that_answers_each_of_many_questions_is_not_stuck() -> None:
    bench = Bench()
    for _ in range(10):
        with bench.stalls.questions.asking("its tables"):
            assert bench.after(STUCK_SECONDS - 1, streams=False) == {}


def test_a_source_that_does_not_answer_stays_stuck_over_attempts_that_fail() -> None:
    bench = Bench()
    stuck: list[set[str]] = []
    for _ in range(4):
        with (
            contextlib.suppress(SourceConnectionError),
            bench.stalls.questions.asking("its tables"),
        ):
            stuck.append(_stages(list(bench.after(15, streams=False))))
            raise SourceConnectionError("it has not answered within 15 s")
        bench.stalls.failed(SourceConnectionError("it has not answered within 15 s"))
        bench.after(2, streams=False)
    assert stuck == [set(), {"source"}, {"source"}, {"source"}]
    assert bench.said == ["a stage is stuck"]


def test_a_stream_alone_says_what_stands_still() -> None:
    bench = Bench()
    with bench.stalls.questions.asking("its tables"):
        assert bench.after(10 * STUCK_SECONDS) == {}


def test_what_was_given_up_beside_a_stream_that_moves_is_no_silence_of_the_source() -> None:
    bench = Bench()
    with contextlib.suppress(SourceConnectionError), bench.stalls.questions.asking("its tables"):
        raise SourceConnectionError("cut")
    assert bench.after(10 * STUCK_SECONDS) == {}
    with bench.stalls.questions.asking("a connection"):
        assert bench.after(STUCK_SECONDS - 1, streams=False) == {}
        assert _stages(list(bench.after(2 + SIGN_SECONDS, streams=False))) == {"source"}


def test_a_process_that_was_frozen_does_not_blame_its_source() -> None:
    bench = Bench()
    with bench.stalls.questions.asking("its tables"):
        bench.after(1, streams=False)
        bench.clock.now += 600
        assert bench.after(STUCK_SECONDS - 2, streams=False) == {}


def test_a_reload_that_fails_beside_a_stream_does_not_make_the_next_one_stuck() -> None:
    bench, stages = Bench(), LoadStages()
    with bench.stalls.watching(bench.watched):
        with contextlib.suppress(SourceConnectionError), bench.stalls.loading(stages):
            raise SourceConnectionError("cut")
        bench.after(5)
    assert bench.after(1000, streams=False) == {}
    bench.waits()
    assert bench.after(STUCK_SECONDS - 1) == {}


def test_a_stream_that_begins_after_a_long_load_has_its_time() -> None:
    bench = Bench()
    bench.answers = False
    bench.after(3 * 3600, streams=False)
    assert bench.after(STUCK_SECONDS - 1) == {}
    assert bench.capture.cuts == []
