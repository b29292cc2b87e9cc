"""Catalog queries behind table definitions. (pure)

Each takes the tables' OIDs as $1 and names the table of a row `relation`. They run with an empty
search path: every name the server prints is then qualified.
"""

from typing import Final

TABLES: Final = """
SELECT wanted.n, c.oid, pg_get_partkeydef(c.oid) AS partition_key, size.rows, size.bytes
FROM unnest($1::text[]) WITH ORDINALITY wanted(name, n)
JOIN pg_class c ON c.oid = to_regclass(wanted.name) AND c.relkind IN ('r', 'p')
CROSS JOIN LATERAL (
  SELECT coalesce(sum(pg_table_size(l.oid)), 0)::int8 AS bytes,
    coalesce(sum(CASE WHEN l.relpages > 0 AND l.reltuples >= 0 THEN
      l.reltuples / l.relpages
        * (pg_relation_size(l.oid) / current_setting('block_size')::int8) END), 0)::int8 AS rows
  FROM pg_class l
  WHERE l.relkind <> 'p' AND (l.oid = c.oid OR (c.relkind = 'p'
    AND l.oid IN (SELECT relid FROM pg_partition_tree(c.oid) WHERE isleaf)))
) size
ORDER BY wanted.n
"""
"""$1: quoted names. `n` is a name's place in it, from 1; absent tables give no row."""

COLUMNS: Final = """
SELECT a.attrelid AS relation, a.attname, a.atttypid, format_type(a.atttypid, a.atttypmod) AS type,
  a.attnotnull AND NOT EXISTS (
    SELECT FROM pg_constraint n WHERE n.conrelid = a.attrelid AND n.contype = 'n'
      AND n.conkey = ARRAY[a.attnum] AND NOT n.convalidated) AS attnotnull,
  a.attidentity::text AS identity, a.attgenerated::text AS generated,
  pg_get_expr(d.adbin, d.adrelid) AS expression,
  CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END
    AS collation
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""
"""A NOT NULL that is not validated (PostgreSQL 18) does not keep NULLs from being there already."""

CONSTRAINTS: Final = """
SELECT c.conrelid AS relation, c.contype, c.conname, quote_ident(c.conname) AS name,
  pg_get_constraintdef(c.oid) AS definition,
  ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(attnum, n)
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.attnum ORDER BY k.n)
    AS columns,
  pn.nspname AS parent_schema, p.relname AS parent_name
FROM pg_constraint c
LEFT JOIN pg_class p ON p.oid = c.confrelid
LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
WHERE c.conrelid = ANY($1::oid[]) AND c.contype IN ('p', 'u', 'x', 'c', 'f')
  AND c.conparentid = 0 AND (c.contype <> 'f' OR c.confrelid = ANY($1::oid[]))
ORDER BY c.conrelid, c.conname
"""

INDEXES: Final = """
SELECT i.indrelid AS relation, c.relname,
  replace(pg_get_indexdef(i.indexrelid), format('INDEX %I ON ONLY ', c.relname),
          format('INDEX %I ON ', c.relname)) AS definition,
  ARRAY(SELECT coalesce(a.attname::text, '')
        FROM unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, n)
        LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
        WHERE k.n <= i.indnkeyatts ORDER BY k.n) AS columns
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = ANY($1::oid[]) AND i.indisvalid AND i.indislive
  AND NOT EXISTS (SELECT FROM pg_constraint k
                  WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY i.indrelid, c.relname
"""
"""Indexes that no constraint makes. A partitioned table's `ON ONLY` would leave partitions out."""

SEQUENCES: Final = """
WITH used AS (
  SELECT d.refobjid AS relation, d.objid AS sequence, d.deptype, a.attname AS column
  FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
    AND d.refobjid = ANY($1::oid[]) AND d.deptype IN ('a', 'i')
  UNION ALL
  SELECT f.adrelid, d.refobjid, 'n', NULL
  FROM pg_attrdef f JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
    AND d.refclassid = 'pg_class'::regclass
  WHERE f.adrelid = ANY($1::oid[])
)
SELECT DISTINCT ON (used.relation, c.oid) used.relation, used.deptype, used.column,
  n.nspname AS schema, c.relname AS name, format_type(s.seqtypid, NULL) AS type,
  format('INCREMENT BY %s MINVALUE %s MAXVALUE %s START WITH %s CACHE %s%s', s.seqincrement,
         s.seqmin, s.seqmax, s.seqstart, s.seqcache, CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END)
    AS options,
  CASE WHEN has_sequence_privilege(c.oid, 'USAGE, SELECT') THEN pg_sequence_last_value(c.oid) END
    AS last
FROM used JOIN pg_class c ON c.oid = used.sequence AND c.relkind = 'S'
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_sequence s ON s.seqrelid = c.oid
ORDER BY used.relation, c.oid, used.column NULLS LAST
"""
