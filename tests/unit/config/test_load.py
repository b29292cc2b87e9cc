import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from engine.config.endpoint import Origin, SessionReplicationRole, SourceConfig, TargetConfig
from engine.config.files import FILE_BYTES_MAX
from engine.config.load import load_replication, parse_replication
from engine.config.replication import (
    ApplyConfig,
    ApplyMode,
    LoadConfig,
    OnRowError,
    OnSchemaChange,
    Prepare,
    ReplicationConfig,
    ReplicationType,
)
from engine.config.secret import Secret
from engine.errors import ConfigError

FILE = Path("orders.toml")
SECRET = "hunter2-canary"

REPLICATION = '[replication]\nid = "orders"\n'
SOURCE = '[source]\nengine = "postgres"\nurl = "postgresql://u@db.example.com/d"\n'
TARGET = '[target]\nengine = "postgres"\nurl = "postgresql://u@localhost/d"\n'
WHOLE = REPLICATION + SOURCE + TARGET


def with_source(line: str) -> str:
    """The whole file with one more line in [source]."""
    return WHOLE.replace("[target]", f"{line}\n[target]")


def parse(
    text: str, environment: dict[str, str] | None = None, /, **files: str | bytes
) -> ReplicationConfig:
    """Parse with the given files, named by their stem, beside the replication file."""

    def read(path: Path) -> bytes:
        try:
            content = files[path.stem]
        except KeyError:
            raise FileNotFoundError(2, "No such file or directory") from None
        return content.encode() if isinstance(content, str) else content

    return parse_replication(text, environment or {}, file=FILE, read_bytes=read)


def problems(text: str, environment: dict[str, str] | None = None, /, **files: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, environment, **files)
    assert SECRET not in "".join(map(repr, caught.value.problems))
    return "\n".join(map(str, caught.value.problems))


def test_a_short_file_gets_safe_defaults() -> None:
    config = parse(WHOLE)
    assert config.id == "orders"
    assert config.type is ReplicationType.FULL_LOAD_AND_CDC
    assert config.load.prepare is Prepare.DO_NOTHING
    assert config.apply.mode is ApplyMode.TABLE_PARALLEL
    assert config.apply.on_row_error is OnRowError.STOP_TABLE
    assert config.source.wal_retained_warn_bytes == 10 << 30
    assert config.source.wal_retained_max_bytes == 0
    assert config.source.origin is Origin.ANY
    assert config.source.url is not None
    assert config.source.url.sslmode == "verify-full"
    assert config.target.session_replication_role is SessionReplicationRole.ORIGIN
    assert config.object_name == config.slot_name == "penstock_orders"
    assert config.slot_is_ours
    assert (config.warnings, config.no_effect) == ((), ())


def test_a_file_on_disk_is_read_with_the_files_it_names(tmp_path: Path) -> None:
    rule = {
        "rule-type": "selection",
        "rule-id": "1",
        "rule-name": "1",
        "rule-action": "include",
        "object-locator": {"schema-name": "s", "table-name": "t"},
    }
    (tmp_path / "mapping.json").write_text(json.dumps({"rules": [rule]}))
    (tmp_path / "password").write_bytes(b"pw with space \r\nignored")
    file = tmp_path / "r.toml"
    source = SOURCE + 'password_file = "password"\n'
    file.write_text(REPLICATION + source + TARGET + '[mapping]\nfile = "mapping.json"\n')
    config = load_replication(file, {})
    assert config.mapping.rules[0].id == "1"
    assert config.source.url is not None
    assert config.source.url.password is not None
    assert config.source.url.password.reveal() == "pw with space "
    assert config.file == str(file)


def test_a_file_that_is_not_there_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_replication(tmp_path / "none.toml", {})
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_replication(tmp_path, {})


def test_a_files_path_is_told_whole(tmp_path: Path) -> None:
    """However long: it says where to look."""
    missing = tmp_path / ("folder" * 20) / "nosuch.toml"
    with pytest.raises(ConfigError, match=re.escape(str(missing))):
        load_replication(missing, {})


def test_a_missing_password_file_is_told_beside_problems_elsewhere() -> None:
    text = with_source('password_file = "nosuch"') + "[load]\nprepare = 3\n"
    found = problems(text)
    assert "source.password_file: nosuch cannot be read" in found
    assert "load.prepare" in found


def test_a_file_that_is_no_text_or_too_large_is_refused() -> None:
    named = WHOLE + '[settings]\nfile = "settings.json"\n'
    assert "is not UTF-8 text" in problems(named, settings=b"\xff\xfe")
    assert "is larger than" in problems(named, settings=b" " * (FILE_BYTES_MAX + 1))
    assert "settings.file: settings.json cannot be read" in problems(named)


def test_every_problem_is_found_at_once_and_names_file_and_field() -> None:
    text = """
        [replicaton]
        [replication]
        id = 3
        typ = "cdc"
        [source]
        engine = "postgres"
        url = "postgresql://u:hunter2-canary@h:x/d"
        wal_retained_warn = "10 Gigs"
        [target]
        [load]
        parallel_tables = 50
        [apply]
        mode = "key-paralel"
        on_row_error = "quarantin"
    """
    found = problems(text).splitlines()
    assert all(line.startswith("orders.toml: ") for line in found)
    for words in (
        "replicaton: unknown table (did you mean 'replication'?)",
        "beginning with a letter or digit, found a whole number",
        "replication.typ: unknown key (did you mean 'type'?)",
        "source.url: must be a connection URL",
        "source.wal_retained_warn: expected a size",
        "target.engine: is missing",
        "load.parallel_tables: must be a whole number from 0 to 49",
        'did you mean "key-parallel"',
        'did you mean "quarantine"',
    ):
        assert any(words in line for line in found), (words, found)


@pytest.mark.parametrize(
    "text", ["[replication", "id = ", "a = 1\na = 2", "[a]\n[a]", "x = 99:99:99", "x = 9999-99-99"]
)
def test_broken_toml_is_a_config_error_with_its_place(text: str) -> None:
    assert "orders.toml: syntax: not valid TOML" in problems(text)


def test_deep_nesting_is_refused() -> None:
    assert "nested deeper" in problems("x = " + "[" * 100_000)
    assert "nested deeper" in problems("x = " + "[" * 40 + "]" * 40)


@pytest.mark.parametrize(
    "name",
    ["", "-a", "_a", "a b", "ä", "a" * 41, "all", "Penstock", "x_inserts", "a/b", "a\\u0000"],
)
def test_an_id_that_makes_no_valid_slot_name_is_refused(name: str) -> None:
    assert "replication.id: " in problems(WHOLE.replace('"orders"', f'"{name}"'))


def test_the_longest_id_leaves_room_in_a_name_of_63_bytes() -> None:
    config = parse(WHOLE.replace('"orders"', f'"{"A-" * 20}"'))
    assert config.object_name == "penstock_" + "a_" * 20
    assert len(config.object_name) + 14 <= 63


# --- environment ---


def test_references_are_replaced_also_inside_a_text() -> None:
    text = WHOLE.replace("u@db.example.com/d", "${WHO}@${HOST}.example.com/d")
    config = parse(text, {"WHO": "me", "HOST": "h1"})
    assert config.source.url is not None
    assert (config.source.url.user, config.source.url.host) == ("me", "h1.example.com")


def test_what_a_variable_holds_is_not_expanded_again() -> None:
    config = parse(
        WHOLE + '[mapping]\ninclude = ["s.${A}", "s.$${A}", "s.$x"]\n', {"A": "$${B}${C}"}
    )
    tables = [rule.table for rule in config.mapping.rules]
    assert tables[0].matches("$${B}${C}")
    assert tables[1].matches("${A}")
    assert tables[2].matches("$x")


def test_every_missing_variable_is_named() -> None:
    text = WHOLE + '[mapping]\ninclude = ["${A}", "${B}"]\n'
    found = problems(text)
    assert "mapping.include[0]: environment variable A is not set" in found
    assert "mapping.include[1]: environment variable B is not set" in found


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A B}", "x${A"])
def test_a_broken_reference_is_an_error(text: str) -> None:
    assert "write $${ for a literal" in problems(
        WHOLE + f'[mapping]\ninclude = ["{text}"]\n', {"A": "x"}
    )


# --- secrets ---


def with_password(written: str) -> str:
    return WHOLE.replace("u@db.example.com", f"u:{written}@db.example.com")


def test_a_password_in_the_url_works_and_is_warned_about() -> None:
    config = parse(with_password(SECRET))
    (warning,) = config.warnings
    assert warning.startswith("orders.toml: source.url: holds a password")
    assert SECRET not in repr(config)
    assert SECRET not in warning


def test_a_password_behind_a_reference_is_not_warned_about() -> None:
    assert parse(with_password("${PW}"), {"PW": SECRET}).warnings == ()
    whole = WHOLE.replace("postgresql://u@db.example.com/d", "${URL}")
    assert parse(whole, {"URL": f"postgresql://u:{SECRET}@h/d"}).warnings == ()


def test_the_key_of_refused_rows_comes_from_the_environment_alone() -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    assert parse(WHOLE).quarantine_key is None
    config = parse(WHOLE, {"PENSTOCK_QUARANTINE_KEY": key})
    assert config.quarantine_key == Secret(key)
    assert key not in repr(config)
    found = problems(WHOLE, {"PENSTOCK_QUARANTINE_KEY": key[:-8]})
    assert "PENSTOCK_QUARANTINE_KEY: must be 32 bytes in base64" in found
    assert key[:8] not in found


def test_a_secret_from_the_environment_in_a_wrong_place_is_not_shown() -> None:
    for key in (
        '[apply]\nmode = "${PW}"',
        '[load]\nrows_per_chunk = "${PW}"',
        '[mapping]\ninclude = ["${PW}"]',
    ):
        problems(f"{WHOLE}{key}\n", {"PW": SECRET})
    problems(WHOLE.replace('"orders"', '"${PW}!"'), {"PW": SECRET})
    problems(WHOLE.replace("db.example.com", "h:${PW}"), {"PW": SECRET})


def test_the_password_is_given_in_one_place() -> None:
    both = with_password(SECRET).replace("[target]", 'password_env = "PW"\n[target]')
    assert "source.password_env: the password is also given elsewhere" in problems(
        both, {"PW": "x"}
    )
    both = WHOLE.replace("[target]", 'password_env = "PW"\npassword_file = "f"\n[target]')
    assert "the password is also given elsewhere" in problems(both, {"PW": "x"}, f="x")


def test_a_password_that_is_not_there_is_an_error() -> None:
    named = WHOLE.replace("[target]", 'password_env = "PW"\n[target]')
    assert "environment variable PW is not set" in problems(named)
    named = WHOLE.replace("[target]", 'password_file = "pw.txt"\n[target]')
    assert "source.password_file: pw.txt cannot be read" in problems(named)
    assert "the first line of the file must be the password" in problems(named, pw="\n")


def test_a_connection_that_checks_nobody_is_warned_about() -> None:
    config = parse(WHOLE.replace("db.example.com/d", "db.example.com/d?sslmode=require"))
    assert "sslmode=require does not check who answers" in config.warnings[0]


def test_certificate_paths_count_from_the_file() -> None:
    text = WHOLE.replace("example.com/d", "example.com/d?sslrootcert=ca.pem")
    config = parse_replication(text, {}, file=Path("/etc/penstock/orders.toml"))
    assert config.source.url is not None
    assert config.source.url.option("sslrootcert") == "/etc/penstock/ca.pem"


# --- AWS endpoint settings ---


def source_settings(text: str) -> str:
    return WHOLE + f"[source.settings]\n{text}\n"


def test_aws_endpoint_settings_have_effect_under_their_names() -> None:
    config = parse(
        source_settings('SlotName = "mine"\nHeartbeatEnable = true\nHeartbeatFrequency = 2')
    )
    assert config.slot_name == "mine"
    assert not config.slot_is_ours
    assert config.source.heartbeat_interval_seconds == 120.0


def test_other_aws_endpoint_settings_are_listed_as_without_effect() -> None:
    config = parse(source_settings('TrimSpaceInChar = true\nPluginName = "test-decoding"'))
    assert config.no_effect == ("source.settings.PluginName", "source.settings.TrimSpaceInChar")


def test_unknown_or_mistyped_endpoint_settings_are_refused() -> None:
    assert "did you mean 'SlotName'" in problems(source_settings('SlotNam = "x"'))
    assert "expected true or false, found text" in problems(source_settings('CaptureDdls = "yes"'))
    assert "expected true or false, found a whole number" in problems(
        source_settings("MapJsonbAsClob = 1")
    )
    assert "SlotName: must be 1 to 63" in problems(source_settings('SlotName = "A"'))
    assert "source.settings: expected a table" in problems(
        WHOLE.replace("[target]", "settings = 3\n[target]")
    )


def test_a_heartbeat_is_set_in_one_place() -> None:
    both = (
        WHOLE.replace("[target]", 'heartbeat = "10s"\n[target]')
        + "[source.settings]\nHeartbeatEnable = true\n"
    )
    assert "source.heartbeat: is also set in source.settings" in problems(both)


def test_the_address_may_be_written_the_way_aws_does() -> None:
    text = WHOLE.replace('url = "postgresql://u@db.example.com/d"\n', "")
    address = (
        '[source.settings]\nServerName = "h.example.com"\nDatabaseName = "d"\nUsername = "me"\n'
        f'Password = "{SECRET}"\n'
    )
    config = parse(text + address)
    assert str(config.source.url) == "postgresql://me:***@h.example.com:5432/d"
    assert config.source.url is not None
    assert config.source.url.sslmode == "verify-full"
    assert "source.settings.Password: holds a password" in config.warnings[0]
    assert "source.url: ServerName, DatabaseName, Username, Password in" in problems(
        WHOLE + address
    )
    assert "both needed" in problems(text + '[source.settings]\nServerName = "h"\n')


def test_the_script_that_aws_recommends_means_the_replica_role() -> None:
    script = "[target.settings]\nAfterConnectScript = \"SET session_replication_role='replica'\"\n"
    assert parse(WHOLE + script).target.session_replication_role is SessionReplicationRole.REPLICA
    both = WHOLE + 'session_replication_role = "origin"\n' + script
    assert "target.session_replication_role: is also set" in problems(both)
    other = WHOLE + '[target.settings]\nAfterConnectScript = "SET x = 1"\n'
    assert parse(other).no_effect == ("target.settings.AfterConnectScript",)


# --- AWS replication settings ---


def with_settings(text: str, **sections: object) -> tuple[str, dict[str, str]]:
    return text + '[settings]\nfile = "aws.json"\n', {"aws": json.dumps(sections)}


def test_aws_settings_decide_where_they_are_written() -> None:
    text, files = with_settings(
        WHOLE,
        TargetMetadata={"BatchApplyEnabled": False},
        FullLoadSettings={"TargetTablePrepMode": "TRUNCATE_BEFORE_LOAD", "MaxFullLoadSubTasks": 3},
        ChangeProcessingDdlHandlingPolicy={"HandleSourceTableAltered": False},
    )
    config = parse(text, **files)
    assert config.apply.mode is ApplyMode.TRANSACTIONAL
    assert config.load.prepare is Prepare.TRUNCATE
    assert config.load.parallel_tables == 3
    assert config.apply.on_schema_change is OnSchemaChange.STOP
    assert config.no_effect == ()


def test_settings_that_do_not_mention_batch_apply_leave_the_mode_alone() -> None:
    text, files = with_settings(WHOLE, TargetMetadata={"LobMaxSize": 64})
    config = parse(text, **files)
    assert config.apply.mode is ApplyMode.TABLE_PARALLEL
    assert config.no_effect == ("TargetMetadata.LobMaxSize",)
    assert config.settings.value("TargetMetadata.BatchApplyEnabled") is False


@pytest.mark.parametrize(
    ("ours", "section", "key", "value"),
    [
        ('[apply]\nmode = "transactional"', "TargetMetadata", "BatchApplyEnabled", False),
        ('[load]\nprepare = "truncate"', "FullLoadSettings", "TargetTablePrepMode", "DO_NOTHING"),
        ("[load]\nparallel_tables = 8", "FullLoadSettings", "MaxFullLoadSubTasks", 8),
        ('[apply]\non_row_error = "stop"', "ErrorBehavior", "ApplyErrorInsertPolicy", "STOP_TASK"),
        (
            '[apply]\non_schema_change = "stop"',
            "ChangeProcessingDdlHandlingPolicy",
            "HandleSourceTableDropped",
            True,
        ),
    ],
)
def test_one_thing_under_both_names_is_an_error(
    ours: str, section: str, key: str, value: object
) -> None:
    text, files = with_settings(f"{WHOLE}{ours}\n", **{section: {key: value}})
    assert f"is also set as {section}.{key} in the settings file" in problems(text, **files)


def test_the_strictest_error_policy_holds() -> None:
    text, files = with_settings(
        WHOLE,
        ErrorBehavior={
            "ApplyErrorInsertPolicy": "LOG_ERROR",
            "ApplyErrorUpdatePolicy": "SUSPEND_TABLE",
            "ApplyErrorDeletePolicy": "IGNORE_RECORD",
        },
    )
    config = parse(text, **files)
    assert config.apply.on_row_error is OnRowError.STOP_TABLE
    assert config.no_effect == ("ErrorBehavior.ApplyErrorDeletePolicy",)


def test_a_policy_that_matches_none_of_ours_leaves_the_safe_default() -> None:
    text, files = with_settings(WHOLE, ErrorBehavior={"ApplyErrorInsertPolicy": "IGNORE_RECORD"})
    assert parse(text, **files).apply.on_row_error is OnRowError.STOP_TABLE


def test_a_row_error_always_stops_in_transactional_mode() -> None:
    text, files = with_settings(
        WHOLE,
        TargetMetadata={"BatchApplyEnabled": False},
        ErrorBehavior={"ApplyErrorInsertPolicy": "LOG_ERROR"},
    )
    config = parse(text, **files)
    assert config.apply.on_row_error is config.on_row_error is OnRowError.STOP
    assert "a row error stops the replication" in config.warnings[0]
    written = WHOLE + '[apply]\nmode = "transactional"\non_row_error = "quarantine"\n'
    assert "apply.on_row_error: must be" in problems(written)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("TargetMetadata", "TargetSchema", "other"),
        ("ChangeProcessingDdlHandlingPolicy", "HandleSourceTableTruncated", False),
        ("ValidationSettings", "ValidationOnly", True),
    ],
)
def test_values_that_cost_something_when_ignored_are_refused(
    section: str, key: str, value: object
) -> None:
    text, files = with_settings(WHOLE, **{section: {key: value}})
    assert f"aws.json: {section}.{key}: is not supported" in problems(text, **files)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"TargetMetdata": {}}, "unknown section (did you mean 'TargetMetadata'?)"),
        ({"FullLoadSettings": {"CommitRat": 1}}, "did you mean 'CommitRate'"),
        ({"FullLoadSettings": {"CommitRate": 0}}, "must be a whole number from 1 to 50,000"),
        ({"FullLoadSettings": {"CommitRate": "10"}}, "found text"),
        ({"FullLoadSettings": []}, "expected an object, found a list"),
        ({"ErrorBehavior": {"DataErrorPolicy": "LOG_EROR"}}, 'did you mean "LOG_ERROR"'),
        ({"Logging": {"LogComponents": [{"Idd": "x"}]}}, "LogComponents[0].Idd: unknown key"),
        ({"Logging": {"LogComponents": {}}}, "expected a list"),
        (
            {"TTSettings": {"TTRecordSettings": {"RawDataFormat": "XML"}}},
            'must be one of "TEXT", "HEX"',
        ),
    ],
)
def test_a_wrong_aws_setting_names_its_file_and_key(
    sections: dict[str, object], words: str
) -> None:
    text, files = with_settings(WHOLE, **sections)
    found = problems(text, **files)
    assert words in found
    assert found.startswith("aws.json: ")


# --- checks across keys ---


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (with_source('wal_retained_policy = "give-up-slot"'), "wal_retained_max: must be set"),
        (
            with_source('wal_retained_max = "1GiB"\nwal_retained_warn = "2GiB"'),
            "wal_retained_max: must be 0 or at least",
        ),
        (WHOLE + 'synchronous_commit = "off"\n', '"off" is refused'),
        (
            REPLICATION + 'start_position = "0/1"\n' + SOURCE + TARGET,
            "only allowed with type = cdc",
        ),
        (
            REPLICATION + 'start_time = "2018-02-09T12:12:12"\n' + SOURCE + TARGET,
            "replication.start_time: is only allowed with type = cdc",
        ),
        (
            REPLICATION + 'type = "cdc"\nstart_time = "soon"\n' + SOURCE + TARGET,
            "replication.start_time: is no moment such as 2026-02-09T12:12:12",
        ),
        (
            REPLICATION
            + 'type = "cdc"\nstart_time = "2018-02-09T12:12:12"\nstart_position = "0/1"\n'
            + SOURCE
            + TARGET,
            "replication.start_time: is not allowed beside start_position",
        ),
        (
            WHOLE + '[mapping]\nfile = "m.json"\ninclude = ["a.b"]\n',
            "mapping.include: cannot stand beside file",
        ),
        (WHOLE.replace('url = "postgresql://u@localhost/d"\n', ""), "target.url: is missing"),
        (WHOLE.replace("postgresql://u@localhost/d", "mysql://u@localhost/d"), "must begin with"),
        (WHOLE + "[capacity]\nmin = 3\n", "capacity.min: must be one of 1, 2, 4"),
        (WHOLE + "[capacity]\nmax = 24\n", "capacity.max: must be one of 1, 2, 4"),
        (WHOLE + "[capacity]\nappliers_per_unit = 0\n", "from 1 to 64"),
        (
            WHOLE + "[capacity]\nmin = 8\nmax = 4\n",
            "capacity.min: is 8, above capacity.max, which is 4",
        ),
        (WHOLE + "[capacity]\nmin = 32\n", "is 32, above capacity.max, which is 16"),
        (
            WHOLE + "[capacity]\ndown_threshold = 0.92\n",
            "capacity.down_threshold: is 0.92, not below capacity.up_threshold, which is 0.9",
        ),
        (
            WHOLE + "[capacity]\nup_threshold = 0.95\n",
            "is 0.95, not below capacity.emergency_threshold, which is 0.95",
        ),
        (
            WHOLE + '[capacity]\nup_after = "10min"\n',
            'is "10min", not below capacity.down_after, which is "5min"',
        ),
        (
            WHOLE + '[capacity]\nrelease_after = "6min"\n',
            'is "6min", not below capacity.down_after, which is "5min"',
        ),
        (
            WHOLE + '[capacity]\ndown_after = "1h"\n',
            'is "1h", not below capacity.spike_memory, which is "15min"',
        ),
        (WHOLE + '[capacity]\ncool_down = "0s"\n', "capacity.cool_down: must be from 1s"),
        (WHOLE + "[capacity]\nup_after = 0\n", "capacity.up_after: must be from 1s"),
        (WHOLE + "[capacity]\neffect_after = 0\n", "capacity.effect_after: must be from 2s"),
        (WHOLE + '[capacity]\ngain_min = "much"\n', "expected a number from 0 to 1, found text"),
        (WHOLE + "[capacity]\nup_threshold = 1.5\n", "must be a number from 0.1 to 1"),
        (WHOLE + '[capacity]\nunit_memory = "64MiB"\n', "must be from 128MiB to 64GiB"),
        ("replication = 3\n", "expected a table [replication], found a whole number"),
    ],
)
def test_keys_that_contradict_each_other_are_refused(text: str, words: str) -> None:
    assert words in problems(text)


def test_a_maximum_below_the_default_warning_lowers_the_warning() -> None:
    config = parse(WHOLE.replace("[target]", 'wal_retained_max = "1GiB"\n[target]'))
    assert config.source.wal_retained_warn_bytes == 1 << 30


def test_engines_of_our_own_need_no_url() -> None:
    config = parse(REPLICATION + '[source]\nengine = "memory"\n[target]\nengine = "blackhole"\n')
    assert config.source.url is None
    assert "takes no settings" in problems(
        REPLICATION
        + '[source]\nengine = "memory"\n[source.settings]\nx = 1\n[target]\nengine = "blackhole"\n'
    )


def test_a_configuration_built_by_hand_is_checked_too() -> None:
    source, target = SourceConfig(engine="memory"), TargetConfig(engine="memory")
    ReplicationConfig(id="x", source=source, target=target).validate()
    base = ReplicationConfig(id="x", source=source, target=target)
    mistyped = SourceConfig(engine=3)  # type: ignore[arg-type]
    for wrong, field in (
        (replace(base, id="x y"), "replication.id"),
        (replace(base, load=LoadConfig(parallel_tables=-1)), "load.parallel_tables"),
        (replace(base, apply=ApplyConfig(batch_bytes_max=1)), "apply.batch_bytes_max"),
        (replace(base, source=mistyped), "source.engine"),
    ):
        with pytest.raises(ConfigError) as caught:
            wrong.validate()
        assert caught.value.field == field
