-- The store of format 1 with work pending, as SQLite dumps it. Never changed.
PRAGMA application_id = 1349415787;
BEGIN TRANSACTION;
CREATE TABLE event (
            number INTEGER PRIMARY KEY, at DOUBLE PRECISION NOT NULL,
            source_type TEXT NOT NULL, source_id TEXT NOT NULL, message TEXT NOT NULL, document TEXT NOT NULL,
            categories TEXT NOT NULL
        );
INSERT INTO "event" VALUES(1,1800000000.25,'replication','nightly','started','{"by":"api"}','["state change"]');
CREATE TABLE event_category (
            event BIGINT NOT NULL, category TEXT NOT NULL, PRIMARY KEY (category, event)
        ) WITHOUT ROWID;
INSERT INTO "event_category" VALUES(1,'state change');
CREATE TABLE fact (
            kind TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, document TEXT NOT NULL,
            PRIMARY KEY (kind, id, key)
        ) WITHOUT ROWID;
INSERT INTO "fact" VALUES('replication','R1','table/public.t','{"inserts":3}');
CREATE TABLE field (
            kind TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL,
            PRIMARY KEY (kind, field, value, name)
        ) WITHOUT ROWID;
INSERT INTO "field" VALUES('endpoint','engine','postgres','orders','AB12');
INSERT INTO "field" VALUES('endpoint','type','source','orders','AB12');
INSERT INTO "field" VALUES('replication','status','running','nightly','R1');
CREATE TABLE format (
    number INTEGER PRIMARY KEY,
    applied DOUBLE PRECISION NOT NULL
);
INSERT INTO "format" VALUES(1,1800000000.25);
CREATE TABLE record (
            kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, fields TEXT NOT NULL,
            revision BIGINT NOT NULL,
            created DOUBLE PRECISION NOT NULL, updated DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (kind, id), UNIQUE (kind, name)
        );
INSERT INTO "record" VALUES('endpoint','AB12','orders','{"EngineName":"postgres","Password":{"$sealed":"v1:0a1b2c3d:AAAA"}}','{"engine":"postgres","type":"source"}',1,1800000000.25,1800000000.25);
INSERT INTO "record" VALUES('replication','R1','nightly','{"status":"running","desired":"running"}','{"status":"running"}',2,1800000000.25,1800000000.25);
CREATE TABLE state (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            last_event BIGINT NOT NULL, last_at DOUBLE PRECISION NOT NULL,
            holder TEXT NOT NULL, lease_number BIGINT NOT NULL,
            renewed DOUBLE PRECISION NOT NULL, seconds DOUBLE PRECISION NOT NULL
        );
INSERT INTO "state" VALUES(1,1,1800000000.25,'host-a',4,1800000000.25,10.0);
CREATE TABLE tag (
            kind TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
            PRIMARY KEY (kind, id, key)
        ) WITHOUT ROWID;
INSERT INTO "tag" VALUES('replication','R1','team','a');
CREATE INDEX field_of_record ON field (kind, id);
CREATE INDEX event_at ON event (at, number);
CREATE INDEX event_of_source ON event (source_type, source_id, number);
COMMIT;
