"""(pure) The events that begin a transaction and name it, in the three forms there are.

See: MySQL source, `control_events.cpp`, "Gtid_event", and `serialization/readme.md` for the form of
tagged ones; MariaDB source, `log_event.h`, "Gtid_log_event".
"""

from typing import Final

from connectors.mysql.binlog.cursor import Cursor
from connectors.mysql.binlog.events import GtidList, MariaGtidEvent, MysqlGtid, XaId, XaPrepare
from connectors.mysql.gtid import NUMBER_MAX, UUID_BYTES, Gtid, Tsid, check_tag
from connectors.mysql.maria_gtid import MariaGtid

_STATEMENTS: Final = 1
_LOGICAL_CLOCK: Final = 2
_HAS_FIRST_TIME: Final = 1 << 55

_STANDALONE: Final = 0x01
_GROUP_COMMIT: Final = 0x02
_TRANSACTIONAL: Final = 0x04
_DDL: Final = 0x20
_PREPARED: Final = 0x40
_COMPLETED: Final = 0x80

_XA_PART_MAX: Final = 64
_LIST_COUNT: Final = 0x0FFFFFFF


def parse_gtid(cursor: Cursor, *, anonymous: bool) -> MysqlGtid:
    """GTID and ANONYMOUS_GTID; later servers append fields, older ones leave them out."""
    statements = bool(cursor.u8() & _STATEMENTS)
    uuid = cursor.take(UUID_BYTES)
    number = cursor.u64()
    gtid = None if anonymous else _gtid(uuid, "", number)
    committed = first = size = 0
    if cursor.left >= 17 and cursor.u8() == _LOGICAL_CLOCK:
        cursor.skip(16)
        if cursor.left >= 7:
            committed = first = cursor.uint(7)
            if committed & _HAS_FIRST_TIME:
                committed ^= _HAS_FIRST_TIME
                first = cursor.uint(7)
            size = cursor.packed() if cursor.left else 0
    return MysqlGtid(gtid, statements, committed, first, size)


def parse_gtid_tagged(cursor: Cursor) -> MysqlGtid:
    """GTID_TAGGED: numbered fields in the servers' serialization format."""
    start = cursor.at
    if _variable(cursor) != _SERIALIZATION:
        raise ValueError("it is of an unknown serialization version")
    if _variable(cursor) != cursor.end - start:
        raise ValueError("it is not as long as it says")
    if _variable(cursor) > _TICKET:
        raise ValueError("it needs a field that is unknown")
    numbers, uuid, tag = _fields(cursor)
    if not uuid or _NUMBER not in numbers:
        raise ValueError("it has no identifier")
    committed = numbers.get(_COMMITTED, 0)
    return MysqlGtid(
        _gtid(uuid, tag.decode("ascii"), numbers[_NUMBER]),
        bool(numbers.get(_FLAGS, 0) & _STATEMENTS),
        committed,
        numbers.get(_FIRST_COMMITTED, committed),
        numbers.get(_SIZE, 0),
    )


_SERIALIZATION: Final = 1
_FLAGS: Final = 0
_UUID: Final = 1
_NUMBER: Final = 2
_TAG: Final = 3
_COMMITTED: Final = 6
_FIRST_COMMITTED: Final = 7
_SIZE: Final = 8
_TICKET: Final = 11
_SIGNED: Final = frozenset((_NUMBER, 4, 5))


def _fields(cursor: Cursor) -> tuple[dict[int, int], bytes, bytes]:
    """The numbers by field, the uuid, the tag. Fields come in the order of their numbers; behind
    the ones we know may stand others, whose form we cannot know, and which may be ignored."""
    numbers: dict[int, int] = {}
    uuid = tag = b""
    last = -1
    while cursor.left:
        field = _variable(cursor)
        if field > _TICKET:
            break
        if field <= last:
            raise ValueError("its fields are out of order")
        last = field
        if field == _UUID:
            uuid = bytes([_variable(cursor) for _ in range(UUID_BYTES)])
        elif field == _TAG:
            tag = cursor.take(_variable(cursor))
        else:
            value = _variable(cursor)
            numbers[field] = _signed(value) if field in _SIGNED else value
    return numbers, uuid, tag


def _variable(cursor: Cursor) -> int:
    """A number in 1 to 9 bytes: as many ones as bytes follow end its first byte."""
    first = cursor.u8()
    more = 0
    while more < 8 and first >> more & 1:
        more += 1
    if more == 8:
        return cursor.u64()
    return cursor.uint(more) << (7 - more) | first >> (more + 1)


def _signed(value: int) -> int:
    return -(value >> 1) - 1 if value & 1 else value >> 1


def _gtid(uuid: bytes, tag: str, number: int) -> Gtid:
    if not 1 <= number <= NUMBER_MAX:
        raise ValueError("its number is not one that servers give")
    return Gtid(Tsid(uuid, check_tag(tag)), number)


def parse_maria_gtid(cursor: Cursor, server_id: int) -> MariaGtidEvent:
    """MariaDB's GTID; the server that numbered it is the one in the event's header."""
    number, domain, flags = cursor.u64(), cursor.u32(), cursor.u8()
    if flags & _GROUP_COMMIT:
        cursor.skip(8)
    xid = _short_xid(cursor) if flags & (_PREPARED | _COMPLETED) else None
    return MariaGtidEvent(
        MariaGtid(domain, server_id, number),
        standalone=bool(flags & _STANDALONE),
        transactional=bool(flags & _TRANSACTIONAL),
        ddl=bool(flags & _DDL),
        prepared=bool(flags & _PREPARED),
        completed=bool(flags & _COMPLETED),
        xid=xid,
    )


def _short_xid(cursor: Cursor) -> XaId:
    form, transaction, branch = cursor.u32(), cursor.u8(), cursor.u8()
    return _xid(cursor, form, transaction, branch)


def _xid(cursor: Cursor, form: int, transaction: int, branch: int) -> XaId:
    if transaction > _XA_PART_MAX or branch > _XA_PART_MAX:
        raise ValueError("the name of its XA transaction is too long")
    return XaId(form, cursor.take(transaction), cursor.take(branch))


def parse_xa_prepare(cursor: Cursor) -> XaPrepare:
    one_phase = bool(cursor.u8())
    form, transaction, branch = cursor.u32(), cursor.u32(), cursor.u32()
    return XaPrepare(_xid(cursor, form, transaction, branch), one_phase)


def parse_gtid_list(cursor: Cursor) -> GtidList:
    count = cursor.u32() & _LIST_COUNT
    if count * 16 > cursor.left:
        raise ValueError("it ends too early")
    found = [(cursor.u32(), cursor.u32(), cursor.u64()) for _ in range(count)]
    return GtidList(tuple([MariaGtid(*gtid) for gtid in found]))
