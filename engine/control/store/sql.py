"""The text of every statement, for SQLite and PostgreSQL alike. (pure)

Parameters are `?1`, `?2` ...; PostgreSQL's store writes them as `$1`. What one of the two does not
know is avoided: RETURNING, IN over an array, JSON in the database. Order is by code points in both
(SQLite's BINARY; the columns are COLLATE "C" in PostgreSQL).
"""

import sys
from collections.abc import Collection, Sequence
from typing import Final, TypeAlias

from engine.control.store.contract import VALUES_MAX
from engine.control.store.records import EventFilter, Where

Value: TypeAlias = str | int | float
"""What a statement is given; nothing in the store is NULL."""

Statement: TypeAlias = tuple[str, Sequence[Value]]

RECORD: Final = "r.kind, r.id, r.name, r.document, r.fields, r.revision, r.created, r.updated"

GET: Final = f"SELECT {RECORD} FROM record r WHERE r.kind = ?1 AND r.id = ?2"
NAMED: Final = f"SELECT {RECORD} FROM record r WHERE r.kind = ?1 AND r.name = ?2"
KINDS: Final = "SELECT DISTINCT kind FROM record ORDER BY kind"
INSERT: Final = "INSERT INTO record VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
UPDATE: Final = (
    "UPDATE record SET name = ?3, document = ?4, fields = ?5, revision = ?6, updated = ?7"
    " WHERE kind = ?1 AND id = ?2"
)
DELETE: Final = tuple(
    f"DELETE FROM {table} WHERE kind = ?1 AND id = ?2"
    for table in ("field", "tag", "fact", "record")
)

INSERT_FIELD: Final = "INSERT INTO field VALUES (?1, ?2, ?3, ?4, ?5)"
DELETE_FIELDS: Final = "DELETE FROM field WHERE kind = ?1 AND id = ?2"

PUT_FACT: Final = (
    "INSERT INTO fact VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (kind, id, key) DO UPDATE SET document = excluded.document"
)
PUT_TAG: Final = (
    "INSERT INTO tag VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (kind, id, key) DO UPDATE SET value = excluded.value"
)
DELETE_TAG: Final = "DELETE FROM tag WHERE kind = ?1 AND id = ?2 AND key = ?3"

LAST_EVENT: Final = "SELECT last_event, last_at FROM state"
SET_LAST_EVENT: Final = "UPDATE state SET last_event = ?1, last_at = ?2"
INSERT_EVENT: Final = "INSERT INTO event VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
INSERT_CATEGORY: Final = "INSERT INTO event_category VALUES (?1, ?2)"
DROP_CATEGORIES: Final = (
    "DELETE FROM event_category WHERE event IN (SELECT number FROM event WHERE at < ?1)"
)
DROP_EVENTS: Final = "DELETE FROM event WHERE at < ?1"

FORMAT: Final = "SELECT coalesce(max(number), 0) FROM format"
LOCK: Final = "SELECT one FROM state FOR UPDATE"
"""PostgreSQL's turns of writers: whoever has this row writes. SQLite knows one writer anyway."""
INSERT_FORMAT: Final = "INSERT INTO format VALUES (?1, ?2)"

LEASE: Final = "SELECT holder, lease_number, renewed, seconds FROM state"
PUT_LEASE: Final = "UPDATE state SET holder = ?1, lease_number = ?2, renewed = ?3, seconds = ?4"

EVERY: Final = (1 << 63) - 1
"""A limit that limits nothing: LIMIT NULL is not SQLite's, LIMIT -1 not PostgreSQL's."""


class _Values:
    """Parameters of a statement in the making; a value's place is what stands in the text."""

    def __init__(self, *values: Value) -> None:
        self.all = list(values)

    def place(self, value: Value) -> str:
        self.all.append(value)
        return f"?{len(self.all)}"

    def one_of(self, column: str, values: Collection[str]) -> str:
        """The condition that a column has one of these values."""
        if len(values) > VALUES_MAX:
            raise ValueError(f"{len(values):,} values for {column}, at most {VALUES_MAX:,}")
        if len(values) == 1:
            return f"{column} = {self.place(next(iter(values)))}"
        places = ", ".join(self.place(value) for value in sorted(values))
        return f"{column} IN ({places})" if places else "1 = 0"


def find(kind: str, where: Where, after: str, limit: int | None) -> Statement:
    """Records of a page: its names first, from an index in their order, then their documents."""
    values = _Values(kind)
    page = _matching(values, where)
    page += f" AND m.name > {values.place(after)}" if after else ""
    # An expression: SQLite would walk all names in order rather than look up ids and sort.
    order = "m.name || ''" if "id" in where else "m.name"
    page += f" ORDER BY {order} LIMIT {values.place(EVERY if limit is None else limit)}"
    text = f"SELECT {RECORD} FROM (SELECT m.id {page}) p"
    return f"{text} JOIN record r ON r.kind = ?1 AND r.id = p.id ORDER BY r.name", values.all


def count(kind: str, where: Where) -> Statement:
    values = _Values(kind)
    return f"SELECT count(*) {_matching(values, where)}", values.all


def _matching(values: _Values, where: Where) -> str:
    """FROM and WHERE over what matches, as `m`: walked by id or name where one is given, else by
    the first field there is, else by name."""
    own = {key: where[key] for key in ("id", "name") if key in where}
    fields = [(field, any_of) for field, any_of in where.items() if field not in own]
    if own or not fields:
        text = "FROM record m WHERE m.kind = ?1"
        for key, any_of in own.items():
            text += f" AND {values.one_of(f'm.{key}', any_of)}"
    else:
        (field, any_of), *fields = fields
        text = f"FROM field m WHERE m.kind = ?1 AND m.field = {values.place(field)}"
        text += f" AND {values.one_of('m.value', any_of)}"
    for field, any_of in fields:
        text += (
            " AND EXISTS (SELECT 1 FROM field f WHERE f.kind = ?1 AND f.name = m.name"
            f" AND f.field = {values.place(field)} AND {values.one_of('f.value', any_of)})"
        )
    return text


def facts(kind: str, id: str, prefix: str, after: str, limit: int | None) -> Statement:
    values = _Values(kind, id)
    text = "SELECT key, document FROM fact WHERE kind = ?1 AND id = ?2"
    text += _beginning(values, prefix)
    text += f" AND key > {values.place(after)}" if after else ""
    return (
        f"{text} ORDER BY key LIMIT {values.place(EVERY if limit is None else limit)}",
        values.all,
    )


def drop_facts(kind: str, id: str, prefix: str) -> Statement:
    values = _Values(kind, id)
    text = "DELETE FROM fact WHERE kind = ?1 AND id = ?2"
    return text + _beginning(values, prefix), values.all


def _beginning(values: _Values, prefix: str) -> str:
    """A range of keys, which an index serves; LIKE depends on settings and needs escapes."""
    text = f" AND key >= {values.place(prefix)}" if prefix else ""
    behind = _behind(prefix)
    return text + (f" AND key < {values.place(behind)}" if behind else "")


def _behind(prefix: str) -> str:
    """The least text greater than all that begin with `prefix`; empty when there is none."""
    kept = prefix.rstrip(chr(sys.maxunicode))
    if not kept:
        return ""
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)  # no surrogates


def tags(kind: str, ids: Collection[str]) -> Statement:
    values = _Values(kind)
    some = values.one_of("id", ids)
    return f"SELECT id, key, value FROM tag WHERE kind = ?1 AND {some} ORDER BY id, key", values.all


def events(only: EventFilter, after: int, limit: int | None) -> Statement:
    """Times never go back from one number to the next, so both orders are the same one."""
    values = _Values(after)
    most = values.place(EVERY if limit is None else limit)
    text = "SELECT e.number, at, source_type, source_id, message, document, categories FROM event e"
    if only.categories and not only.source_id:
        found = [_of_category(values, only, each, most) for each in sorted(only.categories)]
        text += f" JOIN ({' UNION '.join(found)}) p ON p.number = e.number"
    else:
        text += f" WHERE e.number > ?1{_about(values, only)}"
        if only.categories:
            text += (
                " AND EXISTS (SELECT 1 FROM event_category c WHERE c.event = e.number"
                f" AND {values.one_of('c.category', only.categories)})"
            )
    order = "at, e.number" if only.since is not None else "e.number"
    return f"{text} ORDER BY {order} LIMIT {most}", values.all


def _of_category(values: _Values, only: EventFilter, category: str, most: str) -> str:
    """Numbers of a page of one category, walked in its order: of many events few may be of it."""
    text = f"c.category = {values.place(category)} AND c.event > ?1"
    first = "(SELECT number FROM event WHERE at >= {} ORDER BY at, number LIMIT 1)"
    if only.since is not None:
        text += f" AND c.event >= {first.format(values.place(only.since))}"
    if only.until is not None:
        end = first.format(values.place(only.until))
        text += f" AND c.event < coalesce({end}, {values.place(EVERY)})"
    # CROSS: SQLite would begin with all events of a kind of source. PostgreSQL has its statistics.
    return (
        "SELECT number FROM (SELECT e.number FROM event_category c CROSS JOIN event e"
        f" WHERE {text} AND e.number = c.event AND e.number > ?1{_about(values, only)}"
        f" ORDER BY c.event LIMIT {most}) p"
    )


def _about(values: _Values, only: EventFilter) -> str:
    """Conditions on an event itself."""
    # An expression: SQLite would rather sort all events of a kind of source than walk all in order.
    kind = "source_type" if only.source_id else "source_type || ''"
    text = f" AND {kind} = {values.place(only.source_type)}" if only.source_type else ""
    text += f" AND source_id = {values.place(only.source_id)}" if only.source_id else ""
    text += f" AND at >= {values.place(only.since)}" if only.since is not None else ""
    return text + (f" AND at < {values.place(only.until)}" if only.until is not None else "")
