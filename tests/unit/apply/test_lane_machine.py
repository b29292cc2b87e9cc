"""Routing, lanes and batches as a machine, beside plain lists of what each lane must be given.

Blocks of any cut go in, through memory and disk, batches of any size come out: nothing is lost,
repeated or out of order, every byte is accounted for, and the frontier never passes what is not
durable.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from engine.apply.checkpoint import Checkpoint
from engine.apply.lane import Lane, LaneBatch
from engine.checkpoint.frontier import Frontier
from engine.model.change import (
    INSERT,
    Block,
    Change,
    Event,
    Part,
    SchemaChanged,
    Transaction,
    Truncate,
)
from engine.model.position import LogPosition
from engine.model.relation import Column, ColumnType, Relation
from engine.model.segment import Segment
from engine.route.router import LONG_EVENTS, Router
from engine.spool import Spool, SpoolBudget
from tests.simulation.seams import SimulatedDisk

RELATIONS = [
    Relation(n, "public", f"t{n}", (Column("a", ColumnType("x")),), key=(0,)) for n in range(4)
]
SELECTED = RELATIONS[:3]

KINDS = st.sampled_from([0, 0, 0, 1, 1, 2, 3, "truncate", "schema"])
LONG = st.sampled_from([0, 1, 2]).map(lambda kind: [kind] * (LONG_EVENTS + 1))
EVENTS = st.lists(KINDS, min_size=2, max_size=8) | st.lists(KINDS, max_size=2) | LONG
PART = st.tuples(EVENTS, st.booleans())
PARTS = st.lists(PART, min_size=2, max_size=5) | st.lists(PART, min_size=1, max_size=1)
LANES = st.integers(0, 1 << 20)


@dataclass
class Due:
    """An event on its way: `at` is its transaction and ordinal."""

    event: Event
    at: tuple[int, int]


@dataclass
class Given:
    """What a lane was given and is not yet durable."""

    batch: LaneBatch
    due: list[Due] = field(default_factory=list[Due])


class Lanes(RuleBasedStateMachine):
    @initialize(whole=st.booleans())
    def begin(self, whole: bool) -> None:
        self.whole = whole
        names = ["*"] if whole else [relation.name for relation in SELECTED]
        self.lanes = [self._lane(name) for name in names]
        self.of = {r.table: self.lanes[0 if whole else n] for n, r in enumerate(SELECTED)}
        self.frontier = Frontier(LogPosition(0))
        self.released = self.total = 0
        self.router = Router(self.of.get, self.frontier, self._release)
        self.router.whole = self.lanes[0] if whole else None
        self.due: list[list[Due]] = [[] for _ in self.lanes]
        self.given: list[list[Given]] = [[] for _ in self.lanes]
        self.disks = 0
        self.open: Part | None = None
        self.offset = self.number = 0
        self.end = LogPosition(0)

    def _lane(self, name: str) -> Lane:
        checkpoint = Checkpoint(name, 1, 0, "0/0")
        tables = SELECTED if name == "*" else [r for r in SELECTED if r.name == name]
        return Lane(name, {relation.table: checkpoint for relation in tables})

    def _release(self, size: int) -> None:
        self.released += size

    # --- in ---------------------------------------------------------------------------------------

    @precondition(lambda self: sum(map(len, self.due)) < 100)
    @rule(parts=PARTS, size=st.integers(0, 5000), idle=st.booleans())
    def route(self, parts: list[tuple[list[object], bool]], size: int, idle: bool) -> None:
        """Parts of transactions, each with whether it is the last of its own; only the last part of
        a block may be left open."""
        made: list[Part] = []
        for number, (kinds, ends) in enumerate(parts):
            made.append(self._part(kinds, ends=ends or number < len(parts) - 1))
        position = self._step() if idle and self.open is None else None
        self.total += size
        self.router.route(Block(made, size, position))
        if position is not None:
            self.end = position

    def _part(self, kinds: Sequence[object], *, ends: bool) -> Part:
        before = self.open
        transaction = Transaction(self._step().offset) if before is None else before.transaction
        first = 1 if before is None else before.first + _counted(before.events)
        part = Part(transaction, first)
        assert isinstance(transaction.coordinate, int)
        ordinal = first - 1
        for kind in kinds:
            event, lanes = self._event(kind)
            ordinal += not isinstance(event, SchemaChanged)
            part.events.append(event)
            for lane, seen in lanes:
                self.due[lane].append(Due(seen, (transaction.coordinate, ordinal)))
        self.open = None if ends else Part(part.transaction, part.first, list(part.events))
        if ends:
            part.end = self.end = self._step()
        return part

    def _event(self, kind: object) -> tuple[Event, list[tuple[int, Event]]]:
        self.number += 1
        if kind == "truncate":
            event: Event = Truncate((RELATIONS[0], RELATIONS[1], RELATIONS[3]))
            lanes = dict.fromkeys(self._at(relation) for relation in RELATIONS[:2])
            shares = [RELATIONS[:2]] if self.whole else [RELATIONS[:1], RELATIONS[1:2]]
            return event, [
                (lane, Truncate(tuple(share))) for lane, share in zip(lanes, shares, strict=True)
            ]
        if kind == "schema":
            event = SchemaChanged(RELATIONS[2].table, RELATIONS[2], RELATIONS[2], exact=True)
            return event, [(self._at(RELATIONS[2]), event)]
        assert isinstance(kind, int)
        event = Change(INSERT, RELATIONS[kind], (b"%d" % self.number,), None)
        return event, [(self._at(RELATIONS[kind]), event)] if kind < 3 else []

    def _at(self, relation: Relation) -> int:
        return self.lanes.index(self.of[relation.table])

    def _step(self) -> LogPosition:
        self.offset += 10
        return LogPosition(self.offset)

    # --- out --------------------------------------------------------------------------------------

    @precondition(lambda self: sum(map(len, self.due)) > 20)
    @rule(which=LANES, rows_max=st.sampled_from([1, 8, 60]), size_max=st.integers(1, 9000))
    def take(self, which: int, rows_max: int, size_max: int) -> None:
        full = [at for at, lane in enumerate(self.lanes) if lane.waiting]
        at = full[which % len(full)] if full else which % len(self.lanes)
        self._take(at, rows_max, size_max)

    def _take(self, at: int, rows_max: int, size_max: int) -> None:
        lane = self.lanes[at]
        batch = lane.take(rows_max, size_max, whole=self.whole)
        if batch is None:
            assert not lane.waiting
            assert not self.due[at]
            return
        self._release(batch.size)
        count = len(batch.events)
        given, self.due[at] = self.due[at][:count], self.due[at][count:]
        assert batch.events == [due.event for due in given]
        assert [at for segment in batch.segments for at in _places(segment)] == [
            due.at for due in given
        ]
        if self.whole and not batch.ends_transaction:
            assert len({due.at[0] for due in given}) <= 1
        if given:
            assert batch.position.covers(*given[-1].at)
        rows = [due for due in self.due[at] if not isinstance(due.event, SchemaChanged)]
        assert not rows or not batch.position.covers(*rows[0].at)
        self.given[at].append(Given(batch, given))

    @precondition(lambda self: any(self.given))
    @rule(which=LANES, apart=st.booleans())
    def durable(self, which: int, apart: bool) -> None:
        """The oldest batch of a lane; `apart`: it was tried transaction by transaction."""
        at_work = [at for at, given in enumerate(self.given) if given]
        self._durable(at_work[which % len(at_work)], apart=apart)

    def _durable(self, at: int, *, apart: bool) -> None:
        batch = self.given[at].pop(0).batch
        if apart:
            size, events = sum(segment.size for segment in batch.segments), batch.events
            batch.take_apart()
            assert sum(segment.size for segment in batch.segments) == size
            assert [event for segment in batch.segments for event in segment.events] == events
        for segment in batch.segments:
            self.frontier.done(segment.mark)

    @precondition(lambda self: any(len(lane.segments) > 2 for lane in self.lanes))
    @rule(which=LANES, kept=st.integers(0, 3000), room=st.sampled_from([500, 2000, 1 << 20]))
    def spill(self, which: int, kept: int, room: int) -> None:
        """To a disk that may be too small for all."""
        lane = self.lanes[which % len(self.lanes)]
        if lane.spool is not None:
            return
        self.disks += 1
        spool = Spool(str(self.disks), SimulatedDisk(), SpoolBudget(room), bytes(32))
        before = lane.size
        freed = lane.spill(spool, kept)
        assert lane.size == before - freed
        self._release(freed)

    @precondition(lambda self: self.open is None and self.number > 100)
    @rule()
    def drain(self) -> None:
        """With everything durable the frontier stands at the end of all."""
        for at in range(len(self.lanes)):
            while self.lanes[at].waiting:
                self._take(at, 1000, 1 << 20)
            while self.given[at]:
                self._durable(at, apart=False)
        assert self.frontier.position == self.end
        assert self.released == self.total

    # --- always -----------------------------------------------------------------------------------

    @invariant()
    def every_byte_is_accounted_for(self) -> None:
        held = sum(lane.size for lane in self.lanes)
        assert self.released + held == self.total
        assert all(lane.size >= 0 for lane in self.lanes)

    @invariant()
    def the_frontier_passes_nothing_that_is_not_durable(self) -> None:
        for at in range(len(self.lanes)):
            waiting = [due for given in self.given[at] for due in given.due] + self.due[at]
            for due in waiting:
                if not isinstance(due.event, SchemaChanged):
                    assert not self.frontier.position.covers(*due.at)


def _places(segment: Segment) -> list[tuple[object, int]]:
    """Transaction and ordinal of each event."""
    several = len(segment.members) > 1
    transactions = (
        [segment.members[number][0] for number in segment.numbers]
        if several
        else [segment.transaction] * len(segment.events)
    )
    return [
        (transaction.coordinate, ordinal)
        for transaction, ordinal in zip(transactions, segment.ordinals, strict=True)
    ]


def _counted(events: Sequence[Event]) -> int:
    return sum(not isinstance(event, SchemaChanged) for event in events)


Lanes.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestLanes = Lanes.TestCase
