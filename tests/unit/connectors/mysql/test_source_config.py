from pathlib import Path

from connectors.mysql.source_config import MysqlSourceConfig, derived_server_id
from engine.config.endpoint import ZeroDate
from engine.config.load import parse_replication
from engine.config.replication import ReplicationConfig


def config(more: str = "") -> ReplicationConfig:
    text = f"""
[replication]
id = "orders"
[source]
engine = "mariadb"
url = "mariadb://u:hunter2@localhost/d"
{more}
[target]
engine = "memory"
"""
    return parse_replication(text, {}, file=Path("r.toml"))


def test_a_source_is_told_what_the_file_says() -> None:
    more = 'server_id = 7\nzero_dates = "null"\nprepared_memory = "1MiB"\n'
    more += "[source.settings]\nExecuteTimeout = 9\n"
    told = MysqlSourceConfig.of(config(more))
    assert (told.replication, told.engine, told.url.port) == ("orders", "mariadb", 3306)
    assert (told.server_id, told.zero_dates, told.execute_timeout_seconds) == (7, ZeroDate.NULL, 9)
    assert told.prepared_bytes == 1 << 20
    assert told.streams
    assert "hunter2" not in repr(told)


def test_a_server_id_is_derived_from_the_replication_and_stays() -> None:
    told = MysqlSourceConfig.of(config())
    assert told.server_id == derived_server_id("orders") == MysqlSourceConfig.of(config()).server_id
    ids = {derived_server_id(f"r{number}") for number in range(1000)}
    assert len(ids) == 1000
    assert all(2**31 <= number < 2**32 for number in ids)
