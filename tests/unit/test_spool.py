"""What goes to disk comes back as it was, or not at all."""

import pytest

from engine.errors import StateError
from engine.model.change import (
    DELETE,
    INSERT,
    UPDATE,
    Change,
    Event,
    SchemaChanged,
    SchemaStep,
    Transaction,
    Truncate,
)
from engine.model.position import LogPosition
from engine.model.relation import Relation, TableName
from engine.model.segment import Mark
from engine.model.table import TypeDefinition
from engine.model.value import UNCHANGED
from engine.spool import Spool, SpoolBudget, SpoolFullError, SpoolRoom
from tests.simulation.seams import SimulatedDisk

A, B = Relation(1, "public", "a", ()), Relation(2, "public", "b", ())
KEY = bytes(range(32))
MOOD = TypeDefinition(TableName("public", "mood"), "enum", "CREATE TYPE mood AS ENUM ('ok')")
TYPED = SchemaStep("add-column", "d", type="mood", default="'ok'", types=(MOOD,))


def row(text: bytes) -> Change:
    return Change(INSERT, A, (text,), None)


def spool(disk: SimulatedDisk | None = None, bytes_max: int = 1 << 20) -> Spool:
    return Spool("s", disk or SimulatedDisk(), SpoolBudget(bytes_max), KEY)


def test_events_of_every_kind_come_back_equal_and_in_order() -> None:
    events: list[Event] = [
        Change(INSERT, A, (b"1", None), None),
        Change(UPDATE, B, (b"1", UNCHANGED), (b"0", UNCHANGED)),
        Truncate((A, B), cascade=True),
        SchemaChanged(
            A.table, A, B, exact=True, steps=(SchemaStep("add-column", "c", type="text"), TYPED)
        ),
        SchemaChanged(A.table, A, None, exact=True),
        Change(DELETE, A, None, (b"1", UNCHANGED)),
    ]
    transaction = Transaction(7, 3, 2, 1)
    waiting = spool()
    end = LogPosition(9, 0)
    waiting.put(transaction, events, [1, 2, 3, 3, 3, 4], end)
    back = waiting.peek()
    assert (back.events, back.ordinals, back.end) == (events, [1, 2, 3, 3, 3, 4], end)
    assert back.transaction == transaction
    assert back.events[0].relation is A  # type: ignore[union-attr]
    assert back.events[1].new[1] is UNCHANGED  # type: ignore[union-attr, index]


def test_the_oldest_comes_first_and_stays_until_it_is_dropped() -> None:
    waiting = spool()
    for text in (b"1", b"2"):
        waiting.put(Transaction(1), [row(text)], [1])
    assert waiting.peek().events == waiting.peek().events == [row(b"1")]
    waiting.drop()
    assert waiting.peek().events == [row(b"2")]
    assert len(waiting) == 1


def test_values_are_not_readable_in_the_file() -> None:
    disk = SimulatedDisk()
    waiting = spool(disk)
    waiting.put(Transaction(1), [row(b"a secret that nobody may read")], [1])
    (name,) = disk.names()
    assert b"secret" not in disk.read(name, 0, waiting.bytes)


def test_a_damaged_file_is_not_believed() -> None:
    disk = SimulatedDisk()
    waiting = spool(disk)
    waiting.put(Transaction(1), [row(b"1")], [1])
    (name,) = disk.names()
    content = disk.read(name, 0, waiting.bytes)
    disk.remove(name)
    disk.append(name, content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(StateError):
        waiting.peek()


def test_records_cannot_change_places() -> None:
    disk = SimulatedDisk()
    waiting = spool(disk)
    waiting.put(Transaction(1), [row(b"1")], [1])
    half = waiting.bytes
    waiting.put(Transaction(1), [row(b"2")], [2])
    (name,) = disk.names()
    content = disk.read(name, 0, waiting.bytes)
    disk.remove(name)
    disk.append(name, content[half:] + content[:half])
    with pytest.raises(StateError):
        waiting.peek()


def test_without_room_nothing_is_written() -> None:
    disk = SimulatedDisk()
    waiting = spool(disk, bytes_max=100)
    waiting.put(Transaction(1), [row(b"1")], [1])
    used = waiting.bytes
    with pytest.raises(SpoolFullError):
        waiting.put(Transaction(1), [row(bytes(100))], [1])
    assert (len(waiting), waiting.bytes) == (1, used)


def test_all_spools_of_a_room_share_its_budget_and_give_it_back_when_empty() -> None:
    disk = SimulatedDisk()
    room = SpoolRoom(disk, 100, KEY)
    first, second = room.spool(), room.spool()
    first.put(Transaction(1), [row(bytes(20))], [1])
    with pytest.raises(SpoolFullError):
        second.put(Transaction(1), [row(bytes(20))], [1])
    first.drop()
    assert list(disk.names()) == []
    second.put(Transaction(1), [row(bytes(20))], [1])


def test_a_room_grows_and_never_shrinks() -> None:
    """A full one makes a stopped table lose what waits for it, which a smaller size must not."""
    room = SpoolRoom(SimulatedDisk(), 800, KEY)
    waiting = room.spool()
    waiting.put(Transaction(7, 3, 2, 1), [row(b"x" * 100)], [1])
    room.resize(50)
    waiting.put(Transaction(7, 3, 2, 1), [row(b"y")], [2])
    with pytest.raises(SpoolFullError):
        waiting.put(Transaction(7, 3, 2, 1), [row(b"z" * 1000)], [3])
    room.resize(1 << 20)
    waiting.put(Transaction(7, 3, 2, 1), [row(b"z" * 1000)], [3])
    assert len(waiting) == 3


def test_an_emptied_spool_never_seals_with_a_nonce_again() -> None:
    disk = SimulatedDisk()
    waiting = spool(disk)
    sealed = []
    for _ in range(2):
        waiting.put(Transaction(1), [row(b"same")], [1])
        (name,) = disk.names()
        sealed.append(disk.read(name, 0, waiting.bytes))
        waiting.drop()
    assert sealed[0] != sealed[1]


def test_two_spools_of_a_room_do_not_share_a_key() -> None:
    disk = SimulatedDisk()
    room = SpoolRoom(disk, 1 << 20, KEY)
    for _ in range(2):
        room.spool().put(Transaction(1), [row(b"same")], [1])
    one, other = (disk.read(name, 0, 30) for name in sorted(disk.names()))
    assert one != other


def test_what_a_predecessor_left_is_swept_and_nothing_else() -> None:
    disk = SimulatedDisk()
    disk.append("spool-000001", b"x")
    disk.append("other", b"x")
    SpoolRoom(disk, 100, KEY).sweep()
    assert list(disk.names()) == ["other"]


def test_what_is_kept_in_memory_does_not_grow_with_what_is_on_disk() -> None:
    waiting = spool(SimulatedDisk(1 << 24), bytes_max=1 << 24)
    marks = [Mark(pending=1) for _ in range(20_000)]
    for number, mark in enumerate(marks, 1):
        waiting.put(Transaction(number), [row(b"%d" % number)], [1], mark=mark)
    assert waiting.stretches < 500
    assert sum(mark.pending for mark in marks) == len(marks)


def test_a_mark_is_held_until_all_behind_it_that_it_counts_is_done() -> None:
    """What it counts comes after it in the log, so nothing is passed too early."""
    waiting = spool()
    marks = [Mark(pending=1) for _ in range(300)]
    for number, mark in enumerate(marks, 1):
        waiting.put(Transaction(number), [row(b"1")], [1], mark=mark)
    done = 0
    while len(waiting):
        spooled = waiting.peek()
        waiting.drop()
        done += 1
        assert marks.index(spooled.mark) < done
        spooled.mark.pending -= 1
        assert not any(mark.pending < 0 for mark in marks)
        assert any(mark.pending for mark in marks[:done]) or all(
            m.pending == 0 for m in marks[:done]
        )
    assert not any(mark.pending for mark in marks)
