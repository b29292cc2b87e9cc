-- The control rows on the target, as pg_dump writes them. Never changed.
CREATE SCHEMA penstock;
CREATE FUNCTION penstock.advance(r text, l text, e bigint, s bigint, p text) RETURNS void
    LANGUAGE plpgsql
    AS $$ BEGIN UPDATE penstock.checkpoint SET seq = seq OPERATOR(pg_catalog.+) 1, position = p WHERE replication OPERATOR(pg_catalog.=) r AND lane OPERATOR(pg_catalog.=) l AND epoch OPERATOR(pg_catalog.=) e AND seq OPERATOR(pg_catalog.=) s; IF NOT FOUND THEN RAISE EXCEPTION 'fence failed' USING ERRCODE = 'PN001'; END IF; END $$;
CREATE FUNCTION penstock.miscounted(changed bigint, sent bigint) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    AS $$ BEGIN RAISE EXCEPTION '% of % rows', changed, sent USING ERRCODE = CASE WHEN changed < sent THEN 'PN002' ELSE 'PN003' END; END $$;
CREATE FUNCTION penstock.same_shape(tables oid[], shapes text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$ BEGIN FOR n IN 1 .. pg_catalog.cardinality(tables) LOOP IF (SELECT coalesce(pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(':', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated), ',' ORDER BY a.attnum)), '') FROM pg_catalog.pg_attribute a WHERE a.attrelid = tables[n] AND a.attnum > 0 AND NOT a.attisdropped) IS DISTINCT FROM shapes[n] THEN RAISE EXCEPTION 'a table was altered' USING ERRCODE = 'PN004'; END IF; END LOOP; END $$;
CREATE TABLE penstock.checkpoint (
    replication text NOT NULL,
    lane text NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    "position" text NOT NULL
)
WITH (fillfactor='10');
CREATE TABLE penstock.chunk (
    replication text NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    ordinal bigint NOT NULL,
    bounded_by text NOT NULL,
    low text[],
    high text[],
    snapshot text NOT NULL,
    until text NOT NULL,
    row_count bigint NOT NULL
);
CREATE TABLE penstock.owner (
    replication text NOT NULL,
    epoch bigint NOT NULL,
    identity text NOT NULL,
    fingerprint text NOT NULL,
    process text NOT NULL,
    token text NOT NULL,
    session_pids integer[] NOT NULL,
    session_starts text[] NOT NULL
)
WITH (fillfactor='50');
CREATE TABLE penstock.quarantine (
    id bigint NOT NULL,
    rejected_at timestamp with time zone DEFAULT now() NOT NULL,
    replication text NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    lane text NOT NULL,
    "position" text NOT NULL,
    operation text NOT NULL,
    reason text NOT NULL,
    sqlstate text NOT NULL,
    message text NOT NULL,
    payload text NOT NULL
);
ALTER TABLE penstock.quarantine ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME penstock.quarantine_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE penstock.table_state (
    replication text NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    state text NOT NULL,
    "position" text NOT NULL,
    reason text NOT NULL,
    relation text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    asked bigint DEFAULT 0 NOT NULL,
    answered bigint DEFAULT 0 NOT NULL
);
CREATE TABLE penstock.version (
    version integer NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL
);
INSERT INTO penstock.checkpoint VALUES ('orders', 'source:branch', 1, 0, '1');
INSERT INTO penstock.checkpoint VALUES ('orders', 'public.t', 1, 2, '@POSITION@');
INSERT INTO penstock.checkpoint VALUES ('orders', 'frontier', 1, 1, '@POSITION@');
INSERT INTO penstock.checkpoint VALUES ('orders', 'load:0', 1, 4, '');
INSERT INTO penstock.checkpoint VALUES ('orders', 'load:1', 1, 2, '');
INSERT INTO penstock.checkpoint VALUES ('orders', 'public.u', 1, 1, '@POSITION@');
INSERT INTO penstock.chunk VALUES ('orders', 'public', 't', 0, 'whole', NULL, NULL, '@SNAPSHOT@', '@POSITION@', 2);
INSERT INTO penstock.chunk VALUES ('orders', 'public', 'u', 0, 'whole', NULL, NULL, '@SNAPSHOT@', '@POSITION@', 1);
INSERT INTO penstock.owner VALUES ('orders', 1, '@SYSTEM@/recorded_source', 'v=1;source engine=a942b37ccfaf;source database=ddaa9edf564b;slot=c4a7424eaf66;source origin=d6a7cd2a7371;target engine=a942b37ccfaf;type=98d37897c70b;apply mode=b1650cd40dd9;lanes=e914db508180', 'another-machine:24650', '1ca40d6e7ccff3bdb461f7763e198535', '{24793,24796,24864,24865,24867,24868,24866}', '{"2026-11-30 14:03:58.893555+00","2026-11-30 14:03:58.933579+00","2026-11-30 14:04:01.320946+00","2026-11-30 14:04:01.36731+00","2026-11-30 14:04:01.38962+00","2026-11-30 14:04:01.412627+00","2026-11-30 14:04:01.41239+00"}');
INSERT INTO penstock.quarantine OVERRIDING SYSTEM VALUE VALUES (1, '2026-11-30 14:04:01.925619+00', 'orders', 'public', 'u', 'public.u', '@POSITION@+1', 'insert', 'rejected-row', '23514', 'public.u, constraint good: a constraint forbids it (check_violation 23514)', '{"operation":"insert","wire":"postgres","columns":[{"name":"id","type":"integer","format":"binary"},{"name":"v","type":"text","format":"binary"}],"new":{"id":"AAAAAg==","v":"YmFk"},"old":null}');
INSERT INTO penstock.table_state VALUES ('orders', 'public', 't', 'streaming', '', '', '{"id":@T@,"schema":"public","name":"t","key":[0],"replica_identity":"default","wire":"postgres","since":"","native":"","misfits":[],"columns":[{"name":"id","type":"integer","oid":23,"modifier":-1,"definition":"","format":"binary","nullable":false,"identity":true,"native":"","number":1},{"name":"v","type":"text","oid":25,"modifier":-1,"definition":"","format":"binary","nullable":true,"identity":false,"native":"","number":2},{"name":"n","type":"integer","oid":23,"modifier":-1,"definition":"","format":"binary","nullable":true,"identity":false,"native":"","number":3}]}', '2026-11-30 14:04:01.784028+00', 0, 0);
INSERT INTO penstock.table_state VALUES ('orders', 'public', 'u', 'suspended', '@POSITION@', 'public.u, constraint good: a constraint forbids it (check_violation 23514)', '{"id":@U@,"schema":"public","name":"u","key":[0],"replica_identity":"default","wire":"postgres","since":"","native":"","misfits":[],"columns":[{"name":"id","type":"integer","oid":23,"modifier":-1,"definition":"","format":"binary","nullable":false,"identity":true,"native":"","number":1},{"name":"v","type":"text","oid":25,"modifier":-1,"definition":"","format":"binary","nullable":true,"identity":false,"native":"","number":2}]}', '2026-11-30 14:04:01.925619+00', 0, 0);
INSERT INTO penstock.version VALUES (1, '2026-11-30 14:03:58.760488+00');
INSERT INTO penstock.version VALUES (2, '2026-11-30 14:03:58.760488+00');
SELECT pg_catalog.setval('penstock.quarantine_id_seq', 1, true);
ALTER TABLE ONLY penstock.checkpoint
    ADD CONSTRAINT checkpoint_pkey PRIMARY KEY (replication, lane);
ALTER TABLE ONLY penstock.chunk
    ADD CONSTRAINT chunk_pkey PRIMARY KEY (replication, schema_name, table_name, ordinal);
ALTER TABLE ONLY penstock.owner
    ADD CONSTRAINT owner_pkey PRIMARY KEY (replication);
ALTER TABLE ONLY penstock.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (id);
ALTER TABLE ONLY penstock.table_state
    ADD CONSTRAINT table_state_pkey PRIMARY KEY (replication, schema_name, table_name);
ALTER TABLE ONLY penstock.version
    ADD CONSTRAINT version_pkey PRIMARY KEY (version);
CREATE INDEX quarantine_replication_schema_name_table_name_idx ON penstock.quarantine USING btree (replication, schema_name, table_name);
