"""Endpoints and replications of AWS's as files of ours, and back."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.document import Document
from engine.config.environment import escaped, expand_document, expand_text
from engine.config.family import FAMILIES
from engine.config.load import parse_replication
from engine.config.problems import Problems
from engine.config.replication import ReplicationConfig
from engine.config.rule_document import parse_rules
from engine.control.translate.attributes import read_attributes
from engine.control.translate.endpoint import Role, Side, side_of
from engine.control.translate.endpoint_document import endpoint_of
from engine.control.translate.names import ENGINES, NOT_RUN, engine_of
from engine.control.translate.replication import (
    Replication,
    files_of,
    replication_id,
    variable_prefix,
)
from engine.control.translate.replication_document import replication_of
from engine.control.translate.replication_file import Plan, file_texts
from engine.control.translate.secrets import (
    Keeper,
    parse_reference,
    read_credentials,
    with_credentials,
)
from engine.control.translate.settings_file import settings_file
from engine.control.translate.toml_text import toml_text
from engine.errors import ConfigError

POSTGRES: Final[Document] = {
    "EndpointIdentifier": "orders-db",
    "EndpointType": "SOURCE",
    "EngineName": "postgres",
    "Username": "app user",
    "ServerName": "orders.example.com",
    "Port": 5433,
    "DatabaseName": "or/ders",
    "SslMode": "require",
}

MYSQL: Final[Document] = {
    "EndpointIdentifier": "warehouse",
    "EndpointType": "TARGET",
    "EngineName": "aurora",
    "Username": "loader",
    "ServerName": "warehouse.example.com",
    "Port": 3306,
    "SslMode": "none",
}


def translated(endpoint: Mapping[str, object], role: Role = "source", **more: Any) -> Side:
    return side_of(endpoint, role, prefix="DB", **more)


def loaded(side: Side, role: Role, **environment: str) -> ReplicationConfig:
    """What our file's reader makes of the table; the other end is a memory."""
    other: Role = "target" if role == "source" else "source"
    text = toml_text({"replication": {"id": "r"}, role: side.table, other: {"engine": "memory"}})
    return parse_replication(text, {"DB_PASSWORD": "pw"} | environment, file=Path("/etc/r.toml"))


# --- endpoints ------------------------------------------------------------------------------------


def test_an_endpoint_becomes_a_table() -> None:
    side = translated(POSTGRES)
    assert side.table == {
        "engine": "postgres",
        "url": "postgresql://app%20user@orders.example.com:5433/or%2Fders?sslmode=require",
        "password_env": "DB_PASSWORD",
    }
    assert [variable.name for variable in side.variables] == ["DB_PASSWORD"]
    assert side.notes == ()
    url = loaded(side, "source").source.url
    assert url is not None
    assert (url.user, url.database, url.port) == ("app user", "or/ders", 5433)


def test_mysql_needs_no_database() -> None:
    side = translated(MYSQL, "target")
    assert side.table["url"] == "mysql://loader@warehouse.example.com:3306/?sslmode=prefer"
    url = loaded(side, "target").target.url
    assert url is not None
    assert url.database == ""


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_that_we_run_is_read_by_our_file(name: str) -> None:
    endpoint = {**POSTGRES, "EngineName": name, "SslMode": "verify-full"}
    for role in ("source", "target"):
        assert role in ("source", "target")
        config = loaded(translated(endpoint, role), role)
        side = config.source if role == "source" else config.target
        assert side.engine == ENGINES[name].ours
        assert side.url is not None
        assert side.url.sslmode == "verify-full"


@pytest.mark.parametrize("name", NOT_RUN)
def test_an_engine_that_we_do_not_run_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"EngineName: .*\({name}\) is not run by Penstock"):
        engine_of(name)


@pytest.mark.parametrize(("name", "words"), [("postgresql", "'postgres'"), (None, "known:")])
def test_an_unknown_engine_is_refused(name: object, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        engine_of(name)
    assert words in caught.value.hint


def test_settings_and_attributes_are_one_thing() -> None:
    endpoint = {
        **POSTGRES,
        "ExtraConnectionAttributes": "slotName=aws;heartbeatEnable=Y;heartbeatFrequency=7;"
        "captureDDLs=N;executeTimeout=30;odd=1;afterConnectScript=SET x='${y}'",
        "PostgreSQLSettings": {"SlotName": "mine", "Port": 6000, "TrimSpaceInChar": False},
    }
    side = translated(endpoint)
    assert side.table["settings"] == {
        "SlotName": "mine",
        "HeartbeatEnable": True,
        "HeartbeatFrequency": 7,
        "CaptureDdls": False,
        "ExecuteTimeout": 30,
        "AfterConnectScript": "SET x='$${y}'",
        "TrimSpaceInChar": False,
    }
    assert ":6000/" in str(side.table["url"])
    assert [note.subject for note in side.notes] == [
        "ExtraConnectionAttributes odd",
        "AfterConnectScript",
        "TrimSpaceInChar",
    ]
    config = loaded(side, "source")
    assert config.source.settings.capture_ddls is False
    assert config.source.heartbeat_interval_seconds == 420.0
    assert "source.settings.TrimSpaceInChar" in config.no_effect


def test_mysqls_attributes_have_names_of_their_own() -> None:
    attributes = "initstmt=SET FOREIGN_KEY_CHECKS=0;parallelLoadThreads=4;"
    attributes += "cleanSrcMetadataOnMismatch=true;targetDbType=MULTIPLE_DATABASES"
    side = translated({**MYSQL, "ExtraConnectionAttributes": attributes}, "target")
    assert side.table["settings"] == {
        "AfterConnectScript": "SET FOREIGN_KEY_CHECKS=0",
        "ParallelLoadThreads": 4,
        "CleanSourceMetadataOnMismatch": True,
        "TargetDbType": "multiple-databases",
    }
    assert loaded(side, "target").target.session_replication_role == "replica"


@pytest.mark.parametrize(
    ("endpoint", "role", "subject"),
    [
        ({**MYSQL, "MySQLSettings": {"TargetDbType": "specific-database"}}, "target", "TargetDb"),
        ({**POSTGRES, "PostgreSQLSettings": {"AuthenticationMethod": "iam"}}, "source", "Authen"),
        ({**POSTGRES, "ExtraConnectionAttributes": "executeTimeout=soon"}, "source", "ExecuteT"),
    ],
)
def test_what_would_do_something_else_blocks_and_is_refused_by_our_file(
    endpoint: Document, role: Role, subject: str
) -> None:
    side = translated(endpoint, role)
    (note,) = side.notes
    assert note.blocks
    assert note.subject.startswith(subject)
    with pytest.raises(ConfigError, match=note.subject):
        loaded(side, role)


def test_a_secret_of_aws_becomes_variables() -> None:
    endpoint = {
        "EngineName": "aurora-postgresql",
        "PostgreSQLSettings": {
            "SecretsManagerSecretId": "arn:aws:secretsmanager:eu-west-1:1:secret:orders",
            "SecretsManagerAccessRoleArn": "arn:aws:iam::1:role/dms",
            "DatabaseName": "orders",
        },
    }
    side = translated(endpoint)
    assert side.table["url"] == (
        "postgresql://${DB_USERNAME}@${DB_HOST}:${DB_PORT}/orders?sslmode=prefer"
    )
    assert "settings" not in side.table
    names = ["DB_USERNAME", "DB_HOST", "DB_PORT", "DB_PASSWORD"]
    assert [variable.name for variable in side.variables] == names
    assert [note.subject for note in side.notes] == [
        "SecretsManagerSecretId",
        "SecretsManagerAccessRoleArn",
    ]
    url = loaded(side, "source", DB_USERNAME="u", DB_HOST="h", DB_PORT="7").source.url
    assert url is not None
    assert (url.user, url.host, url.port) == ("u", "h", 7)


def test_a_certificate_is_a_file() -> None:
    endpoint = {**POSTGRES, "SslMode": "verify-ca", "CertificateArn": "arn:aws:dms:x:1:cert:ca"}
    side = translated(endpoint, certificate="authorities/ca 1.pem")
    url = loaded(side, "source").source.url
    assert url is not None
    assert url.option("sslrootcert") == "/etc/authorities/ca 1.pem"
    (note,) = translated(endpoint).notes
    assert "db.pem" in note.message


# --- secrets --------------------------------------------------------------------------------------


def test_a_secret_may_be_in_a_file_or_in_a_variable() -> None:
    assert parse_reference("file:/run/orders.json").keeper is Keeper.FILE
    assert parse_reference("env:ORDERS").name == "ORDERS"
    assert parse_reference("arn:aws:secretsmanager:x").keeper is Keeper.AWS
    for wrong in ("env:A B", "file:orders.json"):
        with pytest.raises(ConfigError, match="must be followed by"):
            parse_reference(wrong)


def test_a_secrets_content_takes_the_place_of_its_reference() -> None:
    secret = '{"username": "u", "password": "canary", "host": "db", "port": "7"}'
    credentials = read_credentials(secret)
    assert "canary" not in repr(credentials)
    endpoint: Document = {
        "EngineName": "postgres",
        "PostgreSQLSettings": {"SecretsManagerSecretId": "env:S", "DatabaseName": "d"},
    }
    side = translated(with_credentials(endpoint, "PostgreSQLSettings", credentials))
    assert side.table["url"] == "postgresql://u@db:7/d?sslmode=prefer"
    assert side.notes == ()


@pytest.mark.parametrize(
    "text",
    ["", "canary", "[]", '{"username": "u"}', '{"username": 3, "password": "canary"}',
     '{"username": "u", "password": "canary", "port": "canary"}',
     '{"username": "u", "password": "canary", "host": 3}'],
)  # fmt: skip
def test_a_broken_secret_is_refused_without_its_content(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_credentials(text)
    assert "canary" not in str(caught.value)


# --- and back -------------------------------------------------------------------------------------

NAMES = st.text("abcxyz-09", min_size=1, max_size=12)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(sorted(FAMILIES)),
    st.fixed_dictionaries(
        {"user": st.text("ab /:@ü${}", min_size=1, max_size=6), "host": NAMES, "database": NAMES}
    ),
    st.sampled_from(["disable", "prefer", "require", "verify-ca", "verify-full"]),
    st.booleans(),
)
def test_a_table_comes_back_as_it_was(
    engine: str, parts: dict[str, str], sslmode: str, more: bool
) -> None:
    table: Document = (
        {"engine": engine, "without_identity": "insert-only"} if more else {"engine": engine}
    )
    endpoint = {
        "EngineName": {"postgres": "postgres"}.get(engine, engine),
        "Username": parts["user"],
        "ServerName": parts["host"],
        "DatabaseName": parts["database"],
    }
    url = str(translated(endpoint).table["url"]).replace("sslmode=prefer", f"sslmode={sslmode}")
    table |= {"url": url + "&connect_timeout=5", "password_env": "DB_PASSWORD"}
    table |= {"settings": {"ExecuteTimeout": 9}}
    document = endpoint_of(table, "source", "db")
    assert document.members["SslMode"] in ("none", "require", "verify-ca", "verify-full")
    back = translated(document.members, extras=document.extras).table
    assert (
        loaded(Side(table=back, variables=(), notes=()), "source").source
        == loaded(Side(table=table, variables=(), notes=()), "source").source
    )


def test_an_address_in_settings_is_one_too() -> None:
    table: Document = {
        "engine": "mysql",
        "settings": {"ServerName": "h", "Username": "u", "Password": "canary", "MaxFileSize": 5},
    }
    document = endpoint_of(table, "target", "db")
    assert document.members["Port"] == 3306
    assert document.members["MySQLSettings"] == {"MaxFileSize": 5}
    assert document.password is not None
    assert "canary" not in repr(document)


@pytest.mark.parametrize(
    "table", [{"engine": "memory"}, {}, {"engine": "mysql", "url": "postgresql://canary@h/d"}]
)
def test_a_table_that_is_no_endpoint_is_refused(table: Document) -> None:
    with pytest.raises(ConfigError) as caught:
        endpoint_of(table, "source", "db")
    assert "canary" not in str(caught.value)


# --- texts ----------------------------------------------------------------------------------------

VALUES = st.recursive(
    st.text(max_size=8) | st.booleans() | st.integers(-(2**62), 2**62) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(max_size=6), VALUES, max_size=4), st.text(max_size=9))
def test_toml_is_read_back_as_it_was(document: dict[str, object], text: str) -> None:
    assert tomllib.loads(toml_text(document)) == document
    assert expand_text(escaped(text), {}, "x", Problems("x")) == text


def test_toml_has_no_null() -> None:
    with pytest.raises(ValueError, match="no form for a NoneType"):
        toml_text({"a": {"b": None}})


def test_attributes_are_pairs() -> None:
    assert read_attributes("a=1; b = x=y ;;c") == {"a": "1", "b": "x=y", "c": ""}


# --- replications ---------------------------------------------------------------------------------

MAPPINGS: Final = json.dumps(
    {
        "rules": [
            {
                "rule-type": "selection",
                "rule-id": "1",
                "rule-name": "1",
                "object-locator": {"schema-name": "public", "table-name": "%"},
                "rule-action": "include",
            }
        ]
    }
)


def replication(**changes: Any) -> Replication:
    plain: dict[str, Any] = {
        "arn": "arn:aws:dms:eu-west-1:1:replication-config:ABC",
        "identifier": "orders",
        "type": "full-load-and-cdc",
        "source_arn": "s",
        "target_arn": "t",
        "mappings": MAPPINGS,
        "settings": "",
    }
    return Replication(**(plain | changes))


@pytest.mark.parametrize(
    ("identifier", "kept"),
    [("orders", True), ("9-lives", True), ("all", False), ("x-inserts", False), ("a" * 41, False)],
)
def test_an_id_is_one_that_our_file_takes(identifier: str, kept: bool) -> None:
    made = replication_id(replication(identifier=identifier))
    assert (made == identifier) is kept
    text = f'[replication]\nid = "{made}"\n[source]\nengine = "memory"\n[target]\nengine="memory"'
    assert parse_replication(text, {}, file=Path("r.toml")).id == made


def test_two_replications_have_two_ids() -> None:
    first = replication_id(replication(identifier="Orders-1"))
    second = replication_id(replication(identifier="orders-1"), frozenset({first}))
    assert first.lower() != second.lower()


@pytest.mark.parametrize("name", ["orders-db", "9", "ü", "a--b"])
def test_variables_have_names_that_a_shell_takes(name: str) -> None:
    assert variable_prefix(name).isidentifier()
    assert variable_prefix(name).isascii()


def test_a_missing_endpoint_and_an_engine_that_is_not_run_leave_nothing_to_write() -> None:
    made = files_of(replication(), {"s": {"EngineName": "oracle"}}, {})
    assert made.texts == {}
    assert [note.blocks for note in made.notes] == [True, True]
    assert "Oracle (oracle) is not run" in made.notes[0].message
    assert "describe-endpoints" in made.notes[1].message


def test_what_is_not_carried_yet_stays_in_the_file_and_blocks() -> None:
    rules = json.loads(MAPPINGS)["rules"]
    rename = {
        "rule-type": "transformation",
        "rule-id": "2",
        "rule-name": "2",
        "rule-target": "schema",
        "object-locator": {"schema-name": "public"},
        "rule-action": "rename",
        "value": "sales",
    }
    made = files_of(
        replication(
            mappings=json.dumps({"rules": [*rules, rename]}),
            settings='{"TargetMetadata": {"TargetSchema": "sales"}}',
            start="4AF/B0",
            stop="server_time:2018-02-09T12:12:12",
            compute={"MaxCapacityUnits": 3, "MultiAZ": True, "VpcSecurityGroupIds": ["sg"]},
        ),
        {"s": POSTGRES, "t": MYSQL},
        {},
    )
    blocking = [note.subject for note in made.notes if note.blocks]
    assert len(blocking) == 2
    assert 'rule-id "2"' in blocking[0]
    assert blocking[1] == "TargetMetadata.TargetSchema"
    told = {note.subject for note in made.notes if not note.blocks}
    assert told == {
        "CdcStartPosition",
        "CdcStopPosition",
        "ComputeConfig.MaxCapacityUnits",
        "ComputeConfig.MultiAZ",
        "ComputeConfig.VpcSecurityGroupIds",
    }
    with pytest.raises(ConfigError) as caught:
        read(made.texts, "orders.toml")
    assert len(caught.value.problems) == 2


def read(texts: Any, name: str) -> ReplicationConfig:
    environment = {"ORDERS_DB_PASSWORD": "a", "WAREHOUSE_PASSWORD": "b"}
    return parse_replication(
        texts[name],
        environment,
        file=Path(name),
        read_bytes=lambda path: texts[path.name].encode(),
    )


# --- settings -------------------------------------------------------------------------------------


def test_only_what_differs_from_awss_defaults_is_written() -> None:
    golden = Path(__file__).parents[1] / "config" / "golden" / "settings_defaults.json"
    whole = json.loads(golden.read_text())
    assert settings_file(json.dumps(whole), "full-load-and-cdc") == ({}, ())
    whole["FullLoadSettings"]["TargetTablePrepMode"] = "TRUNCATE_BEFORE_LOAD"
    whole["Logging"]["LogComponents"][3]["Severity"] = "LOGGER_SEVERITY_DEBUG"
    whole["Logging"]["CloudWatchLogGroup"] = "dms-tasks"
    whole["ValidationSettings"] = {"EnableValidation": True, "ThreadCount": 5}
    whole["NewSettings"] = {"X": 1}
    document, notes = settings_file(json.dumps(whole), "full-load-and-cdc")
    assert document == {
        "FullLoadSettings": {"TargetTablePrepMode": "TRUNCATE_BEFORE_LOAD"},
        "Logging": {"LogComponents": [{"Id": "COMMON", "Severity": "LOGGER_SEVERITY_DEBUG"}]},
        "ValidationSettings": {"EnableValidation": True},
    }
    assert [(note.subject, note.blocks) for note in notes] == [
        ("NewSettings", False),
        ("Logging.LogComponents", False),
        ("ValidationSettings.EnableValidation", False),
    ]


def test_settings_that_the_daemon_follows_are_said_to_be_followed() -> None:
    given = {"Logging": {"EnableLogging": True}, "FullLoadSettings": {"CommitRate": 7}}
    _, notes = settings_file(json.dumps(given), "full-load")
    said = {note.subject: note.message for note in notes}
    assert said["Logging.EnableLogging"].startswith("is followed by the daemon, and not by")
    assert said["FullLoadSettings.CommitRate"].startswith("accepted, but has no effect yet: ")
    assert not any(note.blocks for note in notes)


def test_settings_that_are_no_json_block() -> None:
    document, (note,) = settings_file("{", "cdc")
    assert document == {}
    assert note.blocks


# --- a file and its worker's ----------------------------------------------------------------------

WHOLE: Final = """
[replication]
id = "orders"
type = "cdc"
start_position = "4AF/B0"
[source]
engine = "postgres"
url = "postgresql://u@h:5432/d?sslmode=verify-full"
password_env = "DB_PASSWORD"
heartbeat = "10s"
publication = "$${x}"
[source.settings]
SlotName = "mine"
[target]
engine = "mysql"
url = "mysql://u@h:3306/d?sslmode=disable&connect_timeout=3"
password_env = "DB_PASSWORD"
[mapping]
include = ["public.order_%", '"a.b".c']
exclude = ["public.order_x"]
[apply]
mode = "key-parallel"
appliers = 3
[capacity]
max = 4
unit_memory = "256MiB"
[intervals]
frontier = "2s"
[settings]
file = "settings.json"
"""

GIVEN: Final[Document] = {"FullLoadSettings": {"MaxFullLoadSubTasks": 3}}


def test_a_file_comes_back_as_a_worker_reads_it() -> None:
    document: Any = expand_document(tomllib.loads(WHOLE), {}, Problems("orders.toml"))
    found = replication_of(document, settings=GIVEN)
    assert found.members["ComputeConfig"] == {"MinCapacityUnits": 1, "MaxCapacityUnits": 4}
    sides = {}
    for role in ("source", "target"):
        assert role in ("source", "target")
        end = endpoint_of(document[role], role, role)
        sides[role] = translated(end.members, role, extras=end.extras)
    mappings = parse_rules(str(found.members["TableMappings"]))
    plan = Plan(
        id="orders",
        type=str(found.members["ReplicationType"]),
        source=sides["source"],
        target=sides["target"],
        mappings=mappings,
        settings=found.settings,
        units_min=1,
        units_max=4,
        ours=found.ours,
    )
    texts = file_texts(plan, name="orders")
    after = written(texts["orders.toml"], texts)
    before = written(WHOLE, {"settings.json": json.dumps(GIVEN)})
    assert [(r.action, r.schema, r.table) for r in after.mapping.rules] == [
        (r.action, r.schema, r.table) for r in before.mapping.rules
    ]
    assert replace(after, mapping=before.mapping) == before


def written(text: str, files: Mapping[str, str]) -> ReplicationConfig:
    return parse_replication(
        text,
        {"DB_PASSWORD": "pw"},
        file=Path("r.toml"),
        read_bytes=lambda path: files[path.name].encode(),
    )
