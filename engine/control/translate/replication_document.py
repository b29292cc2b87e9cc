"""A replication file of ours as AWS's `CreateReplicationConfig` takes it. (pure)

`replication_file.file_texts` takes it back. What AWS has no name for goes beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from engine.config.capacity import UNITS_MAX, UNITS_MIN
from engine.config.document import Document
from engine.config.mapping import short_mapping
from engine.config.replication import ReplicationConfig
from engine.config.rule_document import rules_text

OF_TABLES: Final[Mapping[str, frozenset[str]]] = {
    "replication": frozenset({"id", "type"}),
    "capacity": frozenset({"min", "max"}),
    "source": frozenset(),
    "target": frozenset(),
    "mapping": frozenset({"include", "exclude", "file"}),
    "settings": frozenset({"file"}),
}
"""Keys of tables that have members of AWS's. All of `source` and `target` is for `endpoint_of`."""


@dataclass(frozen=True, kw_only=True)
class ReplicationDocument:
    """`members` are those of `CreateReplicationConfig`, without the endpoints' ARNs. `settings` is
    the document of `ReplicationSettings`, as it was given. `ours` are tables of the file that AWS
    does not know."""

    members: Document
    settings: Document
    ours: dict[str, Document]


def replication_of(
    document: Mapping[str, object],
    mappings: Document | None = None,
    settings: Document | None = None,
) -> ReplicationDocument:
    """Translate a file that was read and checked before.

    Args:
        document: the file, with `${NAME}` replaced.
        mappings: what the file that `[mapping] file` names holds.
        settings: what the file that `[settings] file` names holds.
    """
    head, capacity = _table(document, "replication"), _table(document, "capacity")
    low = capacity.get("min", UNITS_MIN)
    high = capacity.get("max", UNITS_MAX)
    members: Document = {
        "ReplicationConfigIdentifier": head.get("id"),
        "ReplicationType": str(head.get("type", ReplicationConfig.type)),
        "ComputeConfig": {"MinCapacityUnits": low, "MaxCapacityUnits": high},
        "TableMappings": rules_text(mappings or _rules(_table(document, "mapping"))),
    }
    return ReplicationDocument(members=members, settings=settings or {}, ours=_ours(document))


def _table(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    table = document.get(name)
    return table if isinstance(table, Mapping) else {}


def _ours(document: Mapping[str, object]) -> dict[str, Document]:
    """Tables with what is left of them, those that are empty left out."""
    made: dict[str, Document] = {}
    for name in document:
        if name in ("source", "target"):
            continue
        known = OF_TABLES.get(name, frozenset())
        rest = {key: value for key, value in _table(document, name).items() if key not in known}
        if rest:
            made[name] = rest
    return made


def _rules(mapping: Mapping[str, object]) -> Document:
    """`include` and `exclude` as rules of AWS's."""
    include, exclude = (_patterns(mapping.get(name)) for name in ("include", "exclude"))
    return {
        "rules": [
            {
                "rule-type": "selection",
                "rule-id": str(number),
                "rule-name": rule.id,
                "object-locator": {
                    "schema-name": rule.schema.text,
                    "table-name": rule.table.text,
                },
                "rule-action": rule.action.value,
            }
            for number, rule in enumerate(short_mapping(include, exclude).rules, 1)
        ]
    }


def _patterns(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()
