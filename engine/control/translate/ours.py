"""What AWS has no member for, as a file of ours has it: checked before it is kept. (pure)

What says where a database is, who asks it, and which files are read has members of AWS's, which
are checked on their own: no such key is taken here.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from engine.config.capacity import CapacityConfig
from engine.config.document import Document
from engine.config.endpoint import SourceConfig, TargetConfig
from engine.config.family import FAMILIES
from engine.config.intervals import IntervalsConfig
from engine.config.mysql_url import MYSQL_OPTIONS
from engine.config.problems import Problems, shown
from engine.config.replication import ApplyConfig, LoadConfig, ReplicationConfig
from engine.config.section import Section, declared_keys, read_value, type_name
from engine.config.url import POSTGRES_OPTIONS
from engine.control.translate.endpoint import Role
from engine.control.translate.endpoint_document import OF_TABLE
from engine.control.translate.replication_document import OF_TABLES

SECTIONS: Final[Mapping[str, type[Section]]] = {
    section.TABLE: section
    for section in (ReplicationConfig, LoadConfig, ApplyConfig, CapacityConfig, IntervalsConfig)
}
"""Tables of a file that have keys of our own."""

SIDES: Final[Mapping[Role, type[Section]]] = {"source": SourceConfig, "target": TargetConfig}

PLACES: Final = frozenset({"sslrootcert", "socket"})
"""Options of a URL that have a member of AWS's. `sslrootcert` is taken as `system` alone."""


def check_replication(ours: Document) -> None:
    """Check tables of a replication file. Raises ConfigError, with every problem found."""
    problems = Problems("")
    for name, table in ours.items():
        if name in SECTIONS:
            _check_table(SECTIONS[name], table, OF_TABLES.get(name, ()), name, problems)
        else:
            problems.unknown(shown(name), name, SECTIONS, "table")
    problems.raise_found()


def check_endpoint(ours: Document, role: Role, engine: str) -> None:
    """Check keys of a `[source]` or `[target]` table; `engine` is our name of it. Raises
    ConfigError, with every problem found."""
    problems = Problems("")
    keys = {name: value for name, value in ours.items() if name != "options"}
    _check_table(SIDES[role], keys, OF_TABLE, role, problems)
    _check_options(ours.get("options", {}), f"{role}.options", engine, problems)
    problems.raise_found()


def _check_table(
    section: type[Section], table: Any, aside: Collection[str], where: str, problems: Problems
) -> None:
    if not isinstance(table, Mapping):
        problems.add(where, f"expected a table, found {type_name(table)}")
        return
    known = {key: each for key, (_, each) in declared_keys(section).items() if key not in aside}
    for key, value in table.items():
        if key in known:
            read_value(known[key].kind, value, f"{where}.{key}", problems)
        else:
            problems.unknown(f"{where}.{shown(key)}", key, known)


def _check_options(options: Any, where: str, engine: str, problems: Problems) -> None:
    if not isinstance(options, Mapping):
        problems.add(where, f"expected a table, found {type_name(options)}")
        return
    postgres = FAMILIES[engine].scheme == "postgresql"
    known = (POSTGRES_OPTIONS if postgres else MYSQL_OPTIONS) - PLACES
    for name, value in options.items():
        if (name, value) == ("sslrootcert", "system"):
            continue
        if name not in known:
            problems.unknown(f"{where}.{shown(name)}", name, known)
        elif not isinstance(value, str):
            problems.add(f"{where}.{name}", f"expected text, found {type_name(value)}")
