"""Which addresses may be connected to."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import addresses
from engine.addresses import LOOPBACK, USUAL, Addresses, permit
from engine.errors import ConfigError

DAEMON = USUAL.refuse(LOOPBACK, 8628)


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "169.254.170.2",
        "fd00:ec2::254",
        "[fd00:ec2::254]",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "255.255.255.255",
        "168.63.129.16",
    ],
)
def test_what_is_no_database_is_refused(host: str) -> None:
    with pytest.raises(ConfigError, match="is not for endpoints") as error:
        USUAL.check(host, 5432)
    assert error.value.field == "ServerName"
    assert "endpoints_allow" in error.value.hint


@pytest.mark.parametrize(
    "host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.16689662"]
)
def test_an_address_in_disguise_is_refused(host: str) -> None:
    """Resolvers read each of these as 169.254.169.254."""
    with pytest.raises(ConfigError, match="four decimal numbers"):
        USUAL.check(host, 5432)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "::1",
        "10.0.0.4",
        "172.16.3.1",
        "192.168.1.1",
        "fd12::1",
        "203.0.113.7",
        "db.example.com",
        "localhost",
        "/run/postgresql",
        "7-eleven.example.com",
        "0x.example",
    ],
)
def test_databases_stand_in_private_networks_and_on_the_machine(host: str) -> None:
    DAEMON.check(host, 5432)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
def test_the_daemon_itself_is_no_database(host: str) -> None:
    DAEMON.check(host, 5432)
    for rules in (DAEMON, DAEMON.allow(["127.0.0.1/32", "::1/128", "::ffff:0:0/96"])):
        with pytest.raises(ConfigError, match=r"port 8628 is refused"):
            rules.check(host, 8628)


def test_the_narrower_rule_counts() -> None:
    rules = USUAL.refuse(["10.0.0.0/8"]).allow(["10.1.0.0/16", "169.254.7.0/24"])
    rules = rules.refuse(["10.1.2.3/32"])
    rules.check("10.1.0.1", 1)
    rules.check("169.254.7.7", 1)
    for host in ("10.2.0.1", "10.1.2.3", "169.254.8.8"):
        with pytest.raises(ConfigError):
            rules.check(host, 1)
    with pytest.raises(ConfigError):
        Addresses().allow(["10.0.0.0/8"]).refuse(["10.0.0.0/8"]).check("10.0.0.1", 1)


def test_every_address_that_a_name_leads_to_counts() -> None:
    USUAL.check("db", 1, ["10.0.0.1", "10.0.0.2"])
    with pytest.raises(ConfigError, match=r"169\.254\.169\.254, which db leads to,"):
        USUAL.check("db", 1, ["10.0.0.1", "169.254.169.254"])


networks = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


@given(st.lists(st.tuples(st.booleans(), networks, st.none() | st.integers(0, 65535))))
def test_rules_are_read_as_they_were_written(drawn: list[tuple[bool, str, int | None]]) -> None:
    rules = Addresses()
    for allowed, network, port in drawn:
        rules = rules.allow([network]) if allowed else rules.refuse([network], port)
    assert Addresses.parse(str(rules)) == rules


@pytest.mark.parametrize("text", ["10.0.0.0/8", "+10.0.0.1/8", "-x/8", "-10.0.0.0/8@", "-1/2/3"])
def test_what_are_no_rules_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"rule|host bits|not.*(address|network)"):
        Addresses.parse(text)


@pytest.fixture
def armed() -> Iterator[None]:
    addresses.arm(str(USUAL.refuse(LOOPBACK)))
    yield
    addresses.arm("")


@pytest.mark.usefixtures("armed")
async def test_a_name_is_judged_by_what_it_leads_to() -> None:
    with pytest.raises(ConfigError, match="which localhost leads to"):
        await permit("localhost", 5432)
    await permit("/run/postgresql", 5432)
    addresses.arm("")
    await permit("localhost", 5432)


@pytest.mark.usefixtures("armed")
async def test_a_name_that_leads_nowhere_is_for_the_driver_to_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def nowhere(*_: object, **__: object) -> None:
        raise OSError("no such name")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nowhere)
    await permit("db.example.com", 5432)
