"""Statements that hash and list the rows of a table, as text. (pure)

A row's text that the server could not make, for `max_allowed_packet`, has the hash NULL in a list;
a sum takes `UNMADE` for it. The reader refuses both.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from connectors.mysql import canonical
from connectors.mysql.quoting import identifier, literal, qualified
from connectors.mysql.types import MysqlType
from engine.config.endpoint import ZeroDate
from engine.model.canonical import CANONICAL, SEPARATOR
from engine.model.compared import Reading, RowKey, Span

BUCKET_SHIFT: Final = 40
"""The same hash bits as every other side takes for buckets."""

UNMADE: Final = 10**40
"""More than hashes of any number of rows come to."""

FIND_BYTES_MAX: Final = 262_144
"""Text of the keys looked for by one statement; far below every `max_allowed_packet`."""

SETTINGS: Final = ("SET SESSION TRANSACTION READ ONLY",)

MARIADB_SETTINGS: Final = (
    # A long list of keys stays a list of index lookups.
    "SET SESSION in_predicate_conversion_threshold = 0",
)
MYSQL_SETTINGS: Final = ("SET SESSION range_optimizer_max_mem_size = 0",)


def hashed(text: str) -> str:
    """SQL for the hash of a text: 64 bits with a sign."""
    return f"CAST(CONV(LEFT(SHA2({text}, 256), 16), 16, -10) AS SIGNED)"


PROBES: Final[Mapping[str, str]] = {CANONICAL: f"SELECT {hashed(literal('penstock'))}"}
"""Queries for the hash of a fixed text, by method."""


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements over one table. `types` are its columns' types, `zero` what becomes of a date
    that is none."""

    reading: Reading
    types: Mapping[str, MysqlType]
    zero: ZeroDate | None = None

    def boundary(self, span: Span, rows: int) -> str:
        """The key of the `rows`-th row of a range."""
        order = ", ".join(map(identifier, self.reading.key))
        return (
            f"SELECT {self._key} FROM {self._table} WHERE {self._within(span)}"
            f" ORDER BY {order} LIMIT 1 OFFSET {rows - 1}"
        )

    def digest(self, span: Span) -> str:
        """Rows and the sum of their hashes."""
        return f"SELECT {self._sums} FROM {self._table} WHERE {self._within(span)}"

    def bucket_digests(self) -> str:
        """The same by bucket, whose number comes first."""
        return f"SELECT {self._bucket} AS bucket, {self._sums} FROM {self._table} GROUP BY bucket"

    def rows_of_span(self, span: Span) -> str:
        return self._listed(self._within(span))

    def rows_of_buckets(self, buckets: frozenset[int]) -> str:
        return self._listed(f"{self._bucket} IN ({', '.join(map(str, sorted(buckets)))})")

    def find(self, keys: Sequence[RowKey]) -> Iterator[str]:
        """Statements that together list the rows with these keys; others may come along."""
        for some in _portions([self._constant(key) for key in keys]):
            yield self._listed(f"{self._found} IN ({', '.join(some)})")

    # --- parts --------------------------------------------------------------------------------

    def _listed(self, where: str) -> str:
        """Without key, hashes with their number of rows; else the hash and the key's texts."""
        if not self.reading.key:
            return (
                f"SELECT {self._hash} AS hash, COUNT(*) FROM {self._table} WHERE {where}"
                " GROUP BY hash"
            )
        return f"SELECT {self._hash}, {self._key} FROM {self._table} WHERE {where}"

    @property
    def _found(self) -> str:
        reading = self.reading
        if not reading.key:
            return self._hash
        find = identifier if reading.indexed else self._text
        names = ", ".join(map(find, reading.key))
        return names if len(reading.key) == 1 else f"({names})"

    def _constant(self, key: RowKey) -> str:
        reading = self.reading
        if not reading.key:
            return str(int(key[0]))
        pairs = zip(reading.key, key, strict=True)
        if reading.indexed:
            texts = [self._value(name, text) for name, text in pairs]
        else:
            texts = [literal(text) for _, text in pairs]
        return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"

    def _value(self, name: str, text: str) -> str:
        return canonical.constant(text, self.reading.forms[name])

    def _within(self, span: Span) -> str:
        names = self.reading.key
        bounds = ((">", span.low), ("<=", span.high))
        parts = [f"({self._compared(names, sign, key)})" for sign, key in bounds if key]
        return " AND ".join(parts) or "TRUE"

    def _compared(self, names: Sequence[str], sign: str, key: RowKey) -> str:
        """Key columns against a bound, spelt out: a comparison of rows uses no index in MariaDB."""
        name, value = identifier(names[0]), self._value(names[0], key[0])
        if len(key) == 1:
            return f"{name} {sign} {value}"
        rest = self._compared(names[1:], sign, key[1:])
        return f"{name} {sign[0]} {value} OR ({name} = {value} AND ({rest}))"

    @property
    def _table(self) -> str:
        return qualified(self.reading.table.schema, self.reading.table.name)

    @property
    def _key(self) -> str:
        return ", ".join(map(self._text, self.reading.key))

    @property
    def _hash(self) -> str:
        return self._hashed(self.reading.columns)

    @property
    def _sums(self) -> str:
        return f"COUNT(*), COALESCE(SUM(IFNULL({self._hash}, {UNMADE})), 0)"

    @property
    def _bucket(self) -> str:
        hash_ = self._hashed(self.reading.key or self.reading.columns)
        return f"(({hash_} >> {BUCKET_SHIFT}) & {self.reading.buckets - 1})"

    def _hashed(self, columns: Sequence[str]) -> str:
        return hashed(f"CONCAT({f', {literal(SEPARATOR)}, '.join(map(self._token, columns))})")

    def _token(self, name: str) -> str:
        form, type_ = self.reading.forms[name], self.types[name]
        return canonical.token(identifier(name), type_, form, self.zero)

    def _text(self, name: str) -> str:
        form, type_ = self.reading.forms[name], self.types[name]
        return canonical.text(identifier(name), type_, form, self.zero)


def _portions(constants: Sequence[str]) -> Iterator[Sequence[str]]:
    portion, size = list[str](), 0
    for constant in constants:
        if portion and size + len(constant) > FIND_BYTES_MAX:
            yield portion
            portion, size = [], 0
        portion.append(constant)
        size += len(constant)
    if portion:
        yield portion
