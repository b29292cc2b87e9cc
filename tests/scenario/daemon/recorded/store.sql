-- The store of a daemon that was killed with work pending, as SQLite dumps it. Never changed.
PRAGMA application_id = 1349415787;
BEGIN TRANSACTION;
CREATE TABLE event (
            number INTEGER PRIMARY KEY, at DOUBLE PRECISION NOT NULL,
            source_type TEXT NOT NULL, source_id TEXT NOT NULL, message TEXT NOT NULL, document TEXT NOT NULL,
            categories TEXT NOT NULL
        );
INSERT INTO "event" VALUES(1,1.79604742720648264883e+09,'endpoint','orders-source','The endpoint has been created.','{}','["creation"]');
INSERT INTO "event" VALUES(2,1.7960474272936322689e+09,'endpoint','orders-target','The endpoint has been created.','{}','["creation"]');
INSERT INTO "event" VALUES(3,1.79604742735964441301e+09,'replication','orders','DMS replication has been created.','{"id":"DMS-EVENT-0074"}','["creation"]');
INSERT INTO "event" VALUES(4,1.79604742743523907661e+09,'replication','orders','DMS replication is initializing. (start-replication)','{}','["state change"]');
INSERT INTO "event" VALUES(5,1.79604742743898749355e+09,'replication','orders','DMS replication starts otherwise than it would on AWS: FullLoadSettings.TargetTablePrepMode was not set: tables that are there are kept, where AWS''s DROP_AND_CREATE would drop them; TargetMetadata.BatchApplyEnabled was not set: tables are applied beside each other, each in its own order, where AWS would apply one transaction after another; ErrorBehavior.ApplyError...Policy was not set: a row that the target refuses stops its table, where AWS would skip the row.','{}','["configuration change"]');
INSERT INTO "event" VALUES(6,1.79604742760606145854e+09,'replication','orders','DMS replication is preparing the resources for metadata collection.','{}','["state change"]');
INSERT INTO "event" VALUES(7,1.79604743148826766011e+09,'replication','orders','The connections tied to DMS replication is being tested.','{}','["state change"]');
INSERT INTO "event" VALUES(8,1.79604743166466951365e+09,'replication','orders','DMS replication is fetching metadata.','{}','["state change"]');
INSERT INTO "event" VALUES(9,1.79604743219245243076e+09,'replication','orders','DMS replication is calculating capacity.','{}','["state change"]');
INSERT INTO "event" VALUES(10,1.79604743228765511512e+09,'replication','orders','DMS replication is provisioning its capacity.','{}','["state change"]');
INSERT INTO "event" VALUES(11,1.79604743229794478419e+09,'replication','orders','DMS replication has started.','{"id":"DMS-EVENT-0069"}','["state change"]');
INSERT INTO "event" VALUES(12,1.79604743939599776269e+09,'replication','orders','DMS replication is running.','{}','["state change"]');
CREATE TABLE event_category (
            event BIGINT NOT NULL, category TEXT NOT NULL, PRIMARY KEY (category, event)
        ) WITHOUT ROWID;
INSERT INTO "event_category" VALUES(5,'configuration change');
INSERT INTO "event_category" VALUES(1,'creation');
INSERT INTO "event_category" VALUES(2,'creation');
INSERT INTO "event_category" VALUES(3,'creation');
INSERT INTO "event_category" VALUES(4,'state change');
INSERT INTO "event_category" VALUES(6,'state change');
INSERT INTO "event_category" VALUES(7,'state change');
INSERT INTO "event_category" VALUES(8,'state change');
INSERT INTO "event_category" VALUES(9,'state change');
INSERT INTO "event_category" VALUES(10,'state change');
INSERT INTO "event_category" VALUES(11,'state change');
INSERT INTO "event_category" VALUES(12,'state change');
CREATE TABLE fact (
            kind TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, document TEXT NOT NULL,
            PRIMARY KEY (kind, id, key)
        ) WITHOUT ROWID;
INSERT INTO "fact" VALUES('replication','orders','table/public.t','{"schema":"public","table":"t","state":"streaming","loaded":2,"estimated":null,"inserts":2,"updates":0,"deletes":0,"truncations":0,"rejected":0,"load_start":1796047440.138399,"load_end":1796047440.646507,"reloaded":false,"error":"","changed":1796047442.1002347}');
INSERT INTO "fact" VALUES('replication','orders','table/public.u','{"schema":"public","table":"u","state":"suspended","loaded":1,"estimated":null,"inserts":0,"updates":0,"deletes":0,"truncations":0,"rejected":1,"load_start":1796047440.396217,"load_end":1796047440.707875,"reloaded":false,"error":"public.u, constraint good: a constraint forbids it (check_violation 23514) (mend what forbids it on the target, or the row on the source)","changed":1796047442.100244}');
CREATE TABLE field (
            kind TEXT NOT NULL, field TEXT NOT NULL, value TEXT NOT NULL, name TEXT NOT NULL, id TEXT NOT NULL,
            PRIMARY KEY (kind, field, value, name)
        ) WITHOUT ROWID;
INSERT INTO "field" VALUES('endpoint','engine','postgres','orders-source','OCFZOHWBQJK6ZCVBSRCLPKNYJZ');
INSERT INTO "field" VALUES('endpoint','type','source','orders-source','OCFZOHWBQJK6ZCVBSRCLPKNYJZ');
INSERT INTO "field" VALUES('endpoint','engine','postgres','orders-target','XHTGDCE3SK2J6ZWH3OPVMOTUKP');
INSERT INTO "field" VALUES('endpoint','type','target','orders-target','XHTGDCE3SK2J6ZWH3OPVMOTUKP');
INSERT INTO "field" VALUES('replication','face','config','orders','orders');
INSERT INTO "field" VALUES('replication','folded','orders','orders','orders');
INSERT INTO "field" VALUES('replication','source','OCFZOHWBQJK6ZCVBSRCLPKNYJZ','orders','orders');
INSERT INTO "field" VALUES('replication','target','XHTGDCE3SK2J6ZWH3OPVMOTUKP','orders','orders');
CREATE TABLE format (
    number INTEGER PRIMARY KEY,
    applied DOUBLE PRECISION NOT NULL
);
INSERT INTO "format" VALUES(1,1.79604742520456862452e+09);
CREATE TABLE record (
            kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, fields TEXT NOT NULL,
            revision BIGINT NOT NULL,
            created DOUBLE PRECISION NOT NULL, updated DOUBLE PRECISION NOT NULL,
            PRIMARY KEY (kind, id), UNIQUE (kind, name)
        );
INSERT INTO "record" VALUES('vault-key','c43c81d67b73c9a3','c43c81d67b73c9a3','{}','{}',1,1.79604742659831714628e+09,1.79604742659831714628e+09);
INSERT INTO "record" VALUES('daemon','maintenance','maintenance','{"window":"tue:01:12-tue:01:42"}','{}',1,1.7960474266311433315e+09,1.7960474266311433315e+09);
INSERT INTO "record" VALUES('endpoint','OCFZOHWBQJK6ZCVBSRCLPKNYJZ','orders-source','{"members":{"EndpointIdentifier":"orders-source","EndpointType":"source","EngineName":"postgres","Username":"postgres","Password":{"$sealed":"v1:c43c81d67b73c9a3:3691PN1gHz2zI7ahYar9xCh0uTZd299eaoIqxHgYJJnrE3VtyUIvJ5whSPaLsQ=="},"ServerName":"127.0.0.1","Port":@SOURCE_PORT@,"DatabaseName":"recorded_source","SslMode":"none"},"ours":{}}','{"type":"source","engine":"postgres"}',1,1.7960474272059133053e+09,1.7960474272059133053e+09);
INSERT INTO "record" VALUES('endpoint','XHTGDCE3SK2J6ZWH3OPVMOTUKP','orders-target','{"members":{"EndpointIdentifier":"orders-target","EndpointType":"target","EngineName":"postgres","Username":"postgres","Password":{"$sealed":"v1:c43c81d67b73c9a3:xZdhNoh5mlB8cv+LLXU1U/ZXwzmryZJSGaF6cYaUr5GouTV/Z6hAwc8eBRayhA=="},"ServerName":"127.0.0.1","Port":@TARGET_PORT@,"DatabaseName":"recorded_target","SslMode":"none"},"ours":{}}','{"type":"target","engine":"postgres"}',1,1.79604742728872156147e+09,1.79604742728872156147e+09);
INSERT INTO "record" VALUES('replication','orders','orders','{"config":{"name":"orders","source":"OCFZOHWBQJK6ZCVBSRCLPKNYJZ","target":"XHTGDCE3SK2J6ZWH3OPVMOTUKP","type":"full-load-and-cdc","compute":{"units_max":1,"units_min":1,"multi_az":false,"window":"sun:03:43-sun:04:13","availability_zone":"","dns_name_servers":"","kms_key":"","subnet_group":"","security_groups":[]},"mappings":"{\"rules\":[{\"rule-type\":\"selection\",\"rule-id\":\"1\",\"rule-name\":\"everything\",\"object-locator\":{\"schema-name\":\"public\",\"table-name\":\"%\"},\"rule-action\":\"include\"}]}","settings":{},"supplemental":"","instance":"","ours":{},"created":1796047427.327177,"updated":1796047427.327177},"life":{"status":"running","wanted":true,"ran":true,"wish":{"type":"start-replication","begin":"fresh","start_time":null,"start_position":"","stop_position":"","at":1796047427.4345946},"provisioned":{"state":"provisioned","units":1,"at":1796047432.295378},"worker":{"pid":24650,"started":16092.57,"run":"serv-res-id-1796047432313-qoy","host":"another-machine"},"stop_reason":null,"failures":[],"checkpoint":"@POSITION@","times":{"fresh_start":1796047439.3949616,"start":1796047439.3949616,"stop":null,"load_start":1796047439.3949616,"load_end":1796047441.3909466},"progress":{"percent":99,"loaded":1,"loading":0,"queued":0,"errored":1}}}','{"source":"OCFZOHWBQJK6ZCVBSRCLPKNYJZ","target":"XHTGDCE3SK2J6ZWH3OPVMOTUKP","face":"config","folded":"orders"}',17,1.79604742735136795042e+09,1.79604744441281580927e+09);
CREATE TABLE state (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            last_event BIGINT NOT NULL, last_at DOUBLE PRECISION NOT NULL,
            holder TEXT NOT NULL, lease_number BIGINT NOT NULL,
            renewed DOUBLE PRECISION NOT NULL, seconds DOUBLE PRECISION NOT NULL
        );
INSERT INTO "state" VALUES(1,12,1.79604743939599776269e+09,'another-machine:/var/lib/penstock',1,1.79604744686223030095e+09,10.0);
CREATE TABLE tag (
            kind TEXT NOT NULL, id TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
            PRIMARY KEY (kind, id, key)
        ) WITHOUT ROWID;
CREATE INDEX field_of_record ON field (kind, id);
CREATE INDEX event_at ON event (at, number);
CREATE INDEX event_of_source ON event (source_type, source_id, number);
COMMIT;
