"""User-defined types, read from a catalog as statements that make them again.

The same reading on source and target gives equal statements for equal types, so a type that is
already on the target is compared by its statement. Types that belong to an extension come as that
extension; a base type of its own with functions in C cannot be made here and is left to the person.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import asyncpg

from connectors._sql.quoting import identifier, literal, qualified
from engine.model.relation import TableName
from engine.model.table import TypeDefinition

MULTIRANGES_FROM: Final = 140000
"""Server version that makes a multirange type with each range type."""

UNMADE_SCHEMAS: Final = frozenset({"pg_catalog", "information_schema"})
"""Schemas every database has."""

_MULTIRANGE: Final = ", MULTIRANGE_TYPE_NAME = "
"""The last option of a range type's statement."""

_DEPTH_MAX: Final = 64
"""Rounds of following types into their parts; a type nested deeper is no type."""


@dataclass(frozen=True, slots=True)
class UserTypes:
    """Types by OID, with what each is made of, in no particular order."""

    definitions: Mapping[int, Sequence[TypeDefinition]]
    parts: Mapping[int, Sequence[int]] = field(default_factory=dict[int, Sequence[int]])

    def needed(self, oids: Iterable[int]) -> tuple[TypeDefinition, ...]:
        """What must exist for these types, each once, parts before wholes."""
        found: dict[tuple[str, TableName], TypeDefinition] = {}
        for definition in self._walk(oids, set()):
            found.setdefault((definition.kind, definition.name), definition)
        return tuple(found.values())

    def _walk(self, oids: Iterable[int], seen: set[int]) -> Iterator[TypeDefinition]:
        for oid in oids:
            if oid in seen:
                continue
            seen.add(oid)
            yield from self._walk(self.parts.get(oid, ()), seen)
            yield from self.definitions.get(oid, ())


Fetch: TypeAlias = Callable[[str, Sequence[int]], Awaitable[Sequence[asyncpg.Record]]]
"""Asks a query about OIDs on a connection prepared by `load_connection`: names come out qualified.
"""


async def read_types(fetch: Fetch, oids: Iterable[int]) -> UserTypes:
    """The user-defined types among these, and all that they are made of."""
    definitions: dict[int, Sequence[TypeDefinition]] = {}
    parts: dict[int, Sequence[int]] = {}
    wanted = set(oids)
    for _ in range(_DEPTH_MAX):
        rows = await fetch(_TYPES, sorted(wanted))
        for row in rows:
            definitions[row["oid"]] = tuple(_definitions(row))
            parts[row["oid"]] = _parts(row)
        wanted = {part for row in rows for part in parts[row["oid"]]} - parts.keys()
        if not wanted:
            break
    return UserTypes(definitions, parts)


def schema_definition(schema: str) -> TypeDefinition:
    return TypeDefinition(
        TableName(schema, ""), "schema", f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}"
    )


def _parts(row: asyncpg.Record) -> Sequence[int]:
    if row["extension"] is not None:
        return ()
    related = (row["typbasetype"], row["typelem"], row["rngsubtype"], row["of_multirange"])
    return [*(oid for oid in related if oid), *row["attribute_types"]]


def _definitions(row: asyncpg.Record) -> Iterator[TypeDefinition]:
    """The type's own statement, after its schema's; nothing for arrays and multiranges."""
    if row["extension"] is not None:
        yield from _extension(row["extension"], row["extension_schema"])
        return
    make = _MAKERS.get(row["typtype"])
    if make is None or row["is_array"] or row["is_table"]:
        return
    name = TableName(row["schema"], row["name"])
    kind, statement = make(row, qualified(*_pair(name)))
    yield schema_definition(name.schema)
    yield TypeDefinition(name, kind, statement)


def _extension(name: str, schema: str) -> Iterator[TypeDefinition]:
    place = ""
    if schema not in UNMADE_SCHEMAS:
        yield schema_definition(schema)
        place = f" WITH SCHEMA {identifier(schema)}"
    statement = f"CREATE EXTENSION IF NOT EXISTS {identifier(name)}{place}"
    yield TypeDefinition(TableName("", name), "extension", statement)


def _enum(row: asyncpg.Record, name: str) -> tuple[str, str]:
    labels = ", ".join(literal(label).lstrip() for label in row["labels"])
    return "enum", f"CREATE TYPE {name} AS ENUM ({labels})"


def _domain(row: asyncpg.Record, name: str) -> tuple[str, str]:
    pieces = [f"CREATE DOMAIN {name} AS {row['base']}"]
    if row["collation"] is not None:
        pieces.append(f"COLLATE {row['collation']}")
    if row["typdefault"] is not None:
        pieces.append(f"DEFAULT {row['typdefault']}")
    pieces += ["NOT NULL"] * bool(row["typnotnull"])
    pieces += row["checks"]
    return "domain", " ".join(pieces)


def _composite(row: asyncpg.Record, name: str) -> tuple[str, str]:
    return "composite", f"CREATE TYPE {name} AS ({', '.join(row['attributes'])})"


def _range(row: asyncpg.Record, name: str) -> tuple[str, str]:
    options = {
        "SUBTYPE": row["subtype"],
        "SUBTYPE_OPCLASS": row["subtype_opclass"],
        "COLLATION": row["range_collation"],
        "CANONICAL": row["canonical"],
        "SUBTYPE_DIFF": row["subtype_diff"],
    }
    text = ", ".join(f"{key} = {value}" for key, value in options.items() if value is not None)
    multirange = "" if row["multirange"] is None else f"{_MULTIRANGE}{row['multirange']}"
    return "range", f"CREATE TYPE {name} AS RANGE ({text}{multirange})"


def made_if_missing(definition: TypeDefinition, version: int) -> str:
    """A statement that makes what is missing on a server of this version, and is no error where
    another session makes the same at the same time."""
    name, kind = definition.name, definition.kind
    if kind == "schema":
        missing = f"to_regnamespace({literal(identifier(name.schema))}) IS NULL"
    elif kind == "extension":
        missing = f"NOT EXISTS (SELECT FROM pg_extension WHERE extname = {literal(name.name)})"
    else:
        missing = f"to_regtype({literal(qualified(*_pair(name)))}) IS NULL"
    old = version < MULTIRANGES_FROM
    statement = without_multirange(definition) if old else definition.statement
    body = (
        f"BEGIN IF {missing} THEN {statement}; END IF;"
        " EXCEPTION WHEN duplicate_object OR duplicate_schema OR unique_violation THEN NULL; END"
    )
    return f"DO {literal(body)}"


def without_multirange(definition: TypeDefinition) -> str:
    """The statement as a server takes and tells it that has no multiranges."""
    if definition.kind != "range":
        return definition.statement
    return definition.statement.partition(_MULTIRANGE)[0].removesuffix(")") + ")"


def _pair(name: TableName) -> tuple[str, str]:
    return name.schema, name.name


_MAKERS: Final = {b"e": _enum, b"d": _domain, b"c": _composite, b"r": _range}

_TYPES: Final = """
SELECT t.oid, n.nspname AS schema, t.typname AS name, t.typtype, t.typbasetype, t.typelem,
  t.typnotnull, t.typdefault,
  t.typelem <> 0 AND t.typcategory = 'A' AS is_array,
  coalesce(k.relkind <> 'c', false) AS is_table,
  e.extname AS extension, en.nspname AS extension_schema,
  CASE WHEN t.typbasetype <> 0 THEN format_type(t.typbasetype, t.typtypmod) END AS base,
  CASE WHEN t.typbasetype <> 0 AND t.typcollation <> b.typcollation
    THEN t.typcollation::regcollation::text END AS collation,
  ARRAY(SELECT enumlabel::text FROM pg_enum l WHERE l.enumtypid = t.oid ORDER BY enumsortorder)
    AS labels,
  ARRAY(SELECT format('CONSTRAINT %I %s', conname, pg_get_constraintdef(c.oid))
        FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c' ORDER BY conname)
    AS checks,
  ARRAY(SELECT format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
          || CASE WHEN a.attcollation <> y.typcollation
             THEN ' COLLATE ' || a.attcollation::regcollation::text ELSE '' END
        FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped AND k.relkind = 'c'
        ORDER BY a.attnum) AS attributes,
  ARRAY(SELECT a.atttypid FROM pg_attribute a
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped AND k.relkind = 'c')
    AS attribute_types,
  r.rngsubtype, m.rngtypid AS of_multirange, format_type(r.rngsubtype, NULL) AS subtype,
  (SELECT format('%I.%I', on_.nspname, o.opcname) FROM pg_opclass o
   JOIN pg_namespace on_ ON on_.oid = o.opcnamespace WHERE o.oid = r.rngsubopc)
    AS subtype_opclass,
  CASE WHEN r.rngcollation <> 0 THEN r.rngcollation::regcollation::text END AS range_collation,
  CASE WHEN r.rngcanonical <> 0 THEN r.rngcanonical::text END AS canonical,
  CASE WHEN r.rngsubdiff <> 0 THEN r.rngsubdiff::text END AS subtype_diff,
  CASE WHEN r.rngsubtype IS NOT NULL THEN
    (SELECT format('%I.%I', mn.nspname, mt.typname) FROM pg_type mt
     JOIN pg_namespace mn ON mn.oid = mt.typnamespace
     WHERE mt.oid = (to_jsonb(r) ->> 'rngmultitypid')::oid) END AS multirange
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type b ON b.oid = t.typbasetype
LEFT JOIN pg_class k ON k.oid = t.typrelid
LEFT JOIN pg_range r ON r.rngtypid = t.oid
LEFT JOIN pg_range m ON (to_jsonb(m) ->> 'rngmultitypid')::oid = t.oid
LEFT JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
LEFT JOIN pg_extension e ON e.oid = d.refobjid
LEFT JOIN pg_namespace en ON en.oid = e.extnamespace
WHERE t.oid = ANY($1::oid[]) AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""
