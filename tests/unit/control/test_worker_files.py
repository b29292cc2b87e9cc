"""What a worker is given, and what it is not."""

import base64
import json
import stat
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from engine.config.secret import Secret
from engine.control.endpoint_side import Reached
from engine.control.lifecycle import Begin, StartType
from engine.control.resources.replication import Compute, Config, Replication, Wish
from engine.control.translate.endpoint import Side
from engine.control.worker_files import WorkerFiles, passed_on
from engine.errors import ConfigError

CANARY = "c4n4ry"

RULES = json.dumps(
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

SOURCE = Reached(
    "source",
    Side(
        table={
            "engine": "postgres",
            "url": "postgresql://u@db/shop?sslmode=verify-ca&sslrootcert=source.pem",
            "password_env": "PENSTOCK_SOURCE_PASSWORD",
        },
        variables=(),
        notes=(),
    ),
    {"PENSTOCK_SOURCE_PASSWORD": Secret(CANARY)},
    {"source.pem": "-----BEGIN CERTIFICATE-----\n"},
)

TARGET = Reached(
    "target",
    Side(table={"engine": "postgres", "url": "postgresql://u@dw/shop"}, variables=(), notes=()),
    {},
    {},
)

KEY = Secret(base64.b64encode(CANARY.encode().ljust(32)).decode())

ENVIRONMENT = {
    "PATH": "/bin",
    "LC_ALL": "C",
    "PENSTOCK_KEY": CANARY,
    "PENSTOCK_KEY_FILE": CANARY,
    "PENSTOCK_ACCESS_KEY_ID": CANARY,
    "PENSTOCK_SECRET_ACCESS_KEY": CANARY,
    "OTHER_DB_PASSWORD": CANARY,
    "NOTIFY_SOCKET": CANARY,
    "CREDENTIALS_DIRECTORY": CANARY,
    "PENSTOCK_ADDRESSES": "+10.0.0.0/8",
}


def replication(**wish: object) -> Replication:
    config = Config(
        name="Orders",
        source="s",
        target="t",
        type="cdc",
        compute=Compute(units_max=4),
        mappings=RULES,
        settings={"Logging": {"EnableLogging": True}},
        ours={"capacity": {"unit_memory": "256MiB"}},
    )
    wished = Wish(type=StartType.START, begin=Begin.FRESH, **wish)  # type: ignore[arg-type]
    made = Replication(config=config)
    return msgspec.structs.replace(made, life=msgspec.structs.replace(made.life, wish=wished))


@pytest.fixture
def files(tmp_path: Path) -> WorkerFiles:
    return WorkerFiles(tmp_path / "replications", tmp_path / "overflow", ENVIRONMENT)


def test_a_start_has_all_that_it_needs_and_nothing_that_is_anothers(
    files: WorkerFiles, tmp_path: Path
) -> None:
    given = files.write("orders", replication(start_position="16/B374D848"), SOURCE, TARGET, KEY)
    assert given.config.id == "orders"
    assert given.config.capacity.units_max == 4
    assert given.config.capacity.unit_memory_bytes == 256 << 20
    assert given.config.start_position == "16/B374D848"
    assert given.environment == {
        "PATH": "/bin",
        "LC_ALL": "C",
        "PENSTOCK_ADDRESSES": "+10.0.0.0/8",
        "PENSTOCK_SOURCE_PASSWORD": CANARY,
        "PENSTOCK_QUARANTINE_KEY": KEY.reveal(),
    }
    assert given.config.quarantine_key == KEY
    written = "".join(path.read_text() for path in given.file.parent.iterdir())
    assert CANARY not in written
    assert KEY.reveal() not in written
    assert stat.S_IMODE(given.file.parent.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(path.stat().st_mode) for path in given.file.parent.iterdir()}
    assert modes == {0o600}


def test_what_an_earlier_start_had_is_gone(files: WorkerFiles) -> None:
    before = files.write("orders", replication(), SOURCE, TARGET, KEY)
    (before.file.parent / ".orders.toml.new").write_text("cut off by a kill")
    plain = replace(SOURCE.side, table={**SOURCE.side.table, "url": "postgresql://u@db/shop"})
    files.write(
        "orders", replication(), Reached("source", plain, SOURCE.variables, {}), TARGET, KEY
    )
    names = sorted(path.name for path in before.file.parent.iterdir())
    assert names == ["orders.mapping.json", "orders.settings.json", "orders.toml"]


def test_removing_takes_what_overflowed_too(files: WorkerFiles, tmp_path: Path) -> None:
    given = files.write("orders", replication(), SOURCE, TARGET, KEY)
    (tmp_path / "overflow" / "orders").mkdir(parents=True)
    files.remove("orders")
    assert not given.file.parent.exists()
    assert not (tmp_path / "overflow" / "orders").exists()
    files.remove("orders")


@pytest.mark.parametrize(
    "wish", [{"start_time": 1_520_511_132.0}, {"start_position": "2018-03-08T12:12:12"}]
)
def test_a_start_may_be_a_time(files: WorkerFiles, wish: dict[str, object]) -> None:
    given = files.write("orders", replication(**wish), SOURCE, TARGET, KEY)
    assert given.config.start_time == "2018-03-08T12:12:12"
    assert not given.config.start_position


def test_a_position_of_another_database_is_refused(files: WorkerFiles) -> None:
    with pytest.raises(ConfigError, match="CdcStartPosition"):
        files.write("orders", replication(start_position="binlog.000001:4"), SOURCE, TARGET, KEY)


def test_secrets_have_names_that_nobody_knows_so_what_is_unknown_stays_here() -> None:
    assert CANARY not in passed_on(ENVIRONMENT).values()
