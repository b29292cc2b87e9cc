"""Files whose ends are MySQL or MariaDB."""

from pathlib import Path
from typing import Final

import pytest

from engine.config.endpoint import LoadSnapshot, SessionReplicationRole, ZeroDate
from engine.config.load import parse_replication
from engine.config.replication import ReplicationConfig
from engine.errors import ConfigError

REPLICATION: Final = '[replication]\nid = "orders"\n'
END: Final = 'engine = "postgres"\nurl = "postgresql://u@localhost/d"\n'
POSTGRES: Final = f"{REPLICATION}[source]\n{END}[target]\n{END}"


def parse(text: str) -> ReplicationConfig:
    return parse_replication(text, {}, file=Path("orders.toml"))


def problems(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    return "\n".join(map(str, caught.value.problems))


def mysql(engine: str = "mysql", url: str = "mysql://u@localhost/d", more: str = "") -> str:
    end = f'engine = "{engine}"\nurl = "{url}"\n'
    return f"{REPLICATION}[source]\n{end}{more}[target]\n{end}"


@pytest.mark.parametrize("engine", ["mysql", "mariadb", "aurora"])
def test_an_engine_of_mysql_s_family_takes_its_url(engine: str) -> None:
    config = parse(mysql(engine))
    assert str(config.source.url) == str(config.target.url) == "mysql://u@localhost:3306/d"
    assert config.no_effect == ()


def test_url_and_engine_agree() -> None:
    assert 'begins with "mariadb://", but engine = "mysql": write "mariadb"' in problems(
        mysql("mysql", "mariadb://u@localhost/d")
    )
    assert 'must begin with "mariadb://" or "mysql://"' in problems(
        mysql("mariadb", "postgresql://u@localhost/d")
    )
    assert parse(mysql("mariadb", "mariadb://u@localhost/d")).source.engine == "mariadb"
    assert "source.url: is missing; expected mysql://" in problems(
        REPLICATION + '[source]\nengine = "mysql"\n[target]\nengine = "memory"\n'
    )


def test_a_mysql_server_that_nobody_verifies_is_warned_about() -> None:
    config = parse(mysql(url="mysql://u@db.example.com/d?sslmode=require"))
    assert "sslmode=require does not check who answers" in config.warnings[0]


def test_keys_that_only_the_other_family_has_are_listed_as_without_effect() -> None:
    config = parse(mysql(more='publication = "p"\nfailover_slot = true\nserver_id = 7\n'))
    assert config.no_effect == ("source.failover_slot", "source.publication")
    assert config.source.server_id == 7
    other = POSTGRES.replace("[target]", 'zero_dates = "null"\n[target]')
    assert parse(other).no_effect == ("source.zero_dates",)


def test_an_interval_of_looks_that_the_source_never_gives_is_listed_as_without_effect() -> None:
    intervals = '[intervals]\npartitions = "1s"\nrequests = "1s"\n'
    assert parse(mysql() + intervals).no_effect == ("intervals.partitions",)
    assert parse(POSTGRES + intervals).no_effect == ()


@pytest.mark.parametrize("origin", ["none", "except-penstock"])
def test_a_filter_that_the_source_does_not_have_is_refused(origin: str) -> None:
    """Ignored, two replications would send each other's rows in a circle."""
    text = mysql(more=f'origin = "{origin}"\n')
    assert "source.origin: mysql cannot do this, and must not ignore it" in problems(text)
    assert parse(mysql(more='origin = "any"\n')).no_effect == ("source.origin",)


def test_marks_that_the_target_does_not_have_are_refused_where_they_are_required() -> None:
    target = '[target]\nengine = "mysql"\nurl = "mysql://u@localhost/d"\n'
    text = POSTGRES.partition("[target]")[0] + target
    assert "target.replication_origin" in problems(text + 'replication_origin = "required"\n')
    assert parse(text + 'replication_origin = "off"\n').no_effect == ("target.replication_origin",)


def test_a_zero_date_is_an_error_unless_somebody_says_otherwise() -> None:
    assert parse(mysql()).source.zero_dates is ZeroDate.ERROR
    earliest = mysql(more='zero_dates = "earliest"\n')
    assert parse(earliest).source.zero_dates is ZeroDate.EARLIEST
    assert 'one of "error", "null", "earliest"' in problems(mysql(more='zero_dates = "zero"\n'))
    assert "source.server_id" in problems(mysql(more="server_id = 4294967296\n"))
    assert parse(mysql()).source.prepared_memory_bytes == 8 << 20
    assert "source.prepared_memory" in problems(mysql(more='prepared_memory = "2GiB"\n'))


def test_how_snapshots_are_opened_may_be_chosen() -> None:
    assert parse(mysql()).source.snapshot is LoadSnapshot.AUTO
    chosen = parse(mysql(more='snapshot = "watermark"\n')).source.snapshot
    assert chosen is LoadSnapshot.WATERMARK
    assert 'one of "auto", "lock", "watermark"' in problems(mysql(more='snapshot = "no"\n'))


def test_the_mysql_address_may_be_written_the_way_aws_does() -> None:
    text = mysql().replace('url = "mysql://u@localhost/d"\n[target]', "[target]")
    address = '[source.settings]\nServerName = "h.example.com"\nUsername = "me"\n'
    config = parse(text + address)
    assert str(config.source.url) == "mysql://me@h.example.com:3306/"
    assert config.source.url is not None
    assert config.source.url.sslmode == "verify-full"
    assert "must name the host" in problems(text + '[source.settings]\nUsername = "me"\n')


def test_aws_mysql_settings_have_effect_under_their_names() -> None:
    config = parse(mysql() + "[source.settings]\nExecuteTimeout = 9\nEventsPollInterval = 5\n")
    assert config.source.mysql.execute_timeout_seconds == 9
    assert config.no_effect == ("source.settings.EventsPollInterval",)
    one = mysql() + '[target.settings]\nTargetDbType = "specific-database"\n'
    assert 'TargetDbType: must be one of "multiple-databases"' in problems(one)


@pytest.mark.parametrize("script", ["SET FOREIGN_KEY_CHECKS=0", "set foreign_key_checks = OFF ;"])
def test_the_script_that_aws_recommends_for_mysql_means_the_replica_role(script: str) -> None:
    written = mysql() + f'[target.settings]\nAfterConnectScript = "{script}"\n'
    assert parse(written).target.session_replication_role is SessionReplicationRole.REPLICA
    other = mysql() + '[target.settings]\nAfterConnectScript = "SET FOREIGN_KEY_CHECKS=1"\n'
    assert parse(other).target.session_replication_role is SessionReplicationRole.ORIGIN
    assert parse(other).no_effect == ("target.settings.AfterConnectScript",)


def test_what_is_no_text_is_no_promise() -> None:
    """Found by fuzzing: a list cannot be looked up among values."""
    assert "found a list" in problems(mysql(more="origin = []\n"))
