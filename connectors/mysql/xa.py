"""(pure) Distributed transactions (XA) of the log.

A transaction that is prepared stands in the log as a group of events, and what becomes of it as
another one, later: a statement XA COMMIT or XA ROLLBACK with its name. Between the two may stand
anything that does not concern its tables: a server keeps a prepared transaction's locks, also when
its session is gone and when the server has been restarted, so no statement alters them in between.

Rows count where XA COMMIT stands. Until then those of small transactions are held here; the others'
groups are only known by their place, and read again from there.

See: MySQL manual, "XA Transaction SQL Statements" and "Restrictions on XA Transactions"; MariaDB
Knowledge Base, "XA Transactions"; the servers write names as `X'<hex>',X'<hex>',<format>`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from connectors.mysql.binlog.events import Event, Header, Query, RowsEvent, Statement, XaId
from connectors.mysql.position import AnyGtid, LogPlace
from engine.errors import DecodeError

KNOWN_MAX: Final = 10_000
"""Prepared transactions whose place is remembered, about 5 MB; an older one is looked for in the
log."""

SHARE: Final = 4
"""One transaction may hold this part of the memory for all: reading a large one again costs little
beside applying it."""

EVENT_BYTES: Final = 500
"""Memory of an event beside its bytes."""

_STATEMENT: Final = re.compile(
    r"XA (START|END|COMMIT|ROLLBACK) X'([0-9A-Fa-f]*)',X'([0-9A-Fa-f]*)',([0-9]{1,10})"
)


@dataclass(slots=True)
class XaGroup:
    """A distributed transaction's events in the log. `start`: where its GTID stands. `held`: its
    rows and statements; None when they are not held."""

    xid: XaId
    start: LogPlace
    gtid: AnyGtid | None
    held: list[Event] | None = field(default_factory=list[Event])
    size: int = 0


@dataclass(slots=True)
class Due:
    """A distributed transaction that was committed, and whose rows are not held. `group` None: it
    was prepared before the stream began, somewhere before `committed`."""

    xid: XaId
    committed: LogPlace
    group: XaGroup | None
    header: Header


def read_statement(sql: str) -> tuple[str, XaId]:
    """The verb and the name of an XA statement of the log. Raises DecodeError."""
    match = _STATEMENT.fullmatch(sql.strip())
    try:
        if match is None:
            raise ValueError("it is not of that form")
        verb, transaction, branch, form = match.groups()
        return verb, XaId(int(form), bytes.fromhex(transaction), bytes.fromhex(branch))
    except ValueError as error:
        raise DecodeError("an XA statement of the binary log was not understood") from error


def name_of(xid: XaId) -> str:
    """A name as XA COMMIT and XA ROLLBACK take it."""
    return f"X'{xid.transaction.hex()}',X'{xid.branch.hex()}',{xid.format_id}"


def holds_changes(event: Event) -> bool:
    """Whether an event of a group is of what the transaction does."""
    return isinstance(event, RowsEvent | Query | Statement)


class PreparedGroups:
    """The prepared transactions of one run of the log. `held_bytes_max`: memory for their rows."""

    def __init__(self, held_bytes_max: int) -> None:
        self._held_bytes_max = held_bytes_max
        self._groups: dict[XaId, XaGroup] = {}
        self._holding: dict[XaId, XaGroup] = {}
        self._size = 0

    def hold(self, group: XaGroup, event: Event) -> None:
        """Hold an event of a group that goes on, unless that becomes too large."""
        if group.held is None:
            return
        size = size_of(event)
        group.held.append(event)
        group.size += size
        self._size += size
        if group.size > self._held_bytes_max // SHARE:
            group.held = None
            self.settle(group)
        while self._size > self._held_bytes_max:
            # The oldest gives way: what has waited for long may wait for ever.
            oldest = self._holding.pop(next(iter(self._holding)))
            oldest.held = None
            self.settle(oldest)

    def keep(self, group: XaGroup) -> None:
        """Its transaction is prepared."""
        self.take(group.xid)
        self._groups[group.xid] = group
        if group.held is not None:
            self._holding[group.xid] = group
        if len(self._groups) > KNOWN_MAX:
            self.take(next(iter(self._groups)))

    def learn(self, groups: Iterable[XaGroup]) -> None:
        """Groups that stand further back in the log than all that came by."""
        for group in groups:
            if group.xid not in self._groups and len(self._groups) < KNOWN_MAX:
                self._groups[group.xid] = group

    def take(self, xid: XaId) -> XaGroup | None:
        """Its transaction has ended; None when it is not known."""
        group = self._groups.pop(xid, None)
        if group is not None:
            self._holding.pop(xid, None)
            self.settle(group)
        return group

    def settle(self, group: XaGroup) -> None:
        """What a group holds counts here no more."""
        self._size -= group.size
        group.size = 0


def size_of(event: Event) -> int:
    """About the memory that an event of a group takes, in bytes."""
    if isinstance(event, RowsEvent):
        return EVENT_BYTES + len(event.data)
    return EVENT_BYTES + (len(event.sql) if isinstance(event, Query) else 0)
