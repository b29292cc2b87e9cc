"""(pure) The event triggers that tell of schema changes, as SQL.

They write transactional logical messages: a message stands in the log where the change happened,
and a change that is rolled back leaves none. A message holds facts of the catalog: names, types,
attribute numbers, and the constant default of a column that is new, because existing rows have it.
Never the text of a statement, which holds values.

What the application may rely on: its statement never fails because of them (every error inside is
caught and becomes a WARNING), they lock nothing that others need, and they only look at catalogs,
with a fixed search_path. Commands that change no table are not looked at.

Any role may write a logical message with any prefix. So each of ours begins with a token, and a
message without it is not ours. The token stands in a table that only its owner, and whom the owner
lets, can read; the function reads it with its owner's rights (SECURITY DEFINER) for whoever runs
the statement. It calls nothing of anybody else's.

A message that could not be made is told as such (`unread`), so nobody guesses.
"""

from typing import Final

from connectors._sql.quoting import identifier, literal

VERSION: Final = 4
"""Of the messages and of the functions that write them; stands in each and in their comments."""

FUNCTION: Final = "penstock_capture_ddl"

PARTITION_FUNCTION: Final = "penstock_capture_partition_drop"
"""Tells of dropped partitions. It is STABLE, so its queries see the catalogs as they were before
the command."""

TOKEN: Final = "ddl_token"
_VALUE: Final = "pg_catalog.lpad(pg_catalog.to_hex(t.last_value), 15, '0')"

DEFAULT_SCHEMA: Final = "penstock"

TRIGGERS: Final = {
    "penstock_ddl": ("ddl_command_end", FUNCTION),
    "penstock_drop": ("sql_drop", FUNCTION),
    "penstock_partition_drop": ("sql_drop", PARTITION_FUNCTION),
    "penstock_rewrite": ("table_rewrite", FUNCTION),
}
"""Event triggers by name: event and function. They belong to a database, so all replications from
it share them."""

FUNCTIONS: Final = (FUNCTION, PARTITION_FUNCTION)

NOTE: Final = f"penstock schema change capture {VERSION}"
"""The functions' comment."""

SCHEMA_NOTE: Final = "made by penstock for its event triggers"
"""Comment of a schema that we made, and may drop again when it is empty."""

DEFAULT_BYTES_MAX: Final = 8192
"""A longer default is not told: a message is no place for it, and the table is loaded again."""

END_PREFIX: Final = "penstock-end"
"""Prefix of an empty message that only keeps ours apart from what follows."""

_TAGS: Final = (
    "ALTER TABLE", "CREATE TABLE", "CREATE TABLE AS", "SELECT INTO", "CREATE SCHEMA",
    "ALTER SCHEMA", "ALTER TYPE", "ALTER DOMAIN", "ALTER EXTENSION", "CREATE EXTENSION",
)  # fmt: skip
"""Commands after which a table's description may be another."""


def install(schema: str, *, make_schema: bool) -> list[str]:
    """Statements that make everything, or bring it to this version. `schema`: of the functions.

    What is there under our names and may be somebody else's is dropped, not replaced: a function
    that is replaced keeps its owner. The token of an owner who may be trusted stays, so that other
    replications still know it.
    """
    token = f"{identifier(schema)}.{TOKEN}"
    made = [
        f"CREATE SCHEMA {identifier(schema)}",
        f"COMMENT ON SCHEMA {identifier(schema)} IS {literal(SCHEMA_NOTE)}",
    ]
    return [
        *made * make_schema,
        _TOKEN.replace("@name", literal(token)).replace("@token", token),
        *_dropped(schema),
        *[text for name in FUNCTIONS for text in _function(schema, name, token)],
        *[text for name in TRIGGERS for text in _trigger(schema, name)],
    ]


def _function(schema: str, name: str, token: str) -> list[str]:
    function = f"{identifier(schema)}.{name}"
    text = (
        _BODIES[name]
        .replace("@settings", _SETTINGS)
        .replace("@describe", _DESCRIBE)
        .replace("@longest", str(DEFAULT_BYTES_MAX))
        .replace("@end", END_PREFIX)
        .replace("@version", str(VERSION))
        .replace("@function", function)
        .replace("@schema", literal(schema))
        .replace("@token", token)
        .replace("@value", _VALUE)
    )
    return [text, f"COMMENT ON FUNCTION {function}() IS {literal(NOTE)}"]


def _trigger(schema: str, name: str) -> list[str]:
    """ALWAYS: also in sessions with `session_replication_role = replica`."""
    event, function = TRIGGERS[name]
    tags = ", ".join(literal(tag) for tag in _TAGS)
    only = f" WHEN TAG IN ({tags})" if event == "ddl_command_end" else ""
    call = f"{identifier(schema)}.{function}()"
    return [
        f"CREATE EVENT TRIGGER {name} ON {event}{only} EXECUTE FUNCTION {call}",
        f"ALTER EVENT TRIGGER {name} ENABLE ALWAYS",
    ]


def remove(schema: str) -> list[str]:
    """Statements that drop the triggers, their functions and the token."""
    return [*_dropped(schema), f"DROP SEQUENCE IF EXISTS {identifier(schema)}.{TOKEN}"]


def _dropped(schema: str) -> list[str]:
    return [
        *[f"DROP EVENT TRIGGER IF EXISTS {name}" for name in TRIGGERS],
        *[f"DROP FUNCTION IF EXISTS {identifier(schema)}.{name}()" for name in FUNCTIONS],
    ]


def token_query(schema: str) -> str:
    """Reads the token; refused to a role that may not."""
    return f"SELECT {_VALUE} FROM {identifier(schema)}.{TOKEN} AS t"


def grants(schema: str, role: str) -> str:
    """What lets a role read the token."""
    name, to = identifier(schema), identifier(role)
    return f"GRANT USAGE ON SCHEMA {name} TO {to}; GRANT SELECT ON SEQUENCE {name}.{TOKEN} TO {to}"


def script(schema: str = DEFAULT_SCHEMA) -> str:
    """The same as `install`, for a superuser to run with psql."""
    statements = [f"CREATE SCHEMA IF NOT EXISTS {identifier(schema)}"]
    statements += install(schema, make_schema=False)
    return "BEGIN;\n" + "".join(f"{text.strip()};\n" for text in statements) + "COMMIT;\n"


FIND: Final = f"""
SELECT n.nspname::text AS schema,
  pg_catalog.obj_description(p.oid, 'pg_proc') AS note,
  pg_catalog.array_agg(t.evtname::text) AS triggers,
  pg_catalog.bool_and(t.evtenabled IN ('O', 'A')) AS enabled,
  pg_catalog.bool_and(pg_catalog.pg_has_role(t.evtowner, 'USAGE')) AS ours
FROM pg_catalog.pg_event_trigger t
JOIN pg_catalog.pg_proc p ON p.oid = t.evtfoid
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE t.evtname IN ({", ".join(literal(name) for name in TRIGGERS)})
  AND p.proname IN ({", ".join(literal(name) for name in FUNCTIONS)})
GROUP BY 1, 2
"""

ROLE: Final = """
SELECT r.rolname::text AS role, r.rolsuper AS superuser, EXISTS (
    SELECT FROM pg_catalog.pg_roles m
    WHERE m.rolname IN ('rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin')
      AND pg_catalog.pg_has_role(m.oid, 'MEMBER')) AS provider,
  EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1::text) AS schema
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user
"""

OTHERS: Final = """
SELECT pg_catalog.count(*) FROM pg_catalog.pg_publication p
WHERE pg_catalog.obj_description(p.oid, 'pg_publication') LIKE '{"penstock": %'
  AND p.pubname <> ALL ($1::text[])
UNION ALL
SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots s
WHERE s.plugin = 'pgoutput' AND s.database = pg_catalog.current_database()
  AND s.slot_name <> $2::text
ORDER BY 1 DESC LIMIT 1
"""
"""Signs of other replications, which still need the triggers: a publication with our note, or a
slot that may be read through a publication of the user's."""

SCHEMA_DROPPABLE: Final = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_namespace n
  WHERE n.nspname = $1::text AND pg_catalog.pg_has_role(n.nspowner, 'USAGE')
    AND pg_catalog.obj_description(n.oid, 'pg_namespace') = $2::text
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
      WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = n.oid))
"""

_TOKEN: Final = r"""
DO $penstock$
DECLARE
  there "char";
  trusted boolean;
  one record;
BEGIN
  SELECT c.relkind, r.rolsuper OR r.rolname = current_user INTO there, trusted
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
    WHERE c.oid = pg_catalog.to_regclass(@name);
  IF there = 'S' AND trusted THEN
    RETURN;
  END IF;
  IF there IS NOT NULL THEN
    EXECUTE pg_catalog.format('DROP %s @token', CASE there WHEN 'S' THEN 'SEQUENCE'
      WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
      ELSE 'TABLE' END);
  END IF;
  CREATE SEQUENCE @token;
  -- Default privileges may have let somebody in.
  FOR one IN
    SELECT DISTINCT a.grantee FROM pg_catalog.pg_class c
    CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a
    WHERE c.oid = pg_catalog.to_regclass(@name) AND a.grantee <> c.relowner
  LOOP
    EXECUTE pg_catalog.format('REVOKE ALL ON SEQUENCE @token FROM %s',
      CASE one.grantee WHEN 0 THEN 'PUBLIC'
        ELSE one.grantee::pg_catalog.regrole::text END);
  END LOOP;
  PERFORM pg_catalog.setval(@name, CAST(pg_catalog.concat('x',
    pg_catalog.left(pg_catalog.replace(pg_catalog.gen_random_uuid()::text, '-', ''), 12),
    pg_catalog.left(pg_catalog.gen_random_uuid()::text, 3)) AS bit(60))::int8);
END
$penstock$
"""
"""Who made it may be trusted, then it stays. A sequence and no table: a publication FOR ALL TABLES
of the user's would send the table to subscribers that do not have it. Its value can be read by
those only who may; 60 bits of it are random."""

_SETTINGS: Final = """\
SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s'
SET datestyle = 'ISO, YMD' SET intervalstyle = 'postgres' SET timezone = 'UTC'
SET extra_float_digits = 1 SET bytea_output = 'hex' SET jit = off"""

_DESCRIBE: Final = r"""
  FOR one IN
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY (tables) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
      AND NOT c.relispartition AND n.nspname !~ '^pg_'
      AND n.nspname NOT IN ('information_schema', @schema)
    ORDER BY c.oid
  LOOP
    told := true;
    BEGIN
      SELECT token || json_build_object('v', @version, 'event', 'table', 'oid', c.oid::int8,
        'schema', n.nspname, 'name', c.relname, 'identity', c.relreplident,
        'primary', (SELECT json_agg(k.attnum ORDER BY k.place)
          FROM pg_index i
          CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
          WHERE i.indrelid = c.oid AND i.indisvalid AND i.indisprimary
            AND k.place <= i.indnkeyatts),
        'key', (SELECT json_agg(k.attnum ORDER BY k.place)
          FROM pg_index i
          CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place)
          WHERE i.indrelid = c.oid AND i.indisvalid AND i.indimmediate
            AND k.place <= i.indnkeyatts
            AND CASE c.relreplident WHEN 'd' THEN i.indisprimary
              WHEN 'i' THEN i.indisreplident ELSE false END),
        'columns', (SELECT coalesce(json_agg(json_build_object(
            'number', a.attnum, 'name', a.attname, 'oid', a.atttypid::int8, 'mod', a.atttypmod,
            'type', format_type(a.atttypid, a.atttypmod), 'nullable', NOT a.attnotnull,
            'new', age(a.xmin) <= 0, 'default', f.told) ORDER BY a.attnum), '[]'::json)
          FROM pg_attribute a
          JOIN pg_type t ON t.oid = a.atttypid
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
          -- A partitioned table stores nothing itself; what its rows have stands at a partition.
          LEFT JOIN LATERAL (
            SELECT l.atthasmissing AS has, array_to_string(l.attmissingval, '') AS value
            FROM pg_attribute l
            WHERE age(a.xmin) <= 0 AND l.attname = a.attname AND l.attrelid = CASE c.relkind
              WHEN 'r' THEN c.oid
              ELSE (SELECT p.relid FROM pg_partition_tree(c.oid) p WHERE p.isleaf LIMIT 1) END
          ) s ON true
          CROSS JOIN LATERAL (SELECT CASE
            WHEN age(a.xmin) > 0 THEN NULL
            WHEN s.has AND length(s.value) <= @longest THEN json_build_object('value', s.value)
            WHEN s.has THEN json_build_object('long', true)
            WHEN a.attidentity <> '' THEN json_build_object('computed', true)
            WHEN d.oid IS NULL AND t.typdefaultbin IS NULL THEN NULL
            WHEN d.oid IS NOT NULL
              AND length(pg_get_expr(d.adbin, d.adrelid)) <= @longest
              AND d.adbin::text !~
                '[{](SQLVALUEFUNCTION|NEXTVALUEEXPR|COERCEVIAIO|SUBLINK|PARAM|XMLEXPR)'
              AND NOT EXISTS (
                SELECT FROM regexp_matches(d.adbin::text, ':(?:op)?funcid ([0-9]+)', 'g') m(ids)
                LEFT JOIN pg_proc p ON p.oid = m.ids[1]::oid
                WHERE p.provolatile IS DISTINCT FROM 'i')
              THEN json_build_object('expression', pg_get_expr(d.adbin, d.adrelid))
            ELSE json_build_object('computed', true) END) AS f(told)
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            AND a.attgenerated = ''))::text
      INTO content
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = one;
      PERFORM pg_logical_emit_message(true, 'penstock', convert_to(content, 'UTF8'));
    EXCEPTION WHEN OTHERS THEN
      GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE;
      PERFORM pg_logical_emit_message(true, 'penstock', convert_to(token || json_build_object(
        'v', @version, 'event', 'unread', 'oid', one::int8, 'sqlstate', state)::text, 'UTF8'));
    END;
  END LOOP;
  -- A message counts from where its record ends, which is where the next row's record begins; when
  -- the two belong to different subtransactions the row may then come first. Not with one between.
  IF told THEN
    PERFORM pg_logical_emit_message(true, '@end', '');
  END IF;
"""
"""Describes `tables`, with `told` whether anything was said."""

_FUNCTION: Final = r"""
CREATE FUNCTION @function() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
@settings
AS $penstock$
DECLARE
  tables oid[];
  one oid;
  stack text;
  content text;
  state text;
  token text;
  told boolean := false;
BEGIN
  SELECT @value INTO STRICT token FROM @token t;

  IF tg_event = 'table_rewrite' THEN
    GET DIAGNOSTICS stack = PG_CONTEXT;
    one := pg_event_trigger_table_rewrite_oid();
    one := coalesce(pg_partition_root(one), one);
    -- `plain`: sent by the client itself, and nowhere in what it sent stands USING, so a column
    -- that changed its type was converted by the types' own cast.
    PERFORM pg_logical_emit_message(true, 'penstock', convert_to(token || json_build_object(
      'v', @version, 'event', 'rewrite', 'oid', one::int8,
      'reason', pg_event_trigger_table_rewrite_reason(),
      'plain', strpos(stack, E'\n') = 0 AND current_query() ~* 'alter'
        AND current_query() !~* 'using')::text, 'UTF8'));
    PERFORM pg_logical_emit_message(true, '@end', '');
    RETURN;
  END IF;

  IF tg_event = 'sql_drop' THEN
    FOR content IN
      SELECT token || json_build_object('v', @version, 'event', 'drop', 'oid', d.objid::int8,
        'schema', d.schema_name, 'name', d.object_name)::text
      FROM pg_event_trigger_dropped_objects() d
      WHERE d.object_type = 'table' AND d.objsubid = 0 AND NOT d.is_temporary
    LOOP
      PERFORM pg_logical_emit_message(true, 'penstock', convert_to(content, 'UTF8'));
      told := true;
    END LOOP;
    -- Columns that went with something else (DROP TYPE ... CASCADE).
    tables := ARRAY(
      SELECT DISTINCT d.objid FROM pg_event_trigger_dropped_objects() d
      WHERE d.object_type = 'table column' AND NOT d.is_temporary AND tg_tag <> 'ALTER TABLE');
  ELSE
    tables := ARRAY(
      WITH RECURSIVE touched AS (
        SELECT d.classid, d.objid FROM pg_event_trigger_ddl_commands() d
        WHERE d.schema_name IS DISTINCT FROM 'pg_temp' AND d.classid IN (
          'pg_class'::regclass, 'pg_type'::regclass, 'pg_namespace'::regclass)
      ), reached AS (
        SELECT t.classid, t.objid FROM touched t
        UNION
        SELECT 'pg_class'::regclass::oid, c.oid FROM touched t
        JOIN pg_class c ON c.relnamespace = t.objid
        WHERE t.classid = 'pg_namespace'::regclass AND tg_tag = 'ALTER SCHEMA'
        UNION
        SELECT n.classid, n.objid FROM reached r CROSS JOIN LATERAL (
          SELECT 'pg_class'::regclass::oid AS classid, i.inhrelid AS objid FROM pg_inherits i
          WHERE r.classid = 'pg_class'::regclass AND i.inhparent = r.objid
          UNION ALL
          SELECT 'pg_type'::regclass::oid, c.reltype FROM pg_class c
          WHERE r.classid = 'pg_class'::regclass AND c.oid = r.objid
            AND c.relkind IN ('r', 'p', 'c')
          UNION ALL
          SELECT d.classid, d.objid FROM pg_depend d
          WHERE r.classid = 'pg_type'::regclass AND d.refclassid = 'pg_type'::regclass
            AND d.refobjid = r.objid
            AND d.classid IN ('pg_type'::regclass, 'pg_class'::regclass)
        ) n
      )
      SELECT DISTINCT r.objid FROM reached r WHERE r.classid = 'pg_class'::regclass);

    -- The innermost statement, when another one runs it.
    GET DIAGNOSTICS stack = PG_CONTEXT;
    IF strpos(stack, E'\n') = 0 THEN
      stack := current_query();
    END IF;
    FOR one, content IN
      SELECT DISTINCT r.root, CASE WHEN stack ~* '\mdetach\M' THEN 'detached' ELSE 'attached' END
      FROM pg_event_trigger_ddl_commands() d
      JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'p'
      CROSS JOIN LATERAL (SELECT coalesce(pg_partition_root(c.oid), c.oid) AS root) r
      WHERE tg_tag = 'ALTER TABLE' AND d.classid = 'pg_class'::regclass AND (
        stack ~* '\mdetach\M' OR stack ~* '\mattach\M' AND EXISTS (
          SELECT FROM pg_inherits i CROSS JOIN LATERAL pg_partition_tree(i.inhrelid) p
          WHERE i.inhparent = c.oid AND age(i.xmin) <= 0 AND pg_relation_size(p.relid) > 0))
    LOOP
      PERFORM pg_logical_emit_message(true, 'penstock', convert_to(token || json_build_object(
        'v', @version, 'event', 'partition', 'oid', one::int8, 'what', content)::text, 'UTF8'));
      tables := tables || one;
    END LOOP;
  END IF;

@describeEXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'penstock could not note a schema change (SQLSTATE %)', SQLSTATE;
END
$penstock$
"""

_PARTITION_FUNCTION: Final = r"""
CREATE FUNCTION @function() RETURNS event_trigger LANGUAGE plpgsql STABLE SECURITY DEFINER
@settings
AS $penstock$
DECLARE
  tables oid[];
  one oid;
  content text;
  state text;
  token text;
  told boolean := false;
BEGIN
  SELECT @value INTO STRICT token FROM @token t;

  -- What was dropped still has its parents here: a STABLE function sees what the command saw.
  tables := ARRAY(
    WITH RECURSIVE gone AS (
      SELECT d.objid FROM pg_event_trigger_dropped_objects() d
      WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND NOT d.is_temporary
    ), above AS (
      SELECT i.inhparent AS oid FROM gone g JOIN pg_inherits i ON i.inhrelid = g.objid
      UNION
      SELECT i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.oid
    )
    SELECT c.oid FROM above a JOIN pg_class c ON c.oid = a.oid
    WHERE c.relkind = 'p' AND NOT c.relispartition AND c.oid NOT IN (SELECT objid FROM gone));
  FOREACH one IN ARRAY tables LOOP
    PERFORM pg_logical_emit_message(true, 'penstock', convert_to(token || json_build_object(
      'v', @version, 'event', 'partition', 'oid', one::int8, 'what', 'dropped')::text, 'UTF8'));
  END LOOP;

@describeEXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'penstock could not note a dropped partition (SQLSTATE %)', SQLSTATE;
END
$penstock$
"""

_BODIES: Final = {FUNCTION: _FUNCTION, PARTITION_FUNCTION: _PARTITION_FUNCTION}
