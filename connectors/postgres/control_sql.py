"""Statements over the control tables of one replication, with their parameters. (pure)

Every parameter goes as text; the server casts it. Names of lanes and tables are values here.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from connectors.postgres.prepared import Call, Prepared
from engine.model.chunk import ChunkDone
from engine.model.relation import TableName
from engine.model.state import Fence, LaneRow, Owner, RejectedRow, TableRecord

_TEXT: Final = 25
_BIGINT: Final = 20
_INT: Final = 23
_OIDS: Final = 1028
_TEXTS: Final = 1009
_INTS: Final = 1007


def _statement(name: str, sql: str, *types: int) -> Prepared:
    return Prepared(f"control_{name}".encode(), sql.encode(), types, (0,) * len(types))


BEGIN: Final[Call] = (_statement("begin", "BEGIN"), ())
COMMIT: Final[Call] = (_statement("commit", "COMMIT"), ())
DEFER: Final[Call] = (_statement("defer", "SET CONSTRAINTS ALL DEFERRED"), ())

_ADVANCE: Final = _statement(
    "advance", "SELECT penstock.advance($1, $2, $3, $4, $5)", _TEXT, _TEXT, _BIGINT, _BIGINT, _TEXT
)
_ADVANCE_MARKED: Final = _statement(
    "advance_marked",
    "SELECT penstock.advance($1, $2, $3, $4, $5),"
    " pg_catalog.pg_replication_origin_xact_setup('0/0', pg_catalog.clock_timestamp())",
    _TEXT, _TEXT, _BIGINT, _BIGINT, _TEXT,
)  # fmt: skip
_SAME_SHAPE: Final = _statement(
    "same_shape",
    "SELECT penstock.same_shape(CASE WHEN ARRAY(SELECT to_regclass(name)::oid FROM"
    " unnest($1::text[]) name) = $2::oid[] THEN $2::oid[] ELSE '{0}'::oid[] END, $3)",
    _TEXTS, _OIDS, _TEXTS,
)  # fmt: skip
"""No table has the number 0, nor a shape."""
_REPOSITION: Final = _statement(
    "reposition",
    "UPDATE penstock.checkpoint SET position = $3 WHERE replication = $1 AND lane = $2",
    _TEXT, _TEXT, _TEXT,
)  # fmt: skip
_LOCK_OWNER: Final = _statement(
    "lock_owner", "SELECT pg_advisory_xact_lock(hashtextextended('penstock:' || $1, 0))", _TEXT
)
_OWNER_COLUMNS: Final = (
    "SELECT epoch, identity, fingerprint, process, token,"
    " array_to_json(session_pids), array_to_json(session_starts)"
    " FROM penstock.owner WHERE replication = $1"
)
_OWNER: Final = _statement("owner", f"{_OWNER_COLUMNS} FOR UPDATE", _TEXT)
_PEEK_OWNER: Final = _statement("peek_owner", _OWNER_COLUMNS, _TEXT)
_SAVE_OWNER: Final = _statement(
    "save_owner",
    "INSERT INTO penstock.owner AS o (replication, epoch, identity, fingerprint, process,"
    " token, session_pids, session_starts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
    " ON CONFLICT (replication) DO UPDATE SET (epoch, identity, fingerprint, process, token,"
    " session_pids, session_starts) = (excluded.epoch, excluded.identity, excluded.fingerprint,"
    " excluded.process, excluded.token, excluded.session_pids, excluded.session_starts)",
    _TEXT, _BIGINT, _TEXT, _TEXT, _TEXT, _TEXT, _INTS, _TEXTS,
)  # fmt: skip
_RAISE_LANES: Final = _statement(
    "raise_lanes",
    "UPDATE penstock.checkpoint SET epoch = $2 WHERE replication = $1"
    " RETURNING lane, epoch, seq, position",
    _TEXT, _BIGINT,
)  # fmt: skip
_LANES: Final = _statement(
    "lanes",
    "SELECT lane, epoch, seq, position FROM penstock.checkpoint WHERE replication = $1"
    " ORDER BY lane FOR UPDATE",
    _TEXT,
)
_GLANCE: Final = _statement(
    "glance",
    "SELECT o.epoch, (SELECT coalesce(sum(seq), 0)::bigint FROM penstock.checkpoint c"
    " WHERE c.replication = o.replication) FROM penstock.owner o WHERE o.replication = $1",
    _TEXT,
)
_SAVE_LANE: Final = _statement(
    "save_lane",
    "INSERT INTO penstock.checkpoint (replication, lane, epoch, seq, position)"
    " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (replication, lane) DO UPDATE"
    " SET (epoch, seq, position) = (excluded.epoch, excluded.seq, excluded.position)",
    _TEXT, _TEXT, _BIGINT, _BIGINT, _TEXT,
)  # fmt: skip
_REMOVE_LANE: Final = _statement(
    "remove_lane", "DELETE FROM penstock.checkpoint WHERE replication = $1 AND lane = $2",
    _TEXT, _TEXT,
)  # fmt: skip
_TABLES: Final = _statement(
    "tables",
    "SELECT schema_name, table_name, state, position, reason, relation, asked, answered"
    " FROM penstock.table_state WHERE replication = $1 ORDER BY schema_name, table_name",
    _TEXT,
)
BEGUN: Final = (
    "SELECT schema_name, table_name FROM penstock.table_state WHERE replication = $1"
    " ORDER BY schema_name, table_name"
)
"""Read also where the control tables are of an older version."""

QUARANTINED: Final = (
    "SELECT id::text, to_char(rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),"
    " schema_name, table_name, lane, position, operation, reason, sqlstate, message, payload"
    " FROM (SELECT *, coalesce(sum(octet_length(payload)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED"
    " PRECEDING AND 1 PRECEDING), 0) AS bytes_before FROM (SELECT * FROM penstock.quarantine"
    " WHERE replication = $1 AND id > $2 ORDER BY id LIMIT $3) page) sized"
    " WHERE bytes_before <= $4::bigint ORDER BY id"
)
"""A page of kept rows; of one whose payload alone is too large no other row is read."""

_SAVE_TABLE: Final = _statement(
    "save_table",
    "INSERT INTO penstock.table_state (replication, schema_name, table_name, state, position,"
    " reason, relation) VALUES ($1, $2, $3, $4, $5, $6, $7)"
    " ON CONFLICT (replication, schema_name, table_name) DO UPDATE"
    " SET (state, position, reason, relation, changed_at)"
    " = (excluded.state, excluded.position, excluded.reason,"
    " coalesce(nullif(excluded.relation, ''), table_state.relation), now())",
    *(_TEXT,) * 7,
)
_REQUEST_RELOAD: Final = _statement(
    "request_reload",
    "UPDATE penstock.table_state SET asked = asked + 1"
    " WHERE replication = $1 AND schema_name = $2 AND table_name = $3",
    _TEXT, _TEXT, _TEXT,
)  # fmt: skip
_ANSWER_RELOAD: Final = _statement(
    "answer_reload",
    "UPDATE penstock.table_state SET answered = greatest(answered, least(asked, $4))"
    " WHERE replication = $1 AND schema_name = $2 AND table_name = $3"
    " AND answered < least(asked, $4)",
    _TEXT, _TEXT, _TEXT, _BIGINT,
)  # fmt: skip
_REMOVE_TABLE: Final = _statement(
    "remove_table",
    "DELETE FROM penstock.table_state"
    " WHERE replication = $1 AND schema_name = $2 AND table_name = $3",
    _TEXT, _TEXT, _TEXT,
)  # fmt: skip
_CHUNKS: Final = _statement(
    "chunks",
    "SELECT schema_name, table_name, ordinal, bounded_by, array_to_json(low), array_to_json(high),"
    " snapshot, until, row_count FROM penstock.chunk WHERE replication = $1"
    " ORDER BY schema_name, table_name, ordinal",
    _TEXT,
)
_SAVE_CHUNK: Final = _statement(
    "save_chunk",
    "INSERT INTO penstock.chunk (replication, schema_name, table_name, ordinal, bounded_by, low,"
    " high, snapshot, until, row_count) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    " ON CONFLICT (replication, schema_name, table_name, ordinal) DO UPDATE"
    " SET (bounded_by, low, high, snapshot, until, row_count)"
    " = (excluded.bounded_by, excluded.low, excluded.high, excluded.snapshot, excluded.until,"
    " excluded.row_count)",
    _TEXT, _TEXT, _TEXT, _BIGINT, _TEXT, _TEXTS, _TEXTS, _TEXT, _TEXT, _BIGINT,
)  # fmt: skip
_REMOVE_CHUNKS: Final = _statement(
    "remove_chunks",
    "DELETE FROM penstock.chunk WHERE replication = $1 AND schema_name = $2 AND table_name = $3",
    _TEXT, _TEXT, _TEXT,
)  # fmt: skip
_REJECT: Final = _statement(
    "reject",
    "INSERT INTO penstock.quarantine (replication, schema_name, table_name, lane, position,"
    " operation, reason, sqlstate, message, payload)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    *(_TEXT,) * 10,
)
_REMOVALS: Final = tuple(
    _statement(f"remove_all_{table}", f"DELETE FROM penstock.{table} WHERE replication = $1", _TEXT)
    for table in ("quarantine", "chunk", "table_state", "checkpoint", "owner")
)


def _encoded(*values: object) -> list[bytes | None]:
    return [None if value is None else str(value).encode() for value in values]


def _array(values: Sequence[object] | None) -> str | None:
    """An array constant, every element quoted."""
    if values is None:
        return None
    quoted = (str(value).replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"


def advance(replication: str, fence: Fence, *, marked: bool = False) -> Call:
    """`marked`: tell the commit time, too. In a session with a replication origin the server would
    put that of an earlier transaction into the log, where downstream readers take it from."""
    statement = _ADVANCE_MARKED if marked else _ADVANCE
    return statement, _encoded(replication, fence.lane, fence.epoch, fence.seq, fence.position)


@lru_cache(maxsize=1024)
def same_shape(shapes: tuple[tuple[int, str, str], ...]) -> Call:
    """Raises on the server when one of these tables (its OID, name in SQL, and shape) no longer has
    this shape, or this name, by which its rows went: another may have been put in its place. Kept,
    as batch after batch writes the same few tables."""
    oids, names, words = zip(*shapes, strict=True)
    return _SAME_SHAPE, _encoded(_array(names), _array(oids), _array(words))


def reposition(replication: str, lane: str, position: str) -> Call:
    return _REPOSITION, _encoded(replication, lane, position)


def lock_owner(replication: str) -> Sequence[Call]:
    """A lock that also holds while there is no row, then the row."""
    return (_LOCK_OWNER, _encoded(replication)), (_OWNER, _encoded(replication))


def peek_owner(replication: str) -> Call:
    """The owner row as committed now, without a lock."""
    return _PEEK_OWNER, _encoded(replication)


def save_owner(replication: str, owner: Owner) -> Call:
    return _SAVE_OWNER, _encoded(
        replication,
        owner.epoch,
        owner.identity,
        owner.fingerprint,
        owner.process,
        owner.token,
        _array([pid for pid, _ in owner.sessions]),
        _array([start for _, start in owner.sessions]),
    )


def raise_lanes(replication: str, epoch: int) -> Call:
    return _RAISE_LANES, _encoded(replication, epoch)


def lanes(replication: str) -> Call:
    return _LANES, _encoded(replication)


def glance(replication: str) -> Call:
    return _GLANCE, _encoded(replication)


def save_lane(replication: str, lane: str, row: LaneRow) -> Call:
    return _SAVE_LANE, _encoded(replication, lane, row.epoch, row.seq, row.position)


def remove_lane(replication: str, lane: str) -> Call:
    return _REMOVE_LANE, _encoded(replication, lane)


def tables(replication: str) -> Call:
    return _TABLES, _encoded(replication)


def save_table(replication: str, record: TableRecord) -> Call:
    return _SAVE_TABLE, _encoded(
        replication,
        record.table.schema,
        record.table.name,
        record.state.value,
        record.position,
        record.reason,
        record.relation,
    )


def request_reload(replication: str, table: TableName) -> Call:
    return _REQUEST_RELOAD, _encoded(replication, table.schema, table.name)


def answer_reload(replication: str, table: TableName, asked: int | None) -> Call:
    return _ANSWER_RELOAD, _encoded(replication, table.schema, table.name, asked)


def remove_table(replication: str, table: TableName) -> Call:
    return _REMOVE_TABLE, _encoded(replication, table.schema, table.name)


def chunks(replication: str) -> Call:
    return _CHUNKS, _encoded(replication)


def save_chunk(replication: str, chunk: ChunkDone) -> Call:
    return _SAVE_CHUNK, _encoded(
        replication,
        chunk.table.schema,
        chunk.table.name,
        chunk.ordinal,
        chunk.by,
        _array(chunk.low),
        _array(chunk.high),
        chunk.snapshot,
        chunk.until,
        chunk.rows,
    )


def remove_chunks(replication: str, table: TableName) -> Call:
    return _REMOVE_CHUNKS, _encoded(replication, table.schema, table.name)


def reject(replication: str, row: RejectedRow) -> Call:
    return _REJECT, _encoded(
        replication,
        row.table.schema,
        row.table.name,
        row.lane,
        row.position,
        row.operation,
        row.reason,
        row.sqlstate,
        row.message,
        row.payload,
    )


def remove_replication(replication: str) -> Sequence[Call]:
    return [(statement, _encoded(replication)) for statement in _REMOVALS]
