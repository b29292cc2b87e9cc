"""Names as PostgreSQL itself prints them: quoted where it has to be so. (pure)

A definition made elsewhere is compared with what a server prints of the object that was made of it.

See: `quote_identifier` in ruleutils.c; `pg_get_keywords()` of PostgreSQL 18 for the words.
"""

import re
from typing import Final

from connectors._sql.quoting import identifier

_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
_LIST: Final = """
    all analyse analyze and any array as asc asymmetric authorization between bigint binary bit
    boolean both case cast char character check coalesce collate collation column concurrently
    constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user dec decimal default deferrable desc distinct do
    else end except exists extract false fetch float for foreign freeze from full grant greatest
    group grouping having ilike in initially inner inout int integer intersect interval into is
    isnull join json json_array json_arrayagg json_exists json_object json_objectagg json_query
    json_scalar json_serialize json_table json_value lateral leading least left like limit
    localtime localtimestamp merge_action national natural nchar none normalize not notnull null
    nullif numeric offset on only or order out outer overlaps overlay placing position precision
    primary real references returning right row select session_user setof similar smallint some
    substring symmetric system_user table tablesample then time timestamp to trailing treat trim
    true union unique user using values varchar variadic verbose when where window with
    xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot
    xmlserialize xmltable
"""
_WORDS: Final = frozenset(_LIST.split())
"""Key words that are not unreserved."""


def printed(name: str) -> str:
    """The name as the server prints it. Raises ValueError for one that cannot be."""
    return name if _PLAIN.fullmatch(name) and name not in _WORDS else identifier(name)


def printed_table(schema: str, name: str) -> str:
    return f"{printed(schema)}.{printed(name)}"
