"""The frontier as a machine: transactions begin in order and finish in any, beside a naive list."""

from dataclasses import dataclass

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.checkpoint import frontier
from engine.checkpoint.frontier import Frontier
from engine.model.position import LogPosition
from engine.model.segment import Mark

KEPT = 4
"""Marks from which neighbours are joined here, so that it happens all the time."""


@dataclass
class Entry:
    """A transaction, or an idle position (`mark` None)."""

    mark: Mark | None
    end: LogPosition | None = None
    pieces: int = 0
    committed_at_us: int = 0

    @property
    def finished(self) -> bool:
        return self.end is not None and not self.pieces


class Frontiers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(frontier, "MARKS_KEPT", KEPT)
        self.frontier = Frontier(LogPosition(1))
        self.entries: list[Entry] = []
        self.offset = 1
        self.before = LogPosition(1)
        self.most = 0

    def teardown(self) -> None:
        self.patch.undo()

    @property
    def newest_open(self) -> Entry | None:
        newest = self.entries[-1] if self.entries else None
        return newest if newest is not None and newest.end is None else None

    def _step(self) -> LogPosition:
        self.offset += 10
        return LogPosition(self.offset)

    @precondition(lambda self: self.newest_open is None)
    @rule(committed_at_us=st.integers(1, 1000))
    def begin(self, committed_at_us: int) -> None:
        mark = self.frontier.begin(committed_at_us)
        self.entries.append(Entry(mark, committed_at_us=committed_at_us))

    @precondition(lambda self: self.newest_open is not None)
    @rule(count=st.integers(1, 3))
    def hand(self, count: int) -> None:
        entry = self.newest_open
        assert entry is not None
        assert entry.mark is not None
        entry.mark.pending += count
        entry.pieces += count

    @precondition(lambda self: self.newest_open is not None)
    @rule()
    def finish(self) -> None:
        entry = self.newest_open
        assert entry is not None
        assert entry.mark is not None
        entry.end = self._step()
        self.frontier.finish(entry.mark, entry.end)

    @precondition(lambda self: self.newest_open is None)
    @rule()
    def idle(self) -> None:
        end = self._step()
        self.entries.append(Entry(None, end))
        self.frontier.idle(end)

    @precondition(lambda self: any(entry.pieces for entry in self.entries))
    @rule(which=st.integers(0, 1 << 30), newest=st.booleans())
    def done(self, which: int, newest: bool) -> None:
        """A piece of any transaction is durable; of the newest more often than chance has it."""
        waiting = [entry for entry in self.entries if entry.pieces]
        entry = waiting[-1] if newest else waiting[which % len(waiting)]
        assert entry.mark is not None
        entry.pieces -= 1
        self.frontier.done(entry.mark)

    @invariant()
    def it_is_the_end_of_the_finished_prefix(self) -> None:
        expected = LogPosition(1)
        unfinished = None
        for entry in self.entries:
            if not entry.finished:
                unfinished = entry
                break
            assert entry.end is not None
            expected = entry.end
        assert self.frontier.position == expected
        assert expected.reaches(self.before), "it went back"
        self.before = expected
        oldest = 0 if unfinished is None else unfinished.committed_at_us
        assert self.frontier.oldest_us == oldest

    @invariant()
    def it_holds_no_more_marks_than_the_unfinished_need(self) -> None:
        unfinished = sum(not entry.finished for entry in self.entries)
        self.most = max(self.most, unfinished)
        assert self.frontier.open_transactions <= max(KEPT, 4 * self.most + 2)


Frontiers.TestCase.settings = settings(max_examples=80, stateful_step_count=50, deadline=None)
TestFrontiers = Frontiers.TestCase
