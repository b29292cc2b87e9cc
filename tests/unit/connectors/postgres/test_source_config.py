"""Names, limits and secrets of a source's configuration; LSNs and transaction ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.postgres.config import PostgresSourceConfig
from connectors.postgres.lsn import lsn_text, parse_lsn, widen_xid
from connectors.postgres.sql import parse
from engine.errors import ConfigError

SECRET = "postgresql://app:hunter2@db/orders"


def test_names_come_from_the_id() -> None:
    config = PostgresSourceConfig.of("my-orders", SECRET)
    assert config.slot == "penstock_my_orders"
    assert config.publications == ("penstock_my_orders",)
    assert config.made == ("penstock_my_orders", "penstock_my_orders_inserts")
    assert not config.slot_given
    assert not config.given(config.publication)


def test_given_names_are_kept_and_remembered_as_the_users() -> None:
    config = PostgresSourceConfig.of("o", SECRET, slot="theirs", publication="Their Own")
    assert (config.slot, config.publications) == ("theirs", ("Their Own",))
    assert config.made == ("Their Own",)
    assert config.slot_given
    assert config.given("Their Own")
    assert not config.given(config.insert_only_publication)


def test_a_given_slot_of_the_same_name_does_not_make_the_publication_the_users() -> None:
    config = PostgresSourceConfig.of("o", SECRET, slot="penstock_o")
    assert config.slot_given
    assert not config.given(config.publication)


def test_the_connection_string_is_never_shown() -> None:
    assert "hunter2" not in repr(PostgresSourceConfig.of("o", SECRET))


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"slot": "UPPER"}, "SlotName"),
        ({"slot": "x" * 64}, "SlotName"),
        ({"publication": "ü" * 32}, "source.publication"),
        (
            {"publication": "p", "insert_only_publication": "p"},
            "source.publication_inserts",
        ),
        ({"heartbeat_seconds": 0}, "heartbeat_seconds"),
        ({"block_bytes_max": 0}, "block_bytes_max"),
    ],
)
def test_what_the_server_would_refuse_is_refused_first(
    options: dict[str, object], field: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        PostgresSourceConfig.of("o", SECRET, **options)
    assert caught.value.field == field


def test_a_malformed_connection_string_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("host=db password=hunter2 nonsense=1")
    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


@given(st.integers(0, 2**64 - 1))
def test_an_lsn_is_read_as_it_is_written(lsn: int) -> None:
    assert parse_lsn(lsn_text(lsn)) == lsn


@given(st.integers(2**33, 2**62), st.integers(-(2**31), 2**31 - 1))
def test_a_transaction_id_is_widened_to_the_nearest(near: int, distance: int) -> None:
    assert widen_xid((near + distance) % 2**32, near) == near + distance
