"""The daemon's own file."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.config.load_serve import load_daemon
from engine.config.reach import on_loopback
from engine.config.serve import DaemonConfig, Role, ServeConfig
from engine.errors import ConfigError

SECRET = "0123456789abcdefghijKLMN"


def load(tmp_path: Path, text: str, environment: Mapping[str, str] | None = None) -> DaemonConfig:
    file = tmp_path / "penstock.toml"
    file.write_text(text)
    return load_daemon(file, environment or {})


def problems(tmp_path: Path, text: str, environment: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        load(tmp_path, text, environment)
    assert SECRET not in str(refused.value)
    return [f"{problem.field}: {problem.constraint}" for problem in refused.value.problems]


def test_without_a_file_it_serves_on_loopback() -> None:
    made = load_daemon(None, {})
    assert made == DaemonConfig()
    assert on_loopback(made.serve.listen)


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "deploy.secret").write_text(f"{SECRET}\n")
    made = load(
        tmp_path,
        """
        [serve]
        listen = "0.0.0.0:8628"
        metrics_listen = "0.0.0.0:9628"
        state_dir = "/var/lib/penstock"
        store = "postgresql://penstock@db/penstock"
        store_password_env = "STORE"
        memory = "8GiB"
        tls_certificate = "server.pem"
        tls_key = "server.key"
        log_retention = "7d"
        encryption_keys_dir = "/etc/penstock/keys"
        endpoints_deny = ["10.0.0.0/8", "::/0"]
        endpoints_allow = ["10.1.2.3"]

        [limits]
        body = "1MiB"
        call_time = "20s"

        [cost]
        unit_hour = 0.087
        currency = "EUR"

        [access_key.deploy]
        id = "AKIAIOSFODNN7EXAMPLE"
        secret_file = "deploy.secret"

        [access_key.watch]
        id = "AKIAIOSFODNN7EXAMPL2"
        secret_env = "WATCH"
        role = "read-only"

        [token.prometheus]
        env = "TOKEN"
        """,
        {"STORE": "s3cret", "WATCH": SECRET, "TOKEN": SECRET},
    )
    assert made.serve.memory_bytes == 8 << 30
    assert made.serve.encryption_keys_dir == "/etc/penstock/keys"
    assert made.serve.log_retention_seconds == 7 * 86_400
    assert made.serve.endpoints_deny == ("10.0.0.0/8", "::/0")
    assert made.serve.endpoints_allow == ("10.1.2.3/32",)
    assert made.cost.unit_hour == 0.087
    assert (made.limits.body_bytes, made.limits.call_seconds) == (1 << 20, 20)
    assert [(key.name, key.role) for key in made.access_keys] == [
        ("deploy", Role.ADMIN),
        ("watch", Role.READ_ONLY),
    ]
    assert {key.secret.reveal() for key in made.access_keys} == {SECRET}
    assert [(token.name, token.role) for token in made.tokens] == [("prometheus", Role.READ_ONLY)]
    assert made.store_password is not None
    assert made.store_password.reveal() == "s3cret"
    assert "s3cret" not in repr(made)
    assert SECRET not in repr(made)


def test_a_pair_of_the_environment(tmp_path: Path) -> None:
    pair = {"PENSTOCK_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "PENSTOCK_SECRET_ACCESS_KEY": SECRET}
    (key,) = load(tmp_path, "", pair).access_keys
    assert (key.name, key.id, key.role) == ("environment", "AKIAIOSFODNN7EXAMPLE", Role.ADMIN)
    for name in pair:
        assert problems(tmp_path, "", {name: pair[name]})[0].endswith("they go together")
    short = {**pair, "PENSTOCK_SECRET_ACCESS_KEY": "short"}
    assert "at least 20 characters" in problems(tmp_path, "", short)[0]
    odd = {**pair, "PENSTOCK_ACCESS_KEY_ID": "no"}
    assert problems(tmp_path, "", odd) == [
        "PENSTOCK_ACCESS_KEY_ID: must be 16 to 128 letters, digits and _"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server]", "server: unknown table"),
        ("serve = 1", "serve: expected a table [serve], found a whole number"),
        ("[serve]\nlisten = 'here'", "serve.listen: must be HOST:PORT"),
        ("[serve]\nlisten = '0.0.0.0:80'", "serve.listen: is not on loopback, and there is no"),
        ("[serve]\nstore = 'mysql://x'", "serve.store: must be a postgresql:// URL"),
        ("[serve]\ntls_key = 'k'", "serve.tls_certificate: and serve.tls_key go together"),
        ("[serve]\nmemory_share = 1.0", "serve.memory_share: must be a number from 0.05 to 0.95"),
        ("[serve]\nstore_password_env = 'X'", "environment variable X is not set"),
        ("[serve]\nendpoints_deny = [1]", "item 1: expected a network such as 10.20.0.0/16"),
        ("[serve]\nendpoints_allow = ['10.0.0.1/8']", "item 1: 10.0.0.1/8 is no network"),
        ("[access_key]\na = 1", "access_key.a: expected a table"),
        ("[access_key.a]\nsecret_env = 'S'", "access_key.a.id: is missing"),
        ("[access_key.a]\nid = 'AKIAIOSFODNN7EXAMPLE'", "access_key.a: needs one of secret_file"),
        ("[access_key.a]\nid = '${S}'", "access_key.a.id: must be 16 to 128"),
        ("[token.a]\nfile = 'none'", "cannot be read"),
        ("[token.a]\nenv = 'X'", "token.a.env: environment variable X is not set"),
        ("[token.a]\nenv = 'T'", "token.a: its secret must have at least 20 characters"),
        ("[token.a]\nenv = 'S'\nrole = 'root'", "token.a.role: must be one of"),
        ("[topic.a]", "topic.a.url: is missing"),
        ("[topic.a]\nurl = 'ftp://a'", "topic.a.url: must be an http:// or https:// URL"),
        ("[topic.'a b']\nurl = 'http://a'", "1 to 256 letters, digits, - and _"),
        ("[topic.a]\nurl = 'http://a'\ntoken_env = 'X'", "variable X is not set"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    found = problems(tmp_path, text, {"S": SECRET + "-", "T": "short"})
    assert any(told in problem for problem in found), found


def test_an_endpoint_is_neither_the_daemon_nor_where_it_must_not_be() -> None:
    serve = ServeConfig(
        endpoints_deny=("10.0.0.0/8",),
        endpoints_allow=("10.1.0.0/16", "169.254.7.0/24"),
    )
    addresses = serve.addresses([("192.0.2.7", 8628), ("::", 9628)])
    for host, port in (
        ("192.0.2.7", 8628),
        ("127.0.0.1", 8628),
        ("203.0.113.4", 9628),
        ("10.2.0.1", 5432),
        ("169.254.169.254", 80),
    ):
        with pytest.raises(ConfigError, match="is not for endpoints"):
            addresses.check(host, port)
    for host, port in (("192.0.2.7", 5432), ("10.1.0.1", 5432), ("169.254.7.1", 5432)):
        addresses.check(host, port)


def test_beyond_loopback_it_wants_keys_and_tls(tmp_path: Path) -> None:
    key = "[access_key.a]\nid = 'AKIAIOSFODNN7EXAMPLE'\nsecret_env = 'S'\n"
    outside = "[serve]\nlisten = '[::]:8628'\n"
    found = problems(tmp_path, outside + key, {"S": SECRET})
    assert found == [
        "serve.listen: is not on loopback, and what is sent there could be read on the way"
    ]
    load(tmp_path, outside + "behind_proxy = true\n" + key, {"S": SECRET})


def test_two_keys_of_one_id(tmp_path: Path) -> None:
    key = "[access_key.{}]\nid = 'AKIAIOSFODNN7EXAMPLE'\nsecret_env = 'S'\n"
    found = problems(tmp_path, key.format("a") + key.format("b"), {"S": SECRET})
    assert found == [f"access_key.{name}: its id is another key's too" for name in "ab"]


@pytest.mark.parametrize(
    ("listen", "near"),
    [
        ("8628", True),
        (":8628", True),
        ("127.0.0.1:8628", True),
        ("127.8.0.1:1", True),
        ("localhost:1", True),
        ("[::1]:8628", True),
        ("0.0.0.0:8628", False),
        ("[::]:8628", False),
        ("10.0.0.1:8628", False),
        ("example.com:8628", False),
    ],
)
def test_what_loopback_is(listen: str, near: bool) -> None:
    assert on_loopback(listen) is near


def test_a_topic_has_a_url_and_perhaps_a_token_of_any_length(tmp_path: Path) -> None:
    text = """
    [topic.alarms]
    url = "${HOOK}"
    [topic.audit]
    url = "http://127.0.0.1:8080"
    token_env = "AUDIT"
    """
    environment = {"HOOK": "https://hooks.example/T0/B0", "AUDIT": "short"}
    file = tmp_path / "penstock.toml"
    file.write_text(text)
    alarms, audit = load_daemon(file, environment).topics
    assert (alarms.name, alarms.url.reveal(), alarms.token) == (
        "alarms",
        environment["HOOK"],
        None,
    )
    assert audit.token is not None
    assert audit.token.reveal() == "short"
    assert "hooks" not in repr(alarms)
