"""(pure) What types are made of: canonical texts to compare two catalogs by, and which of them can
be sent or taken in binary form.

The query gives one JSON text a row, so any driver can run it; both sides of a replication use it,
and equal texts mean equal types.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

FIRST_USER_OID: Final = 16384
"""OIDs from here on are given by a database (transam.h, FirstNormalObjectId)."""

REG_TYPES: Final = frozenset({24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191})
"""regproc, regprocedure, regoper, regoperator, regclass, regtype, regconfig, regdictionary,
regnamespace, regrole, regcollation: in binary form a number that means nothing elsewhere."""

ONE_WAY_TYPES: Final = frozenset({22, 30, 3615})
"""int2vector, oidvector, tsquery: the empty value is sent in binary form and no server takes that
form back (22P03, XX000), at any depth."""

_TEXT_ONLY: Final = REG_TYPES | ONE_WAY_TYPES


def type_query(oids: Iterable[int]) -> str:
    """The query for these types; its rows go to `TypeFacts.add`."""
    wanted = ",".join(str(int(oid)) for oid in sorted(oids))
    return _QUERY.format(oids=wanted)


class TypeFacts:
    """Types by OID. Filled in rounds: `missing` names what the known ones are made of."""

    def __init__(self, oids: Iterable[int]) -> None:
        self._types: dict[int, dict[str, Any]] = {}
        self._asked: set[int] = set()
        self._wanted = set(oids)

    def missing(self) -> set[int]:
        """OIDs to ask for next; empty when everything is known. Each is named once."""
        wanted = self._wanted - self._asked
        self._asked |= wanted
        return wanted

    def add(self, rows: Iterable[str]) -> None:
        for text in rows:
            row = json.loads(text)
            self._types[row["oid"]] = row
            self._wanted.update(_parts(row))

    def definition(self, oid: int) -> str:
        """The canonical text; empty for a built-in type or one that is no longer there."""
        row = self._types.get(oid)
        if row is None:
            return ""
        if row["oid"] >= FIRST_USER_OID:
            return self._text(row)
        inner = self.definition(row["element"] or 0)
        return f"array({inner})" if inner else ""

    def has_send(self, oid: int) -> bool:
        """Whether the server sends values of this type in binary form; True when unknown."""
        row = self._types.get(oid)
        return row is None or bool(row["send"])

    def receivable(self, oid: int) -> bool:
        """Whether the server takes values of this type, and of every part of it, in binary form;
        True when unknown."""
        return all(row["receive"] for _, row in self._walk(oid, 0))

    def unsendable(self, oid: int) -> bool:
        """Whether a part of it, at any depth, breaks a binary stream, loses its meaning there, or
        has values that no server takes back."""
        return any(
            row["oid"] in _TEXT_ONLY or (depth and not row["send"])
            for depth, row in self._walk(oid, 0)
        )

    def _walk(self, oid: int, depth: int) -> Iterable[tuple[int, dict[str, Any]]]:
        row = self._types.get(oid)
        if row is None:
            return
        yield depth, row
        for part in _parts(row):
            yield from self._walk(part, depth + 1)

    def _text(self, row: dict[str, Any]) -> str:
        if row["element"]:
            return f"array({self._part(row['element'])})"
        if row["kind"] == "e":
            return f"enum({json.dumps(row['labels'], ensure_ascii=False)})"
        if row["kind"] == "c":
            parts = [f"{json.dumps(a[0], ensure_ascii=False)} {a[2]}{self._nested(a[1])}"
                     for a in row["attributes"] or ()]  # fmt: skip
            return f"composite({', '.join(parts)})"
        if row["kind"] == "d":
            rules = " ".join(["not null"] * row["not_null"] + row["checks"])
            return f"domain({row['base_name']}{self._nested(row['base'])} {rules})"
        if row["kind"] in "rm":
            word = "range" if row["kind"] == "r" else "multirange"
            return f"{word}({self._part(row['subtype'] or row['range'])})"
        return f"base({row['extension'] or ''})"

    def _part(self, oid: int) -> str:
        row = self._types.get(oid)
        return "" if row is None else row["name"] + self._nested(oid)

    def _nested(self, oid: int) -> str:
        text = self.definition(oid)
        return f" = {text}" if text else ""


def _parts(row: dict[str, Any]) -> list[int]:
    related = (row["element"], row["base"], row["subtype"], row["range"])
    return [*(oid for oid in related if oid), *(a[1] for a in row["attributes"] or ())]


_QUERY: Final = """
SELECT pg_catalog.json_build_object(
  'oid', t.oid::int8, 'name', pg_catalog.format_type(t.oid, NULL), 'kind', t.typtype,
  'send', t.typsend <> 0, 'receive', t.typreceive <> 0,
  'element', CASE WHEN t.typlen = -1 AND t.typcategory = 'A' THEN t.typelem::int8 ELSE 0 END,
  'base', t.typbasetype::int8, 'not_null', t.typnotnull,
  'base_name', CASE WHEN t.typbasetype <> 0
    THEN pg_catalog.format_type(t.typbasetype, t.typtypmod) END,
  'labels', (SELECT pg_catalog.json_agg(l.enumlabel ORDER BY l.enumsortorder)
    FROM pg_catalog.pg_enum l WHERE l.enumtypid = t.oid),
  'checks', ARRAY(SELECT pg_catalog.pg_get_constraintdef(c.oid) FROM pg_catalog.pg_constraint c
    WHERE c.contypid = t.oid AND c.contype = 'c' ORDER BY 1),
  'attributes', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(
      a.attname, a.atttypid::int8, pg_catalog.format_type(a.atttypid, a.atttypmod))
      ORDER BY a.attnum)
    FROM pg_catalog.pg_attribute a
    WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped),
  'subtype', r.rngsubtype::int8, 'range', m.rngtypid::int8,
  'extension', (SELECT e.extname FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
    WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e'
    LIMIT 1)
)::text
FROM pg_catalog.pg_type t
LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid
LEFT JOIN pg_catalog.pg_range m
  ON t.typtype = 'm' AND (pg_catalog.to_jsonb(m) ->> 'rngmultitypid')::oid = t.oid
WHERE t.oid = ANY (ARRAY[{oids}]::oid[])
"""
