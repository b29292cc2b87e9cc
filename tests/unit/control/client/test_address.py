"""Where the daemon is, and as whom it is asked."""

import pytest

from engine.control.client.address import DEFAULT, credentials, parse_address
from engine.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "shown", "private"),
    [
        (DEFAULT, "http://127.0.0.1:8628", True),
        ("http://localhost:8628/", "http://localhost:8628", True),
        ("http://[::1]:8628", "http://[::1]:8628", True),
        ("https://penstock.example", "https://penstock.example", True),
        ("https://penstock.example:443", "https://penstock.example", True),
        ("http://penstock.example", "http://penstock.example", False),
        ("http://10.0.0.1:8628", "http://10.0.0.1:8628", False),
    ],
)
def test_urls(text: str, shown: str, private: bool) -> None:
    address = parse_address(text)
    assert (str(address), address.is_private) == (shown, private)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:8628",
        "ftp://x",
        "http://",
        "http://x:0",
        "http://x:99999",
        "http://x/path",
        "http://user:secret-c4n4ry@x",
        "http://x y",
        "http://x\r\nHost: y",
    ],
)
def test_what_is_no_url_of_a_daemon(text: str) -> None:
    with pytest.raises(ConfigError, match="--endpoint-url: must be a URL such as") as caught:
        parse_address(text)
    assert DEFAULT in caught.value.hint
    assert "c4n4ry" not in str(caught.value)


def test_keys_come_from_the_environment() -> None:
    assert credentials({}) is None
    assert credentials({"PENSTOCK_ACCESS_KEY_ID": "", "PENSTOCK_SECRET_ACCESS_KEY": ""}) is None
    found = credentials({"PENSTOCK_ACCESS_KEY_ID": "id", "PENSTOCK_SECRET_ACCESS_KEY": "secret"})
    assert found is not None
    assert (found.key_id, found.secret.reveal()) == ("id", "secret")
    assert "secret" not in repr(found).replace("secret=", "")


@pytest.mark.parametrize("given", ["PENSTOCK_ACCESS_KEY_ID", "PENSTOCK_SECRET_ACCESS_KEY"])
def test_half_a_key_is_none(given: str) -> None:
    with pytest.raises(ConfigError, match=f"is not set, but {given} is"):
        credentials({given: "x" * 20})
