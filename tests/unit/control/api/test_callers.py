import pytest

from engine.config.secret import Secret
from engine.config.serve import AccessKey, Role, Token
from engine.control.api.callers import Callers
from engine.control.api.faults import (
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)
from engine.control.api.keys import ANYBODY, Identity, Keyring
from engine.control.api.sigv4 import Request
from engine.observe.log import Line, Log
from engine.observe.writer import as_json
from engine.seams import SystemClock
from tests.unit.control.api.signing import KEY_ID, SECRET, signed

TOKEN = "the-token-of-probes"
KEYS = Keyring(
    [AccessKey("ops", KEY_ID, Secret(SECRET), Role.ADMIN)],
    [Token("probe", Secret(TOKEN), Role.READ_ONLY)],
)


@pytest.fixture
def lines() -> list[Line]:
    return []


def callers(lines: list[Line], keys: Keyring = KEYS) -> Callers:
    return Callers(keys, SystemClock(), Log(lines.append, SystemClock()), skew_seconds=300)


def with_token(token: str) -> Request:
    headers = [("host", "penstock"), ("authorization", f"Bearer {token}")]
    return Request("GET", "/penstock/v1/events", "", headers)


def test_our_own_routes_know_a_signature_and_a_token(lines: list[Line]) -> None:
    request = signed(b"", method="GET", url="http://penstock/penstock/v1/events")
    assert callers(lines).known(request, "10.0.0.1") == Identity("ops", Role.ADMIN)
    probe = Identity("probe", Role.READ_ONLY)
    assert callers(lines).known(with_token(TOKEN), "10.0.0.1") == probe
    assert callers(lines).bearer(f"Bearer {TOKEN}", "10.0.0.1") == probe
    assert lines == []


def test_a_token_opens_nothing_of_aws(lines: list[Line]) -> None:
    with pytest.raises(MissingAuthenticationTokenException):
        callers(lines).signed(with_token(TOKEN), "10.0.0.1")


def test_a_refusal_is_logged_with_where_it_came_from_and_not_with_what_was_sent(
    lines: list[Line],
) -> None:
    with pytest.raises(UnrecognizedClientException):
        callers(lines).known(with_token("made-up-token"), "10.0.0.1")
    with pytest.raises(MissingAuthenticationTokenException):
        callers(lines).bearer("", "10.0.0.2")
    with pytest.raises(InvalidSignatureException):
        callers(lines).signed(signed(secret="another secret altogether"), "10.0.0.3")
    assert [(line.fields["peer"], line.fields["result"]) for line in lines] == [
        ("10.0.0.1", "UnrecognizedClientException"),
        ("10.0.0.2", "MissingAuthenticationTokenException"),
        ("10.0.0.3", "InvalidSignatureException"),
    ]
    assert "made-up-token" not in "".join(map(as_json, lines))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8628", "127.3.2.1", "[::1]:8628"])
def test_without_keys_whoever_asks_this_machine_by_its_own_name_is_anybody(
    host: str, lines: list[Line]
) -> None:
    request = Request("POST", "/", "", [("host", host)])
    assert callers(lines, Keyring([])).signed(request, "127.0.0.1") == ANYBODY


@pytest.mark.parametrize("host", ["", "penstock.example", "localhost.evil.example", "127.0.0.1.a"])
def test_without_keys_a_name_of_somebody_else_is_refused(host: str, lines: list[Line]) -> None:
    with pytest.raises(InvalidSignatureException, match="only requests to localhost"):
        callers(lines, Keyring([])).signed(Request("POST", "/", "", [("host", host)]), "127.0.0.1")
