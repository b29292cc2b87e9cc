"""Statements that hash and list the rows of a table, as text. (pure)

Between two servers of this family a row is hashed over `ROW(...)::text`: record_out prints every
column by its type's own output function and tells NULL from an empty string. Casts to text would
not do: `char(n)` loses its blanks that way. With another family it is hashed over canonical texts
(`engine.model.canonical`). Columns come in name order, so their physical order does not matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from connectors._sql.quoting import identifier, qualified
from connectors.postgres import canonical
from engine.model.canonical import CANONICAL, SEPARATOR
from engine.model.compared import Reading, RowKey, Span

FAST: Final = "hashtextextended"
"""Built in since 11 and, as hash partitions on disk depend on it, the same ever since; not the same
on a machine of the other byte order, nor over another server encoding."""

PORTABLE: Final = "sha256"
"""The first 8 bytes of SHA-256 over the text in UTF-8: the same everywhere, and slower."""

_SHA: Final = "('x' || left(encode(sha256(convert_to({}, 'UTF8')), 'hex'), 16))::bit(64)::bigint"

METHODS: Final[Mapping[str, str]] = {
    FAST: 'hashtextextended(({}) COLLATE "C", 0)',
    PORTABLE: _SHA,
    CANONICAL: _SHA,
}

BUCKET_SHIFT: Final = 40
"""Buckets take hash bits from here upwards; a sum of hashes mixes the low ones first."""

SETTINGS: Final[Mapping[str, str]] = {
    "application_name": "penstock compare",
    "bytea_output": "hex",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, YMD",
    "default_transaction_read_only": "on",
    # A wrong estimate right after a load must not turn every key range into a whole scan.
    "enable_seqscan": "off",
    "extra_float_digits": "3",
    "IntervalStyle": "postgres",
    "jit": "off",
    "lc_monetary": "C",
    # Comparing must leave the server's other cores to those it serves.
    "max_parallel_workers_per_gather": "0",
    "quote_all_identifiers": "off",
    # Rows hidden by a policy are an error, not a difference.
    "row_security": "off",
    # Then reg* types print schema and name, and no operator of the user's can be meant.
    "search_path": "pg_catalog",
    "statement_timeout": "0",
    "TimeZone": "UTC",
    "xmlbinary": "base64",
}
"""Session settings that the text of a value depends on, and those that keep reading harmless."""


def probe(method: str) -> str:
    """A query for the hash of a fixed text, with the encoding where the hash depends on it."""
    encoding = "current_setting('server_encoding')" if method == FAST else "''"
    return f"SELECT {METHODS[method].format(_PROBED)} || {encoding}"


_PROBED: Final = "'penstock'::text"


@dataclass(frozen=True, slots=True)
class Columns:
    """What is known of a table here. `types` names each column's type, `bases` the same, of a
    domain what it is made of. `tree` is whether rows are spread over partitions (else children by
    inheritance are tables of their own)."""

    types: Mapping[str, str]
    bases: Mapping[str, str]
    tree: bool


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements over one table."""

    reading: Reading
    columns: Columns

    def boundary(self, span: Span, rows: int) -> tuple[str, Sequence[object]]:
        """The key of the `rows`-th row of a range."""
        where, values = self._within(span)
        order = ", ".join(self._column(name) for name in self.reading.key)
        text = (
            f"SELECT {self._key} AS key FROM {self._table} WHERE {where}"
            f" ORDER BY {order} OFFSET {rows - 1} LIMIT 1"
        )
        return text, values

    def digest(self, span: Span) -> tuple[str, Sequence[object]]:
        where, values = self._within(span)
        return f"SELECT {self._sums} FROM {self._table} WHERE {where}", values

    def bucket_digests(self) -> str:
        return f"SELECT {self._bucket} AS bucket, {self._sums} FROM {self._table} GROUP BY 1"

    def rows_of_span(self, span: Span) -> tuple[str, Sequence[object]]:
        where, values = self._within(span)
        return self._listed(where), values

    def rows_of_buckets(self) -> str:
        """Takes an array of bucket numbers."""
        where = f"{self._bucket} = ANY($1::int[])"
        if self.reading.key:
            return self._listed(where)
        return self._counted(where)

    def find(self) -> str:
        """Takes one array of texts per key column; without key one of row hashes."""
        if not self.reading.key:
            return self._counted(f"{self._hash} = ANY($1::bigint[])")
        key = self.reading.key
        arrays = ", ".join(f"${n}::text[]" for n, _ in enumerate(key, 1))
        names = ", ".join(f"w{n}" for n, _ in enumerate(key))
        match = " AND ".join(self._match(name, f"w.w{n}") for n, name in enumerate(key))
        return (
            f"SELECT {self._key} AS key, {self._hash} AS hash"
            f" FROM unnest({arrays}) AS w({names}) JOIN {self._table} ON {match}"
        )

    def _listed(self, where: str) -> str:
        return f"SELECT {self._key} AS key, {self._hash} AS hash FROM {self._table} WHERE {where}"

    def _counted(self, where: str) -> str:
        return (
            f"SELECT {self._hash} AS hash, count(*) AS rows FROM {self._table}"
            f" WHERE {where} GROUP BY 1"
        )

    def _match(self, name: str, value: str) -> str:
        column = self._column(name)
        if self.reading.indexed:
            return f"{column} = {value}::{self.columns.types[name]}"
        return f'({self._text(name)}) COLLATE "C" = {value} COLLATE "C"'

    def _within(self, span: Span) -> tuple[str, Sequence[object]]:
        parts, values = [], list[object]()
        for operator, key in ((">", span.low), ("<=", span.high)):
            if key is not None:
                parts.append(self._bound(operator, len(values)))
                values.extend(key)
        return " AND ".join(parts) or "true", values

    def _bound(self, operator: str, offset: int) -> str:
        key = self.reading.key
        left = ", ".join(self._column(name) for name in key)
        right = ", ".join(
            f"${n}::text::{self.columns.types[name]}" for n, name in enumerate(key, offset + 1)
        )
        return f"({left}) {operator} ({right})"

    @property
    def _table(self) -> str:
        name = qualified(self.reading.table.schema, self.reading.table.name)
        return f"{name} AS t" if self.columns.tree else f"ONLY {name} AS t"

    @property
    def _key(self) -> str:
        return f"ARRAY[{', '.join(self._text(name) for name in self.reading.key)}]"

    @property
    def _hash(self) -> str:
        return self._hashed(self.reading.columns)

    @property
    def _sums(self) -> str:
        return f"count(*) AS rows, coalesce(sum({self._hash}), 0)::text AS hash"

    @property
    def _bucket(self) -> str:
        hashed = self._hashed(self.reading.key or self.reading.columns)
        return f"(({hashed} >> {BUCKET_SHIFT}) & {self.reading.buckets - 1})::int"

    def _hashed(self, columns: Sequence[str]) -> str:
        if self.reading.forms:
            row = f" || '{SEPARATOR}' || ".join(self._token(name) for name in columns)
        else:
            row = f"ROW({', '.join(self._column(name) for name in columns)})::text"
        return METHODS[self.reading.method].format(row)

    def _token(self, name: str) -> str:
        form, base = self.reading.forms[name], self.columns.bases[name]
        return canonical.token(self._column(name), form, base)

    def _text(self, name: str) -> str:
        form = self.reading.forms.get(name)
        if form is None:
            return f"{self._column(name)}::text"
        return canonical.text(self._column(name), form, self.columns.bases[name])

    @staticmethod
    def _column(name: str) -> str:
        return f"t.{identifier(name)}"


def key_arrays(keys: Sequence[RowKey]) -> Sequence[Sequence[str]]:
    """One array per key column."""
    return [list(column) for column in zip(*keys, strict=True)]


SHAPE: Final = """
SELECT c.oid, c.relkind::text, greatest(c.reltuples, 0)::bigint AS rows_estimated,
       (SELECT coalesce(array_agg(i.indexrelid ORDER BY i.indisprimary DESC), '{}')
          FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisprimary OR i.indisreplident)
               AND i.indisvalid) AS identities
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')
"""

COLUMNS: Final = """
SELECT a.attname::text AS name, a.attgenerated <> '' AS generated,
       format_type(a.atttypid, -1) AS type,
       coalesce(base.typnamespace, t.typnamespace) = 'pg_catalog'::regnamespace
           OR t.typtype = 'e' AS builtin,
       CASE WHEN t.typtype = 'e' THEN
                (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)
                   FROM pg_enum e WHERE e.enumtypid = t.oid)
            WHEN a.attcollation = 0 THEN 'own'
            ELSE (SELECT CASE WHEN l.provider = 'c' AND l.locale IN ('C', 'POSIX') THEN 'C'
                              WHEN l.provider = 'c' THEN 'c:' || l.locale || ':' || l.version END
                    FROM (SELECT coalesce(nullif(k.collprovider::text, 'd'), d.provider)
                                     AS provider,
                                 coalesce(k.collcollate::text, d.datcollate) AS locale,
                                 (SELECT max(pg_collation_actual_version(v.oid)) FROM pg_collation v
                                   WHERE v.collprovider = 'c' AND v.collcollate::text
                                         = coalesce(k.collcollate::text, d.datcollate)) AS version
                            FROM pg_collation k WHERE k.oid = a.attcollation) l) END AS "order",
       format_type(coalesce(base.oid, t.oid), -1) AS base
  FROM pg_attribute a
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_type base ON t.typtype = 'd' AND base.oid = t.typbasetype
 CROSS JOIN (SELECT datcollate::text,
                    coalesce(to_jsonb(pg_database) ->> 'datlocprovider', 'c') AS provider
               FROM pg_database WHERE datname = current_database()) d
 WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
"""
"""Columns with the name of their order. An order that depends on the machine's C library carries
its version; other providers' are never taken to be the same on two servers."""

INDEXES: Final = """
SELECT i.indexrelid AS id,
       (SELECT array_agg(a.attname::text ORDER BY k.place)
          FROM unnest(i.indkey) WITH ORDINALITY AS k(number, place)
          LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
         WHERE k.place <= i.indnkeyatts) AS columns
  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_am m ON m.oid = x.relam
 WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree'
"""
