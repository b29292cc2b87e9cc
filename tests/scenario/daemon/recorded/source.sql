-- What was made on the source, as pg_dump writes it. Never changed.
CREATE SCHEMA penstock;
COMMENT ON SCHEMA penstock IS 'made by penstock for its event triggers';
CREATE FUNCTION penstock.penstock_capture_ddl() RETURNS event_trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET "DateStyle" TO 'ISO, YMD'
    SET "IntervalStyle" TO 'postgres'
    SET "TimeZone" TO 'UTC'
    SET extra_float_digits TO '1'
    SET bytea_output TO 'hex'
    SET jit TO 'off'
    AS $$
DECLARE
  tables oid[];
  one oid;
  stack text;
  content text;
  state text;
  token text;
  told boolean := false;
BEGIN
  SELECT pg_catalog.lpad(pg_catalog.to_hex(t.last_value), 15, '0') INTO STRICT token FROM "penstock".ddl_token t;
  IF tg_event = 'table_rewrite' THEN
    GET DIAGNOSTICS stack = PG_CONTEXT;
    one := pg_event_trigger_table_rewrite_oid();
    one := coalesce(pg_partition_root(one), one);
    -- `plain`: sent by the client itself, and nowhere in what it sent stands USING, so a column
    -- that changed its type was converted by the types' own cast.
    PERFORM pg_logical_emit_message(true, 'penstock', convert_to(token || json_build_object(
      'v', 4, 'event', 'rewrite', 'oid', one::int8,
      'reason', pg_event_trigger_table_rewrite_reason(),
      'plain', strpos(stack, E'\n') = 0 AND current_query() ~* 'alter'
        AND current_query() !~* 'using')::text, 'UTF8'));
    PERFORM pg_logical_emit_message(true, 'penstock-end', '');
    RETURN;
  END IF;
  IF tg_event = 'sql_drop' THEN
    FOR content IN
      SELECT token || json_build_object('v', 4, 'event', 'drop', 'oid', d.objid::int8,
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
        'v', 4, 'event', 'partition', 'oid', one::int8, 'what', content)::text, 'UTF8'));
      tables := tables || one;
    END LOOP;
  END IF;
  FOR one IN
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY (tables) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
      AND NOT c.relispartition AND n.nspname !~ '^pg_'
      AND n.nspname NOT IN ('information_schema', 'penstock')
    ORDER BY c.oid
  LOOP
    told := true;
    BEGIN
      SELECT token || json_build_object('v', 4, 'event', 'table', 'oid', c.oid::int8,
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
            WHEN s.has AND length(s.value) <= 8192 THEN json_build_object('value', s.value)
            WHEN s.has THEN json_build_object('long', true)
            WHEN a.attidentity <> '' THEN json_build_object('computed', true)
            WHEN d.oid IS NULL AND t.typdefaultbin IS NULL THEN NULL
            WHEN d.oid IS NOT NULL
              AND length(pg_get_expr(d.adbin, d.adrelid)) <= 8192
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
        'v', 4, 'event', 'unread', 'oid', one::int8, 'sqlstate', state)::text, 'UTF8'));
    END;
  END LOOP;
  -- A message counts from where its record ends, which is where the next row's record begins; when
  -- the two belong to different subtransactions the row may then come first. Not with one between.
  IF told THEN
    PERFORM pg_logical_emit_message(true, 'penstock-end', '');
  END IF;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'penstock could not note a schema change (SQLSTATE %)', SQLSTATE;
END
$$;
COMMENT ON FUNCTION penstock.penstock_capture_ddl() IS 'penstock schema change capture 4';
CREATE FUNCTION penstock.penstock_capture_partition_drop() RETURNS event_trigger
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '1s'
    SET "DateStyle" TO 'ISO, YMD'
    SET "IntervalStyle" TO 'postgres'
    SET "TimeZone" TO 'UTC'
    SET extra_float_digits TO '1'
    SET bytea_output TO 'hex'
    SET jit TO 'off'
    AS $$
DECLARE
  tables oid[];
  one oid;
  content text;
  state text;
  token text;
  told boolean := false;
BEGIN
  SELECT pg_catalog.lpad(pg_catalog.to_hex(t.last_value), 15, '0') INTO STRICT token FROM "penstock".ddl_token t;
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
      'v', 4, 'event', 'partition', 'oid', one::int8, 'what', 'dropped')::text, 'UTF8'));
  END LOOP;
  FOR one IN
    SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = ANY (tables) AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p'
      AND NOT c.relispartition AND n.nspname !~ '^pg_'
      AND n.nspname NOT IN ('information_schema', 'penstock')
    ORDER BY c.oid
  LOOP
    told := true;
    BEGIN
      SELECT token || json_build_object('v', 4, 'event', 'table', 'oid', c.oid::int8,
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
            WHEN s.has AND length(s.value) <= 8192 THEN json_build_object('value', s.value)
            WHEN s.has THEN json_build_object('long', true)
            WHEN a.attidentity <> '' THEN json_build_object('computed', true)
            WHEN d.oid IS NULL AND t.typdefaultbin IS NULL THEN NULL
            WHEN d.oid IS NOT NULL
              AND length(pg_get_expr(d.adbin, d.adrelid)) <= 8192
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
        'v', 4, 'event', 'unread', 'oid', one::int8, 'sqlstate', state)::text, 'UTF8'));
    END;
  END LOOP;
  -- A message counts from where its record ends, which is where the next row's record begins; when
  -- the two belong to different subtransactions the row may then come first. Not with one between.
  IF told THEN
    PERFORM pg_logical_emit_message(true, 'penstock-end', '');
  END IF;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'penstock could not note a dropped partition (SQLSTATE %)', SQLSTATE;
END
$$;
COMMENT ON FUNCTION penstock.penstock_capture_partition_drop() IS 'penstock schema change capture 4';
CREATE SEQUENCE penstock.ddl_token
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
SELECT pg_catalog.setval('penstock.ddl_token', 482744912295227185, true);
CREATE EVENT TRIGGER penstock_ddl ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE',
    'CREATE TABLE AS', 'SELECT INTO', 'CREATE SCHEMA', 'ALTER SCHEMA', 'ALTER TYPE', 'ALTER DOMAIN',
    'ALTER EXTENSION', 'CREATE EXTENSION') EXECUTE FUNCTION penstock.penstock_capture_ddl();
CREATE EVENT TRIGGER penstock_drop ON sql_drop EXECUTE FUNCTION penstock.penstock_capture_ddl();
CREATE EVENT TRIGGER penstock_partition_drop ON sql_drop
    EXECUTE FUNCTION penstock.penstock_capture_partition_drop();
CREATE EVENT TRIGGER penstock_rewrite ON table_rewrite
    EXECUTE FUNCTION penstock.penstock_capture_ddl();
ALTER EVENT TRIGGER penstock_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER penstock_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER penstock_partition_drop ENABLE ALWAYS;
ALTER EVENT TRIGGER penstock_rewrite ENABLE ALWAYS;
CREATE PUBLICATION penstock_orders FOR TABLE t, u WITH (publish_via_partition_root);
CREATE PUBLICATION penstock_orders_inserts
    WITH (publish = 'insert, truncate', publish_via_partition_root);
COMMENT ON PUBLICATION penstock_orders IS '{"penstock": "orders", "tables": [@T@, @U@]}';
COMMENT ON PUBLICATION penstock_orders_inserts IS '{"penstock": "orders", "tables": []}';
