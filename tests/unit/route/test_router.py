"""Routing keeps order, ordinals and bytes, and closes every transaction."""

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.apply.checkpoint import Checkpoint
from engine.apply.lane import Lane
from engine.checkpoint.frontier import Frontier
from engine.model.change import INSERT, Block, Change, Event, Part, Transaction, Truncate
from engine.model.position import LogPosition
from engine.model.relation import Column, ColumnType, Relation, TableName
from engine.model.segment import apart
from engine.route.router import Router

RELATIONS = [
    Relation(n, "public", f"t{n}", (Column("id", ColumnType("bytes")),), key=(0,)) for n in range(4)
]
SELECTED = RELATIONS[:3]


def lanes(start: LogPosition) -> dict[TableName, Lane]:
    return {
        r.table: Lane(r.name, {r.table: Checkpoint(r.name, 1, 0, str(start), start)})
        for r in SELECTED
    }


def insert(relation: Relation, number: int) -> Change:
    return Change(INSERT, relation, (b"%d" % number,), None)


def drained(lane: Lane) -> list[tuple[Event, int]]:
    found: list[tuple[Event, int]] = []
    while (batch := lane.take(1000, 1 << 30)) is not None:
        for segment in apart(batch.segments):
            found += zip(segment.events, segment.ordinals, strict=True)
    return found


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(st.lists(st.integers(0, 4), max_size=6), min_size=1, max_size=3), max_size=6),
    st.integers(0, 6),
    st.integers(0, 8),
    st.sets(st.integers(0, 17)),
)
def test_every_selected_event_reaches_its_lane_once_in_order_with_its_ordinal(
    transactions: list[list[list[int]]], covered: int, within: int, cuts: set[int]
) -> None:
    """Whatever parts a block holds: one, or a stretch of transactions with pieces at its ends."""
    start = LogPosition(covered * 10, within)
    frontier = Frontier(LogPosition(0))
    by_table = lanes(start)
    released = 0

    def release(size: int) -> None:
        nonlocal released
        released += size

    router = Router(by_table.get, frontier, release)
    expected: dict[TableName, list[tuple[str, int]]] = {r.table: [] for r in SELECTED}
    total = 0
    waiting: list[Part] = []
    for number, parts in enumerate(transactions, 1):
        transaction = Transaction(number * 10)
        ordinal = 0
        for index, kinds in enumerate(parts):
            events: list[Event] = []
            first = ordinal + 1
            for kind in kinds:
                ordinal += 1
                if kind == 4:
                    events.append(Truncate((RELATIONS[0], RELATIONS[1])))
                    touched = RELATIONS[:2]
                else:
                    events.append(insert(RELATIONS[kind], ordinal))
                    touched = RELATIONS[kind : kind + 1]
                for relation in touched:
                    if relation in SELECTED and not start.covers(number * 10, ordinal):
                        word = "truncate" if kind == 4 else "insert"
                        expected[relation.table].append((word, ordinal))
            end = LogPosition(number * 10 + 5) if index == len(parts) - 1 else None
            waiting.append(Part(transaction, first, events, end))
            if number * 3 + index in cuts:
                total += 100
                router.route(Block(waiting, 100))
                waiting = []
    total += 100
    router.route(Block(waiting, 100))
    held = sum(lane.size for lane in by_table.values())
    assert released + held == total
    for table, lane in by_table.items():
        found = [
            ("truncate" if isinstance(event, Truncate) else "insert", ordinal)
            for event, ordinal in drained(lane)
        ]
        assert found == expected[table]


def test_frontier_waits_for_every_lane_and_the_end() -> None:
    frontier = Frontier(LogPosition(0))
    by_table = lanes(LogPosition(0))
    router = Router(by_table.get, frontier, lambda _: None)
    transaction = Transaction(10)
    first = [insert(RELATIONS[0], 1), insert(RELATIONS[1], 2)]
    router.route(Block([Part(transaction, 1, list(first))], 10))
    batches = [lane.take(10, 1000) for lane in by_table.values()]
    for batch in batches:
        for segment in batch.segments if batch is not None else ():
            frontier.done(segment.mark)
    assert frontier.position == LogPosition(0)
    router.route(Block([Part(transaction, 3, [], LogPosition(15))], 0))
    assert frontier.position == LogPosition(15)


def test_a_lane_that_never_cuts_is_told_of_an_end_that_came_alone() -> None:
    frontier = Frontier(LogPosition(0))
    table = RELATIONS[0].table
    whole = Lane("*", {table: Checkpoint("*", 1, 0, "0/0")})
    router = Router({table: whole}.get, frontier, lambda _: None)
    router.whole = whole
    transaction = Transaction(10)
    router.route(Block([Part(transaction, 1, [insert(RELATIONS[0], 1)])], 10))
    batch = whole.take(10, 1000, whole=True)
    assert batch is not None
    assert not batch.ends_transaction
    router.route(Block([Part(transaction, 2, [], LogPosition(15))], 0))
    last = whole.take(10, 1000, whole=True)
    assert last is not None
    assert last.ends_transaction
    assert last.position == LogPosition(15)
    assert last.events == []


def test_a_truncate_that_cascaded_on_the_source_does_not_cascade_on_the_target() -> None:
    start = LogPosition(0)
    by_table = lanes(start)
    router = Router(by_table.get, Frontier(start), lambda _size: None)
    truncate = Truncate((SELECTED[0], SELECTED[1]), cascade=True, restart_identity=True)
    router.route(Block([Part(Transaction(10), 1, [truncate], LogPosition(15))], 10))
    for relation in SELECTED[:2]:
        ((event, _),) = drained(by_table[relation.table])
        assert event == Truncate((relation,), restart_identity=True)
