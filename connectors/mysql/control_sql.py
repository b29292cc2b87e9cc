"""Statements over the control tables of one replication. (pure)

Names of lanes and tables are values here. Every text goes as a constant (`quoting.literal`).
"""

import json
from collections.abc import Sequence
from typing import Final

from connectors.mysql.control_schema import TABLES
from connectors.mysql.quoting import literal
from engine.model.chunk import ChunkDone
from engine.model.relation import TableName
from engine.model.state import Fence, LaneRow, Owner, RejectedRow, TableRecord

BEGIN: Final = b"BEGIN"
COMMIT: Final = b"COMMIT"


def _constant(value: object) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else literal(str(value))


def _values(*values: object) -> str:
    return ", ".join(map(_constant, values))


def _of(replication: str, table: TableName | None = None) -> str:
    where = f"replication = {literal(replication)}"
    if table is None:
        return where
    names = f"schema_name = {literal(table.schema)} AND table_name = {literal(table.name)}"
    return f"{where} AND {names}"


def _insert(table: str, columns: str, replaced: Sequence[str], *values: object) -> bytes:
    """Insert a row, or give the columns `replaced` new values where its key is there."""
    statement = f"INSERT INTO penstock.{table} ({columns}) VALUES ({_values(*values)})"
    if replaced:
        sets = ", ".join([f"{column} = VALUES({column})" for column in replaced])
        statement += f" ON DUPLICATE KEY UPDATE {sets}"
    return statement.encode()


def _texts(values: Sequence[object] | None) -> str | None:
    return None if values is None else json.dumps(list(values), ensure_ascii=False)


# --- lanes ----------------------------------------------------------------------------------------


def advance(replication: str, fence: Fence) -> bytes:
    """The compare-and-set; it changes the row or finds none."""
    return (
        f"UPDATE penstock.checkpoint SET seq = seq + 1, position = {literal(fence.position)}"
        f" WHERE {_of(replication)} AND lane = {literal(fence.lane)}"
        f" AND epoch = {int(fence.epoch)} AND seq = {int(fence.seq)}"
    ).encode()


def reposition(replication: str, lane: str, position: str) -> bytes:
    return (
        f"UPDATE penstock.checkpoint SET position = {literal(position)}"
        f" WHERE {_of(replication)} AND lane = {literal(lane)}"
    ).encode()


def raise_lanes(replication: str, epoch: int) -> bytes:
    return f"UPDATE penstock.checkpoint SET epoch = {int(epoch)} WHERE {_of(replication)}".encode()


def lanes(replication: str) -> bytes:
    return (
        f"SELECT lane, epoch, seq, position FROM penstock.checkpoint WHERE {_of(replication)}"
        " ORDER BY lane FOR UPDATE"
    ).encode()


def glance(replication: str) -> bytes:
    return (
        "SELECT o.epoch, (SELECT COALESCE(SUM(c.seq), 0) FROM penstock.checkpoint c"
        " WHERE c.replication = o.replication) FROM penstock.owner o"
        f" WHERE o.replication = {literal(replication)}"
    ).encode()


def save_lane(replication: str, lane: str, row: LaneRow) -> bytes:
    changed = ("epoch", "seq", "position")
    columns = "replication, lane, epoch, seq, position"
    values = (replication, lane, row.epoch, row.seq, row.position)
    return _insert("checkpoint", columns, changed, *values)


def remove_lane(replication: str, lane: str) -> bytes:
    where = f"{_of(replication)} AND lane = {literal(lane)}"
    return f"DELETE FROM penstock.checkpoint WHERE {where}".encode()


# --- owner ----------------------------------------------------------------------------------------


def lock_owner(replication: str) -> Sequence[bytes]:
    """A row that is there afterwards, so its lock also stands for an absent owner; then the owner.
    An INSERT that meets the row takes its lock like an UPDATE."""
    return (
        _insert("owner_lock", "replication", ("replication",), replication),
        _owner(replication) + b" FOR UPDATE",
    )


def peek_owner(replication: str) -> bytes:
    """The owner row as committed now, without a lock."""
    return _owner(replication)


def _owner(replication: str) -> bytes:
    return (
        "SELECT epoch, identity, fingerprint, process, token, session_ids, session_tokens"
        f" FROM penstock.owner WHERE {_of(replication)}"
    ).encode()


def save_owner(replication: str, owner: Owner) -> bytes:
    changed = (
        "epoch", "identity", "fingerprint", "process", "token", "session_ids", "session_tokens",
    )  # fmt: skip
    return _insert(
        "owner",
        f"replication, {', '.join(changed)}",
        changed,
        replication,
        owner.epoch,
        owner.identity,
        owner.fingerprint,
        owner.process,
        owner.token,
        _texts([number for number, _ in owner.sessions]),
        _texts([token for _, token in owner.sessions]),
    )


# --- tables ---------------------------------------------------------------------------------------


def tables(replication: str) -> bytes:
    return (
        "SELECT schema_name, table_name, state, position, reason, relation, asked, answered"
        f" FROM penstock.table_state WHERE {_of(replication)} ORDER BY schema_name, table_name"
    ).encode()


def begun(replication: str) -> bytes:
    """Read also where the control tables are of an older version."""
    return (
        f"SELECT schema_name, table_name FROM penstock.table_state WHERE {_of(replication)}"
        " ORDER BY schema_name, table_name"
    ).encode()


def quarantined(replication: str, after: int, rows_max: int, bytes_max: int) -> bytes:
    """A page of kept rows; of one whose payload alone is too large no other row is read."""
    return (
        "SELECT id, DATE_FORMAT(rejected_at, '%Y-%m-%dT%H:%i:%s.%fZ'), schema_name, table_name,"
        " lane, position, operation, reason, `sqlstate`, message, payload"
        " FROM (SELECT *, COALESCE(SUM(LENGTH(payload)) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED"
        " PRECEDING AND 1 PRECEDING), 0) AS bytes_before FROM (SELECT * FROM penstock.quarantine"
        f" WHERE {_of(replication)} AND id > {int(after)} ORDER BY id LIMIT {int(rows_max)}) page)"
        f" sized WHERE bytes_before <= {int(bytes_max)} ORDER BY id"
    ).encode()


def save_table(replication: str, record: TableRecord) -> bytes:
    columns = "replication, schema_name, table_name, state, position, reason, relation, changed_at"
    table = record.table
    relation = "IF(VALUES(relation) = '', relation, VALUES(relation))"
    values = _values(
        replication, table.schema, table.name, record.state.value, record.position, record.reason,
        record.relation,
    )  # fmt: skip
    return (
        f"INSERT INTO penstock.table_state ({columns}) VALUES ({values}, UTC_TIMESTAMP(6))"
        " ON DUPLICATE KEY UPDATE state = VALUES(state), position = VALUES(position),"
        f" reason = VALUES(reason), relation = {relation}, changed_at = VALUES(changed_at)"
    ).encode()


def request_reload(replication: str, table: TableName) -> bytes:
    where = _of(replication, table)
    return f"UPDATE penstock.table_state SET asked = asked + 1 WHERE {where}".encode()


def answer_reload(replication: str, table: TableName, asked: int | None) -> bytes:
    reached = "asked" if asked is None else f"LEAST(asked, {int(asked)})"
    return (
        f"UPDATE penstock.table_state SET answered = GREATEST(answered, {reached})"
        f" WHERE {_of(replication, table)} AND answered < {reached}"
    ).encode()


def remove_table(replication: str, table: TableName) -> bytes:
    return f"DELETE FROM penstock.table_state WHERE {_of(replication, table)}".encode()


# --- chunks, refused rows -------------------------------------------------------------------------


def chunks(replication: str) -> bytes:
    return (
        "SELECT schema_name, table_name, ordinal, bounded_by, low, high, snapshot, until, row_count"
        f" FROM penstock.chunk WHERE {_of(replication)} ORDER BY schema_name, table_name, ordinal"
    ).encode()


def save_chunk(replication: str, chunk: ChunkDone) -> bytes:
    changed = ("bounded_by", "low", "high", "snapshot", "until", "row_count")
    return _insert(
        "chunk",
        f"replication, schema_name, table_name, ordinal, {', '.join(changed)}",
        changed,
        replication,
        chunk.table.schema,
        chunk.table.name,
        chunk.ordinal,
        chunk.by,
        _texts(chunk.low),
        _texts(chunk.high),
        chunk.snapshot,
        chunk.until,
        chunk.rows,
    )


def remove_chunks(replication: str, table: TableName) -> bytes:
    return f"DELETE FROM penstock.chunk WHERE {_of(replication, table)}".encode()


def reject(replication: str, row: RejectedRow) -> bytes:
    columns = (
        "replication, schema_name, table_name, lane, position, operation, reason, `sqlstate`,"
        " message, payload, rejected_at"
    )
    values = _values(
        replication, row.table.schema, row.table.name, row.lane, row.position, row.operation,
        row.reason, row.sqlstate, row.message, row.payload,
    )  # fmt: skip
    statement = f"INSERT INTO penstock.quarantine ({columns}) VALUES ({values}, UTC_TIMESTAMP(6))"
    return statement.encode()


def remove_replication(replication: str) -> Sequence[bytes]:
    return [f"DELETE FROM penstock.{table} WHERE {_of(replication)}".encode() for table in TABLES]


# --- schema changes -------------------------------------------------------------------------------


def intent(replication: str, table: TableName) -> bytes:
    return (
        f"SELECT `change`, before_shape FROM penstock.intent WHERE {_of(replication, table)}"
    ).encode()


def save_intent(replication: str, table: TableName, change: str, before: str) -> bytes:
    columns = "replication, schema_name, table_name, `change`, before_shape, begun_at"
    values = _values(replication, table.schema, table.name, change, before)
    return (
        f"REPLACE INTO penstock.intent ({columns}) VALUES ({values}, UTC_TIMESTAMP(6))"
    ).encode()


def remove_intent(replication: str, table: TableName) -> bytes:
    return f"DELETE FROM penstock.intent WHERE {_of(replication, table)}".encode()
