"""(pure) What the selected tables of a source cannot do, or do otherwise than expected."""

from collections.abc import Iterator, Sequence
from typing import Final

from connectors.mysql.catalog import CatalogTable
from connectors.mysql.description import describe
from connectors.mysql.quoting import qualified
from engine.model.finding import Finding, Severity

WARNS, TELLS = Severity.WARNS, Severity.TELLS

WITHOUT_TRANSACTIONS: Final = frozenset(
    {"MYISAM", "ARIA", "MEMORY", "CSV", "ARCHIVE", "MRG_MYISAM"}
)
"""Engines whose rows stay when their transaction is rolled back."""

PACKET_BYTES_MIN: Final = 64 << 20
"""`max_allowed_packet` from which nobody has to think of it; MySQL's default. MariaDB's is 16 MiB.
"""

_LONG: Final = ("mediumtext", "longtext", "mediumblob", "longblob", "json")

_ACTING: Final = ("CASCADE", "SET NULL")


def findings(
    tables: Sequence[CatalogTable],
    packet_bytes: int,
    *,
    streams: bool,
    generated: bool,
    acts_logged: bool = False,
) -> Sequence[Finding]:
    """Of each table, in order; `packet_bytes` is `max_allowed_packet`; for `generated` see
    `description.describe`. `acts_logged`: the log tells what foreign keys do by themselves, as that
    of MySQL does from 9.6 on."""
    found: list[Finding] = []
    for table in tables:
        found += _unreadable(table, generated=generated)
        found += _engine(table)
        if streams:
            found += _identity(table)
            found += _acting_keys(table, logged=acts_logged)
        if packet_bytes < PACKET_BYTES_MIN:
            found += _long_values(table, packet_bytes)
    return found


def _unreadable(table: CatalogTable, *, generated: bool) -> Iterator[Finding]:
    try:
        describe(table, generated=generated)
    except ValueError as error:
        text = f"{table.name} is left out: {error}"
        remedy = "mend that, or leave the table out by [mapping]"
        yield Finding("left-out", WARNS, text, remedy, str(table.name))


def _engine(table: CatalogTable) -> Iterator[Finding]:
    name = qualified(table.name.schema, table.name.name)
    if table.engine.upper() in WITHOUT_TRANSACTIONS:
        text = (
            f"{table.name} has storage engine {table.engine}, which knows no transactions: a"
            " rolled back change of it stays, and the load reads it without a snapshot"
        )
        yield Finding(
            "no-transactions", WARNS, text, f"ALTER TABLE {name} ENGINE = InnoDB", str(table.name)
        )


def _identity(table: CatalogTable) -> Iterator[Finding]:
    if table.identity:
        return
    text = (
        f"{table.name} has neither primary key nor a unique key without NULLs: its rows are found"
        " by all their values, one by one"
    )
    remedy = f"ALTER TABLE {qualified(table.name.schema, table.name.name)} ADD PRIMARY KEY (...)"
    yield Finding("no-key", TELLS, text, remedy, str(table.name))


def _acting_keys(table: CatalogTable, *, logged: bool) -> Iterator[Finding]:
    """A log that tells of them has a child's change before its parent's, and of a parent that is
    replaced a deletion that deleted no child."""
    for key in table.foreign_keys:
        if key.on_delete not in _ACTING and key.on_update not in _ACTING:
            continue
        text = f"{table.name} has rows changed by foreign key {key.name}, which the binary log"
        if logged:
            text += " tells; the same key on the target must not act, too"
            remedy = 'session_replication_role = "replica" in [target]'
            yield Finding("acting-key", WARNS, text, remedy, str(table.name))
        else:
            text += f" does not tell: carry {key.parent} too and keep that key on the target"
            yield Finding("acting-key", TELLS, text, subject=str(table.name))


def _long_values(table: CatalogTable, packet_bytes: int) -> Iterator[Finding]:
    long = [column.name for column in table.columns if column.type.startswith(_LONG)]
    if long:
        text = (
            f"{table.name} may have rows longer than max_allowed_packet ({packet_bytes >> 20} MiB)"
            f" in {', '.join(long)}: the load cannot read them"
        )
        yield Finding(
            "long-rows", TELLS, text, "SET GLOBAL max_allowed_packet = 1073741824", str(table.name)
        )
