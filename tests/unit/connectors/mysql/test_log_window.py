"""What a window of the log does to a table, from logs made by the format's description."""

import struct
from collections.abc import Sequence
from typing import Final

import pytest

from connectors.mysql.binlog import codes
from connectors.mysql.binlog import table_map as types
from connectors.mysql.binlog.columns import Form
from connectors.mysql.description import DescribedColumn, Description
from connectors.mysql.gtid import GtidSet
from connectors.mysql.log_prefix import seen_of, touched_keys
from connectors.mysql.log_window import ROWS_MAX, LogWindow
from connectors.mysql.position import LogPlace
from connectors.mysql.types import parse_type
from engine.model.relation import TableName
from engine.model.value import Key, Row
from tests.unit.connectors.mysql.binlog_bytes import (
    bits,
    event,
    format_description,
    query,
    rotate,
    rows,
    table_map,
)

A: Final = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
FILE: Final = "binlog.000002"
BEGIN_AT: Final = 1_000

COLUMNS: Final = (
    DescribedColumn("id", parse_type("int", None, None), nullable=False),
    DescribedColumn("n", parse_type("int", None, None), nullable=True),
)
DESCRIPTION: Final = Description(TableName("shop", "t"), COLUMNS, {"PRIMARY": ("id",)})
RELATION: Final = DESCRIPTION.relation(Form.NATIVE, "", zero_dates=False)

BOTH: Final = bits([True, True])
FIRST: Final = bits([True, False])
SECOND: Final = bits([False, True])


class Log:
    """A log that grows by transactions, which are numbered from 1."""

    def __init__(self) -> None:
        self.events = [rotate(FILE, BEGIN_AT), format_description()]
        self.end = BEGIN_AT
        self.ends: list[int] = []
        """Where each transaction ends."""

    def add(self, code: int, body: bytes = b"") -> None:
        self.end += 19 + len(body) + 4
        self.events.append(event(code, body, end=self.end))

    def begin(self, *, statement: bytes = b"BEGIN") -> None:
        number = len(self.ends) + 1
        sid = bytes.fromhex(A.replace("-", ""))
        self.add(codes.GTID, bytes([0]) + sid + struct.pack("<QB", number, 2) + bytes(16))
        self.add(codes.QUERY, query(statement))

    def commit(self) -> None:
        self.add(codes.XID, struct.pack("<Q", 9))
        self.ends.append(self.end)

    def alone(self, statement: bytes) -> None:
        self.begin(statement=statement)
        self.ends.append(self.end)

    def rows(self, code: int, *images: bytes, masks: Sequence[bytes], name: str = "t") -> None:
        self.add(codes.TABLE_MAP, table_map([types.LONG, types.LONG], name=name))
        self.add(code, rows(2, b"".join(images), *masks))

    def insert(self, key: int, n: int | None, *, name: str = "t") -> None:
        self.rows(codes.WRITE_ROWS, image(key, n), masks=[BOTH], name=name)

    def update(self, key: int, n: int, to: int, m: int) -> None:
        self.rows(codes.UPDATE_ROWS, image(key, n), image(to, m), masks=[BOTH, BOTH])

    def delete(self, key: int, n: int | None) -> None:
        self.rows(codes.DELETE_ROWS, image(key, n), masks=[BOTH])


def image(key: int, n: int | None) -> bytes:
    nulls = 0 if n is not None else 2
    return bytes([nulls]) + struct.pack("<i", key) + (b"" if n is None else struct.pack("<i", n))


def window(log: Log, *, done: str = "", until: int = 0) -> LogWindow:
    place = LogPlace(FILE, until or log.end)
    made = LogWindow(DESCRIPTION, RELATION, GtidSet.parse(done), place)
    made.feed(log.events)
    return made


def reached(made: LogWindow) -> bool:
    return made.reached


def shown(content: dict[int, int | None]) -> dict[Key, Row]:
    return {
        (b"%d" % key,): (b"%d" % key, None if n is None else b"%d" % n)
        for key, n in content.items()
    }


def seen(made: LogWindow, content: dict[int, int | None]) -> int | None:
    return seen_of(made.touching, RELATION, shown(content))


# --- the window -----------------------------------------------------------------------------------


def test_a_window_ends_at_its_place_and_leaves_what_is_behind() -> None:
    log = Log()
    for key in (1, 2, 3):
        log.begin()
        log.insert(key, 0)
        log.commit()
    made = window(log, until=log.ends[1])
    assert reached(made)
    assert touched_keys(made.touching, RELATION) == [(b"1",), (b"2",)]
    assert str(made.end) == f"gtid={A}:1-2;log={FILE}:{log.ends[1]}"
    assert [str(t.before.done) for t in made.touching] == ["", f"{A}:1"]


def test_a_window_is_open_until_its_end_has_come() -> None:
    log = Log()
    log.begin()
    log.insert(1, 0)
    made = window(log, until=log.end)
    assert not reached(made)  # inside of a transaction
    made = window(log, until=log.end + 1)
    made.feed([event(codes.HEARTBEAT, FILE.encode(), end=log.end + 1)])
    assert not reached(made)
    log.commit()
    made = window(log, until=log.end + 100)
    assert not reached(made)
    made.feed([event(codes.HEARTBEAT, FILE.encode(), end=log.end + 100)])
    assert reached(made)


def test_a_window_goes_on_in_the_next_file() -> None:
    log = Log()
    log.begin()
    log.insert(1, 0)
    log.commit()
    made = LogWindow(DESCRIPTION, RELATION, GtidSet(), LogPlace("binlog.000003", 4_800))
    made.feed([*log.events, rotate("binlog.000003", 4, end=5_000)])
    assert not reached(made)
    made.feed([rotate("binlog.000003", 4), format_description()])
    made.feed([event(codes.PREVIOUS_GTIDS, bytes(8), end=4_800)])
    assert reached(made)
    assert len(made.touching) == 1


def test_other_tables_and_what_was_passed_before_do_not_touch() -> None:
    log = Log()
    log.begin()
    log.insert(1, 0)
    log.commit()
    log.alone(b"ALTER TABLE t ADD x int")  # it was passed before
    log.begin()
    log.insert(1, 0, name="other")
    log.commit()
    made = window(log, done=f"{A}:1-2")
    assert reached(made)
    assert not made.obscure
    assert made.touching == []
    assert str(made.done) == f"{A}:1-3"


@pytest.mark.parametrize(
    ("statement", "hides"),
    [
        (b"ALTER TABLE t ADD x int", True), (b"TRUNCATE t", True), (b"XA COMMIT 'x'", True),
        (b"DROP TABLE other", True), (b"/* who */ XA COMMIT 'x'", True),
        (b"XA ROLLBACK 'x'", False),
    ],
)  # fmt: skip
def test_a_statement_that_may_change_the_table_hides_it(statement: bytes, hides: bool) -> None:
    log = Log()
    log.alone(statement)
    log.begin()
    log.insert(1, 0)
    log.commit()
    made = window(log)
    assert bool(made.obscure) is hides
    assert reached(made) is not hides


def test_a_rollback_in_the_log_hides() -> None:
    log = Log()
    log.begin()
    log.insert(1, 0)
    log.add(codes.QUERY, query(b"ROLLBACK TO `s`"))
    log.commit()
    assert window(log).obscure


def test_what_is_prepared_is_not_there_yet() -> None:
    log = Log()
    log.begin(statement=b"XA START X'78',X'',1")
    log.insert(1, 0)
    log.add(codes.QUERY, query(b"XA END X'78',X'',1"))
    log.add(codes.XA_PREPARE, struct.pack("<BIII", 0, 1, 1, 0) + b"x")
    log.ends.append(log.end)
    log.begin()
    log.insert(2, 0)
    log.commit()
    made = window(log)
    assert touched_keys(made.touching, RELATION) == [(b"2",)]
    assert str(made.done) == f"{A}:1-2"


def test_a_distributed_transaction_of_one_phase_hides() -> None:
    log = Log()
    log.begin(statement=b"XA START X'78',X'',1")
    log.insert(1, 0)
    log.add(codes.XA_PREPARE, struct.pack("<BIII", 1, 1, 1, 0) + b"x")
    assert window(log).obscure


def test_rows_of_another_shape_hide() -> None:
    log = Log()
    log.begin()
    log.add(codes.TABLE_MAP, table_map([types.LONG]))
    log.add(codes.WRITE_ROWS, rows(1, b"\0" + struct.pack("<i", 1)))
    log.commit()
    assert window(log).obscure


def test_more_rows_than_are_looked_at_hide() -> None:
    log = Log()
    log.begin()
    for key in range(ROWS_MAX + 1):
        log.insert(key, 0)
    log.commit()
    assert str(ROWS_MAX) in window(log).obscure


# --- what is seen of it ---------------------------------------------------------------------------


def touched() -> LogWindow:
    """Of {1: 10, 2: 20}: 1 becomes 11; 3 comes; 2 moves to 4 and 1 becomes 12; 3 goes."""
    log = Log()
    log.begin()
    log.update(1, 10, 1, 11)
    log.commit()
    log.begin()
    log.insert(3, None)
    log.commit()
    log.begin()
    log.update(2, 20, 4, 20)
    log.update(1, 11, 1, 12)
    log.commit()
    log.begin()
    log.delete(3, None)
    log.commit()
    return window(log)


@pytest.mark.parametrize(
    ("content", "count"),
    [
        ({1: 10, 2: 20}, 0), ({1: 11, 2: 20}, 1), ({1: 11, 2: 20, 3: None}, 2),
        ({1: 12, 4: 20, 3: None}, 3), ({1: 12, 4: 20}, 4),
        ({1: 12, 2: 20, 3: None}, None),  # half of the third
        ({1: 10, 2: 20, 3: None}, None),  # the second without the first
        ({1: 77, 2: 20}, None),  # by nobody of the window
        ({}, None),
    ],
)  # fmt: skip
def test_what_a_snapshot_has_of_the_keys_says_what_it_has_seen(
    content: dict[int, int | None], count: int | None
) -> None:
    assert seen(touched(), content) == count


def test_a_value_that_comes_back_is_taken_for_the_later_one() -> None:
    log = Log()
    for n, m in ((0, 1), (1, 0), (0, 0)):
        log.begin()
        log.update(1, n, 1, m)
        log.commit()
    made = window(log)
    assert seen(made, {1: 1}) == 1
    assert seen(made, {1: 0}) == 3  # the rows are the same as after none of them


def test_a_value_that_comes_back_beside_one_that_does_not_is_told_by_the_other() -> None:
    log = Log()
    log.begin()
    log.update(1, 0, 1, 1)
    log.commit()
    log.begin()
    log.update(1, 1, 1, 0)
    log.update(2, 5, 2, 6)
    log.commit()
    made = window(log)
    assert seen(made, {1: 0, 2: 6}) == 2
    assert seen(made, {1: 0, 2: 5}) == 0
    assert seen(made, {1: 1, 2: 5}) == 1


def test_nobody_sees_what_is_between_the_statements_of_a_transaction() -> None:
    log = Log()
    log.begin()
    log.update(1, 0, 1, 1)
    log.delete(1, 1)
    log.insert(1, 2)
    log.commit()
    made = window(log)
    assert seen(made, {1: 1}) is None
    assert seen(made, {}) is None
    assert seen(made, {1: 2}) == 1


def minimal(log: Log, key: int, n: int) -> None:
    old = b"\0" + struct.pack("<i", key)
    new = b"\0" + struct.pack("<i", n)
    log.begin()
    log.rows(codes.UPDATE_ROWS, old, new, masks=[FIRST, SECOND])
    log.commit()


def test_what_the_log_leaves_out_of_a_row_is_no_difference() -> None:
    """Under the row image MINIMAL an old row is its key alone."""
    log = Log()
    minimal(log, 1, 11)
    minimal(log, 1, 12)
    made = window(log)
    assert seen(made, {1: 10}) == 0
    assert seen(made, {1: 11}) == 1
    assert seen(made, {1: 12}) == 2
    assert seen(made, {}) is None
