"""(pure) Decoder of the pgoutput plugin's messages, protocol version 1.

The only state is the relation cache and the transaction that is open. Bytes go in as the server
sent them, parts of transactions come out. A table's description on the wire lacks nullability, type
definitions and, under REPLICA IDENTITY FULL, the key: `feed` therefore stops before a Relation
message and says what it needs in `wanted`; the caller looks it up and calls `define`. The same for
a message of our event triggers that describes a table: what it says is exact, and the Relation
message that follows it tells nothing new.

See: PostgreSQL manual, Logical Replication Message Formats.
"""

import struct
from collections.abc import Callable, Sequence
from hmac import compare_digest
from typing import Final, NoReturn

from connectors.postgres.ddl_capture_message import (
    DropTold,
    EmptiedTold,
    PartitionTold,
    RewriteTold,
    TableTold,
    parse,
)
from connectors.postgres.lsn import EPOCH_OFFSET_US, lsn_text, widen_xid
from connectors.postgres.relation_message import RelationMessage, parse_relation
from connectors.postgres.relation_versions import RelationVersions
from connectors.postgres.rowcode import Action, actions, read_rows
from engine.errors import DecodeError
from engine.model.change import Part, SchemaChanged, SchemaStep, Transaction, Truncate
from engine.model.position import LogPosition
from engine.model.relation import Relation, TableName

MESSAGE_PREFIX: Final = b"penstock"
"""Prefix of the logical messages that may be ours; others belong to somebody else."""

_BEGIN: Final = "cQqI"
_COMMIT: Final = "cBQQq"
_TRUNCATE: Final = struct.Struct(">cIB")
_MESSAGE: Final = struct.Struct(">cBQ")
_ORIGIN_NAME: Final = 9
"""Where an origin's name begins, behind the letter and a position on the origin."""
_CASCADE: Final = 1
_RESTART_IDENTITY: Final = 2
_TRANSACTIONAL: Final = 1


class PgOutputDecoder:
    """Turns messages into parts of transactions.

    `start` is where a message begins in each buffer, so that buffers need not be cut. `known` holds
    the last version of each relation by OID, may be kept from one stream to the next and is
    updated; `name_of` gives the name of a table that is read and not yet known. `xid` is a recent
    64-bit transaction id. `token` is what the event triggers' messages begin with: any role may
    write messages, and one without it is passed over; None: all are. Rows of transactions whose
    origin's name begins with `left_out` are dropped (with "": all that have an origin; None: none).
    """

    def __init__(
        self,
        known: dict[int, Relation],
        *,
        name_of: Callable[[int], TableName | None] = lambda _: None,
        start: int = 0,
        xid: int = 0,
        token: bytes | None = None,
        left_out: str | None = None,
    ) -> None:
        self.wanted: RelationMessage | None = None
        self.passed = 0
        """End LSN of the last transaction that held nothing for us, or 0."""
        self.committed_at_us = 0
        """Commit time of the newest transaction, on the server's clock; 0 before the first."""
        self.forged = 0
        """Messages under our prefix that did not begin with the token."""
        self._left_out = left_out
        self._leaving = False
        """The open transaction's rows are dropped."""
        self._seen: dict[int, Relation] = {}
        self._start = start
        self._unpack_begin = struct.Struct(f">{start}x{_BEGIN}").unpack
        self._unpack_commit = struct.Struct(f">{start}x{_COMMIT}").unpack
        self._xid = xid
        self._token = token
        self._versions = RelationVersions(known, name_of)
        self._told: TableTold | None = None
        self._actions: dict[bytes, Action] = {}
        self._parts: list[Part] = []
        self._part: Part | None = None
        self._uncounted = 0
        self._cut = False
        """Whether a part of the open transaction was taken: then its end must be told."""
        self._messages: dict[bytes, Callable[[bytes], None]] = {
            b"R": self._relation,
            b"T": self._truncate,
            b"M": self._message,
            b"O": self._origin,
            b"Y": self._ignore,
            b"A": self._stray_abort,
        }

    @property
    def xid(self) -> int:
        """The 64-bit id of the transaction that is open, or was last."""
        return self._xid

    @property
    def open(self) -> bool:
        """Whether a transaction has begun and not ended."""
        return self._part is not None

    def feed(self, messages: list[bytes], first: int = 0) -> int:
        """Decode `messages[first:]` and return how far it came.

        Less than their number means that the message there is a Relation message: see `wanted`,
        call `define`, go on behind it.

        Raises:
            DecodeError: a message was not understood. Nothing that was not taken before may be
                used any more.
        """
        index, size = first, len(messages)
        while index < size:
            if self._part is not None:
                events = self._part.events
                index = read_rows(messages, index, self._start, self._actions, events)
                if index == size:
                    break
            self._control(messages[index])
            if self.wanted is not None:
                return index
            index += 1
        return size

    def define(self, relation: Relation, added: Sequence[SchemaStep] = ()) -> None:
        """Answer `wanted` with the relation it describes; equal content keeps the older object.
        `added`: facts about columns that may be new; of a table that a trigger told of, only what
        their types need."""
        assert self.wanted is not None
        told, self._told = self._told, None
        oid, self.wanted = self.wanted.oid, None
        part = self._opened("Relation")
        if told is not None:
            self._tell(part, self._versions.told(told, relation, added))
            return
        after, events = self._versions.described(oid, relation, added)
        if self._seen.get(oid) is not after:
            self._tell(part, events)
            self._seen[oid] = after
            self._actions.update(actions(after, oid, self._start))

    def take(self) -> list[Part]:
        """The parts decoded since the last call. An open transaction goes on in a new part."""
        parts, self._parts = self._parts, []
        part = self._part
        if part is not None and self._leaving:
            self._leave(part)
        if part is not None and part.events:
            parts.append(part)
            self._continue(part)
        return parts

    # --- messages --------------------------------------------------------------------------------

    def _control(self, data: bytes) -> None:
        """Anything but a row of a known relation."""
        start = self._start
        kind = data[start : start + 1]
        try:
            if kind == b"B":
                self._begin(data)
            elif kind == b"C":
                self._commit(data)
            else:
                self._rare(kind, data[start:])
        except (struct.error, IndexError, ValueError) as exc:
            raise self._error(f"malformed {kind!r} message") from exc

    def _rare(self, kind: bytes, data: bytes) -> None:
        handle = self._messages.get(kind)
        if handle is None:
            self._refuse(data)
        handle(data)

    def _begin(self, data: bytes) -> None:
        _, final, time_us, xid = self._unpack_begin(data)
        if self._part is not None:
            raise self._error("a transaction begins inside another")
        self._xid = widen_xid(xid, self._xid)
        self.committed_at_us = time_us + EPOCH_OFFSET_US
        self._part = Part(Transaction(final, self._xid, self.committed_at_us), 1)
        self._uncounted = 0
        self._cut = False
        self._leaving = False
        self._versions.begin()

    def _commit(self, data: bytes) -> None:
        _, _, commit, end, _ = self._unpack_commit(data)
        part = self._opened("Commit")
        if commit != part.transaction.coordinate:
            raise self._error("a commit does not belong to the transaction that began")
        self._part = None
        if self._leaving:
            self._leave(part)
        if part.events or self._cut:
            part.end = LogPosition(end)
            self._parts.append(part)
        else:
            self.passed = end

    def _relation(self, data: bytes) -> None:
        self._opened("Relation")
        self.wanted = parse_relation(data)

    def _truncate(self, data: bytes) -> None:
        part = self._opened("Truncate")
        _, count, options = _TRUNCATE.unpack_from(data)
        oids = struct.Struct(f">{count}I").unpack(data[_TRUNCATE.size :])
        relations = tuple([self._seen_relation(oid) for oid in oids])
        for oid in oids:
            self._versions.truncated(oid, self._xid)
        cascade, restart = bool(options & _CASCADE), bool(options & _RESTART_IDENTITY)
        part.events.append(Truncate(relations, cascade, restart))

    def _message(self, data: bytes) -> None:
        _, flags, _ = _MESSAGE.unpack_from(data)
        end = data.index(0, _MESSAGE.size)
        (size,) = struct.unpack_from(">I", data, end + 1)
        if end + 5 + size != len(data):
            raise self._error("a logical message is not as long as it says")
        if flags & _TRANSACTIONAL and data[_MESSAGE.size : end] == MESSAGE_PREFIX:
            self._take_told(self._opened("Message"), data[end + 5 :])

    def _authentic(self, content: bytes) -> bool:
        token = self._token
        if token is None:
            return False
        if compare_digest(content[: len(token)], token):
            return True
        self.forged += 1
        return False

    def _take_told(self, part: Part, content: bytes) -> None:
        """A message of our event triggers."""
        if not self._authentic(content):
            return
        assert self._token is not None
        told = parse(content[len(self._token) :])
        if isinstance(told, TableTold):
            self._told, self.wanted = told, told.message
        elif isinstance(told, RewriteTold | PartitionTold):
            self._versions.rewriting(told)
        elif isinstance(told, EmptiedTold):
            self._tell(part, self._versions.emptied(told))
        elif isinstance(told, DropTold):
            self._seen.pop(told.oid, None)
            self._tell(part, self._versions.dropped(told))
        else:
            self._tell(part, self._versions.unread(told))

    def _origin(self, data: bytes) -> None:
        """Where the transaction was made: stands right behind Begin, and only while the server
        knows the origin's name."""
        if self._left_out is None:
            return
        if self._opened("Origin").events or self._cut:
            raise self._error("an origin stands behind what has come from it")
        name = data[_ORIGIN_NAME : data.index(0, _ORIGIN_NAME)].decode()
        self._leaving = name.startswith(self._left_out)

    def _leave(self, part: Part) -> None:
        """Drop the rows of a transaction that was made elsewhere. What it tells of tables stays:
        the server describes each only once, and rows made here follow."""
        part.events[:] = [event for event in part.events if isinstance(event, SchemaChanged)]

    def _ignore(self, data: bytes) -> None:
        """Type: nothing in it that is not known from elsewhere."""

    def _stray_abort(self, data: bytes) -> None:
        """PostgreSQL 18 may report the abort of a streamed transaction that was never begun here,
        in protocol 1 too; inside a transaction it would mean something else."""
        if self._part is not None:
            raise self._error("a stream abort stands inside a transaction")

    def _refuse(self, data: bytes) -> NoReturn:
        if data[:1] in (b"I", b"U", b"D"):
            if self._part is None:
                raise self._error("a row stands outside of any transaction")
            raise self._error(f"a {data[:1]!r} message of a relation that was not described")
        raise self._error(f"unknown message {data[:1]!r}")

    # --- state -----------------------------------------------------------------------------------

    def _opened(self, what: str) -> Part:
        if self._part is None:
            raise self._error(f"a {what} message stands outside of any transaction")
        return self._part

    def _continue(self, part: Part) -> None:
        counted = len(part.events) - self._uncounted
        self._part = Part(part.transaction, part.first + counted)
        self._uncounted = 0
        self._cut = True

    def _tell(self, part: Part, events: Sequence[SchemaChanged]) -> None:
        part.events.extend(events)
        self._uncounted += len(events)

    def _seen_relation(self, oid: int) -> Relation:
        relation = self._seen.get(oid)
        if relation is None:
            raise self._error("a truncate of a relation that was not described")
        return relation

    def _error(self, what: str) -> DecodeError:
        part = self._part
        if part is None:
            return DecodeError(what)
        assert isinstance(part.transaction.coordinate, int)
        ordinal = part.first + len(part.events) - self._uncounted
        where = f"{lsn_text(part.transaction.coordinate)}+{ordinal}"
        return DecodeError(f"{what}, at {where}", context={"position": where})
