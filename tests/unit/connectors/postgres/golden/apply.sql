-- insert_row
INSERT INTO "S ""1"""."t" ("id", "k""", "r", "mood") OVERRIDING SYSTEM VALUE VALUES ($1::bigint, $2, $3, $4::public.mood)

-- update_row
WITH done AS (UPDATE "S ""1"""."t" AS t SET "r" = $1, "mood" = $2::public.mood WHERE t."id" = $3::bigint AND t."k""" OPERATOR("public".=) $4 RETURNING 1) SELECT CASE WHEN count(*) <> 1 THEN penstock.miscounted(count(*), 1) END FROM done

-- update_row, nothing sent
WITH done AS (SELECT 1 FROM "S ""1"""."t" AS t WHERE t."id" = $1::bigint AND t."k""" OPERATOR("public".=) $2) SELECT CASE WHEN count(*) <> 1 THEN penstock.miscounted(count(*), 1) END FROM done

-- delete_row
WITH done AS (DELETE FROM "S ""1"""."t" AS t WHERE t."id" = $1::bigint AND t."k""" OPERATOR("public".=) $2 RETURNING 1) SELECT CASE WHEN count(*) <> 1 THEN penstock.miscounted(count(*), 1) END FROM done

-- update_image
WITH done AS (WITH m AS MATERIALIZED (SELECT r.ctid, r.tableoid FROM "S ""1"""."t" AS r WHERE ROW(r."id", r."k""", r."r", r."mood")::record OPERATOR(pg_catalog.*=) ROW($3::bigint, $4, $5, $6::public.mood)::record LIMIT 1 FOR UPDATE) UPDATE "S ""1"""."t" AS t SET "r" = $1, "mood" = $2::public.mood FROM m WHERE t.ctid = m.ctid AND t.tableoid = m.tableoid RETURNING 1) SELECT CASE WHEN count(*) <> 1 THEN penstock.miscounted(count(*), 1) END FROM done

-- update_image, nothing sent
WITH done AS (SELECT 1 FROM (SELECT r.ctid, r.tableoid FROM "S ""1"""."t" AS r WHERE ROW(r."id")::record OPERATOR(pg_catalog.*=) ROW($1::bigint)::record LIMIT 1 FOR UPDATE) AS m) SELECT CASE WHEN count(*) <> 1 THEN penstock.miscounted(count(*), 1) END FROM done

-- delete_image
WITH done AS (WITH m AS MATERIALIZED (SELECT r.ctid, r.tableoid FROM "S ""1"""."t" AS r WHERE ROW(r."k""", r."r", r."mood")::record OPERATOR(pg_catalog.*=) ROW($1, $2, $3::public.mood)::record LIMIT 1 FOR UPDATE) DELETE FROM "S ""1"""."t" AS t USING m WHERE t.ctid = m.ctid AND t.tableoid = m.tableoid RETURNING 1) SELECT CASE WHEN count(*) <> 1 THEN penstock.miscounted(count(*), 1) END FROM done

-- copy_rows
COPY "S ""1"""."t" ("id", "k""", "r", "mood") FROM STDIN (FORMAT binary)

-- create_stage
CREATE TEMPORARY TABLE pg_temp.stage_7 (c0 integer, c1 public.citext, c2 text, c3 text)

-- empty_stage
TRUNCATE pg_temp.stage_7

-- copy_stage
COPY pg_temp.stage_7 (c0, c1, c2, c3) FROM STDIN (FORMAT binary)

-- insert_stage
INSERT INTO "S ""1"""."t" ("id", "k""", "r", "mood") OVERRIDING SYSTEM VALUE SELECT s.c0::bigint, s.c1, s.c2::bpchar::regclass, s.c3::public.mood FROM pg_temp.stage_7 AS s

-- update_stage
WITH done AS (UPDATE "S ""1"""."t" AS t SET "r" = s.c2::bpchar::regclass, "mood" = s.c3::public.mood FROM pg_temp.stage_7 AS s WHERE t."id" = s.c0::bigint AND t."k""" OPERATOR("public".=) s.c1 RETURNING 1) SELECT CASE WHEN count(*) <> 300 THEN penstock.miscounted(count(*), 300) END FROM done

-- update_stage, nothing sent
WITH done AS (SELECT 1 FROM "S ""1"""."t" AS t, pg_temp.stage_7 AS s WHERE t."id" = s.c0::bigint AND t."k""" OPERATOR("public".=) s.c1) SELECT CASE WHEN count(*) <> 300 THEN penstock.miscounted(count(*), 300) END FROM done

-- delete_stage
WITH done AS (DELETE FROM "S ""1"""."t" AS t USING pg_temp.stage_7 AS s WHERE t."id" = s.c0::bigint AND t."k""" OPERATOR("public".=) s.c1 RETURNING 1) SELECT CASE WHEN count(*) <> 300 THEN penstock.miscounted(count(*), 300) END FROM done

-- truncate
TRUNCATE TABLE ONLY "S ""1"""."t" CONTINUE IDENTITY

-- truncate, all
TRUNCATE TABLE ONLY "S ""1"""."t", ONLY "S ""1"""."t" RESTART IDENTITY CASCADE

-- control 0
DO $body$ BEGIN IF pg_catalog.to_regnamespace('penstock') IS NULL THEN CREATE SCHEMA penstock; END IF; END $body$

-- control 1
CREATE TABLE penstock.version (version integer PRIMARY KEY, made_at timestamptz NOT NULL DEFAULT now())

-- control 2
CREATE TABLE penstock.owner (replication text PRIMARY KEY, epoch bigint NOT NULL, identity text NOT NULL, fingerprint text NOT NULL, process text NOT NULL, token text NOT NULL, session_pids integer[] NOT NULL, session_starts text[] NOT NULL) WITH (fillfactor = 50)

-- control 3
CREATE TABLE penstock.checkpoint (replication text NOT NULL, lane text NOT NULL, epoch bigint NOT NULL, seq bigint NOT NULL, position text NOT NULL, PRIMARY KEY (replication, lane)) WITH (fillfactor = 10)

-- control 4
CREATE TABLE penstock.table_state (replication text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL, state text NOT NULL, position text NOT NULL, reason text NOT NULL, relation text NOT NULL, changed_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (replication, schema_name, table_name))

-- control 5
CREATE TABLE penstock.chunk (replication text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL, ordinal bigint NOT NULL, bounded_by text NOT NULL, low text[], high text[], snapshot text NOT NULL, until text NOT NULL, row_count bigint NOT NULL, PRIMARY KEY (replication, schema_name, table_name, ordinal))

-- control 6
CREATE TABLE penstock.quarantine (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, rejected_at timestamptz NOT NULL DEFAULT now(), replication text NOT NULL, schema_name text NOT NULL, table_name text NOT NULL, lane text NOT NULL, position text NOT NULL, operation text NOT NULL, reason text NOT NULL, sqlstate text NOT NULL, message text NOT NULL, payload text NOT NULL)

-- control 7
CREATE INDEX ON penstock.quarantine (replication, schema_name, table_name)

-- control 8
CREATE FUNCTION penstock.advance(r text, l text, e bigint, s bigint, p text) RETURNS void LANGUAGE plpgsql AS $body$ BEGIN UPDATE penstock.checkpoint SET seq = seq OPERATOR(pg_catalog.+) 1, position = p WHERE replication OPERATOR(pg_catalog.=) r AND lane OPERATOR(pg_catalog.=) l AND epoch OPERATOR(pg_catalog.=) e AND seq OPERATOR(pg_catalog.=) s; IF NOT FOUND THEN RAISE EXCEPTION 'fence failed' USING ERRCODE = 'PN001'; END IF; END $body$

-- control 9
CREATE FUNCTION penstock.miscounted(changed bigint, sent bigint) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $body$ BEGIN RAISE EXCEPTION '% of % rows', changed, sent USING ERRCODE = CASE WHEN changed < sent THEN 'PN002' ELSE 'PN003' END; END $body$

-- control 10
CREATE FUNCTION penstock.same_shape(tables oid[], shapes text[]) RETURNS void LANGUAGE plpgsql AS $body$ BEGIN FOR n IN 1 .. pg_catalog.cardinality(tables) LOOP IF (SELECT coalesce(pg_catalog.md5(pg_catalog.string_agg(pg_catalog.concat_ws(':', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attgenerated), ',' ORDER BY a.attnum)), '') FROM pg_catalog.pg_attribute a WHERE a.attrelid = tables[n] AND a.attnum > 0 AND NOT a.attisdropped) IS DISTINCT FROM shapes[n] THEN RAISE EXCEPTION 'a table was altered' USING ERRCODE = 'PN004'; END IF; END LOOP; END $body$;INSERT INTO penstock.version (version) VALUES (1);ALTER TABLE penstock.table_state ADD COLUMN asked bigint NOT NULL DEFAULT 0, ADD COLUMN answered bigint NOT NULL DEFAULT 0;UPDATE penstock.table_state SET asked = 1 WHERE state = 'needs-reload' AND reason = 'requested';INSERT INTO penstock.version (version) VALUES (2)

-- evolve: add
ALTER TABLE "S ""1"""."t" ADD COLUMN "n" integer DEFAULT 5

-- evolve: add, dropping
ALTER TABLE "S ""1"""."t" ADD COLUMN "n" integer DEFAULT 5

-- evolve: add what is there
ALTER TABLE "S ""1"""."t" ALTER COLUMN "id" DROP NOT NULL; ALTER TABLE "S ""1"""."t" RENAME COLUMN "id" TO "id_kept_1"; ALTER TABLE "S ""1"""."t" ADD COLUMN "id" integer

-- evolve: add what is there, dropping
ALTER TABLE "S ""1"""."t" ALTER COLUMN "id" DROP NOT NULL; ALTER TABLE "S ""1"""."t" RENAME COLUMN "id" TO "id_kept_1"; ALTER TABLE "S ""1"""."t" ADD COLUMN "id" integer

-- evolve: drop
ALTER TABLE "S ""1"""."t" ALTER COLUMN "r" DROP NOT NULL

-- evolve: drop, dropping
ALTER TABLE "S ""1"""."t" DROP COLUMN "r"

-- evolve: rename
ALTER TABLE "S ""1"""."t" RENAME COLUMN "r" TO "R"

-- evolve: rename, dropping
ALTER TABLE "S ""1"""."t" RENAME COLUMN "r" TO "R"

-- evolve: move
ALTER TABLE "S ""1"""."t" SET SCHEMA "other"; ALTER TABLE "other"."t" RENAME TO "new"

-- evolve: move, dropping
ALTER TABLE "S ""1"""."t" SET SCHEMA "other"; ALTER TABLE "other"."t" RENAME TO "new"

-- evolve: drop table


-- evolve: drop table, dropping
DROP TABLE "S ""1"""."t"

