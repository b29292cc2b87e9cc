"""From what is stored of an endpoint to what a worker reads."""

import os
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

from engine.config.load import parse_replication
from engine.config.secret import Secret
from engine.control.endpoint_side import Reached, reached
from engine.control.resources.endpoint import Endpoint, members_place
from engine.control.sealing import seal_secrets
from engine.control.translate.endpoint import Side
from engine.control.translate.replication_file import Plan, file_texts
from engine.control.vault import Key, Vault, VaultError
from engine.errors import ConfigError

CANARY: Final = "s3cr3t-c4n4ry"
VAULT: Final = Vault([Key.make()])
MEMBERS: Final[dict[str, Any]] = {
    "EndpointIdentifier": "orders",
    "EndpointType": "source",
    "EngineName": "postgres",
    "ServerName": "db.example.com",
    "Port": 5432,
    "DatabaseName": "orders",
    "Username": "app",
}
OTHER: Final = Side(table={"engine": "blackhole"}, variables=(), notes=())


def found(
    members: dict[str, Any], environment: dict[str, str] | None = None, **more: Any
) -> Reached:
    ours = more.pop("ours", {})
    sealed = seal_secrets(VAULT, members_place("AB"), members)
    return reached(Endpoint(members=sealed, ours=ours), "AB", VAULT, environment or {}, **more)


def read(side: Reached) -> Any:
    """What a worker makes of it."""
    plan = Plan(id="r", type="full-load", source=side.side, target=OTHER, mappings={})
    texts = file_texts(plan, name="r")
    assert CANARY not in str(texts)
    environment = {name: secret.reveal() for name, secret in side.variables.items()}
    return parse_replication(texts["r.toml"], environment, file=Path("/run/r.toml")).source


def test_the_password_goes_by_the_environment_alone() -> None:
    side = found({**MEMBERS, "Password": Secret(CANARY)})
    assert side.variables == {"PENSTOCK_SOURCE_PASSWORD": Secret(CANARY)}
    assert read(side).url.password == Secret(CANARY)
    assert CANARY not in repr(side)


def test_the_settings_own_address_counts_most() -> None:
    own = {"ServerName": "own.example.com", "Password": Secret(CANARY), "SlotName": "mine"}
    side = read(found({**MEMBERS, "Password": Secret("other"), "PostgreSQLSettings": own}))
    assert (side.url.host, side.url.password) == ("own.example.com", Secret(CANARY))
    assert side.settings.slot_name == "mine"


def test_a_server_that_asks_for_no_password_is_reached_without() -> None:
    side = found(MEMBERS)
    assert side.variables == {}
    assert read(side).url.password is None


def test_a_certificate_stands_beside_the_file() -> None:
    side = found({**MEMBERS, "SslMode": "verify-ca", "CertificateArn": "arn"}, certificate="PEM")
    assert side.files == {"source.pem": "PEM"}
    assert read(side).url.option("sslrootcert") == "/run/source.pem"


def test_what_aws_has_no_member_for_is_kept() -> None:
    side = read(found(MEMBERS, ours={"origin": "none", "options": {"connect_timeout": "3"}}))
    assert side.origin == "none"
    assert side.url.option("connect_timeout") == "3"


SECRET: Final = f'{{"username": "u", "password": "{CANARY}", "host": "h", "port": 5433}}'


@pytest.mark.parametrize("keeper", ["file", "env"])
def test_a_secret_that_is_kept_elsewhere_is_read(keeper: str, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text(SECRET)
    name = {"file": f"file:{tmp_path}/secret.json", "env": "env:ORDERS"}[keeper]
    bare = {key: value for key, value in MEMBERS.items() if key not in ("Username", "ServerName")}
    settings = {"SecretsManagerSecretId": name, "SecretsManagerAccessRoleArn": "arn:aws:iam::1"}
    side = found({**bare, "PostgreSQLSettings": settings}, {"ORDERS": SECRET})
    url = read(side).url
    assert (url.user, url.host, url.port) == ("u", "h", 5433)
    assert url.password == Secret(CANARY)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ("arn:aws:secretsmanager:eu-west-3:1:secret:x", "names a secret of AWS's"),
        ("env:NOT_SET", "environment variable NOT_SET is not set"),
        ("env:BROKEN", "must hold password"),
        ("file:/does/not/exist", "cannot be read: No such file"),
        ("file:/dev/zero", "cannot be read: not a regular file"),
    ],
)
def test_a_secret_that_is_not_to_be_had_is_named_and_not_quoted(settings: str, why: str) -> None:
    broken = {"BROKEN": f'{{"username": "{CANARY}"}}'}
    with pytest.raises(ConfigError, match=why) as error:
        found({**MEMBERS, "PostgreSQLSettings": {"SecretsManagerSecretId": settings}}, broken)
    assert error.value.field == "SecretsManagerSecretId"
    assert CANARY not in f"{error.value!r} {error.value}"


def test_a_pipe_that_nobody_writes_to_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "secret.json")
    settings = {"SecretsManagerSecretId": f"file:{tmp_path}/secret.json"}
    with pytest.raises(ConfigError, match="not a regular file"):
        found({**MEMBERS, "PostgreSQLSettings": settings})


@pytest.mark.parametrize("missing", ["ServerName", "Username", "DatabaseName"])
def test_an_address_that_is_not_whole_is_refused_by_its_member(missing: str) -> None:
    members = {name: value for name, value in MEMBERS.items() if name != missing}
    with pytest.raises(ConfigError, match=f"{missing}: is missing"):
        found(members)


def test_an_engine_that_is_not_run_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigError, match=r"Oracle \(oracle\) is not run by Penstock"):
        found({**MEMBERS, "EngineName": "oracle"})


def test_a_password_sealed_for_another_endpoint_is_not_opened() -> None:
    sealed = seal_secrets(VAULT, members_place("CD"), {**MEMBERS, "Password": Secret(CANARY)})
    with pytest.raises(VaultError, match="endpoint/AB/members/Password"):
        reached(Endpoint(members=sealed), "AB", VAULT, {})


@pytest.mark.parametrize("text", ["::${HOME}", "${HOME}", "a]:1/${HOME}?x=["])
def test_no_member_reads_the_environment(text: str) -> None:
    """What a worker's environment holds is none of whoever names a server."""
    for member in ("ServerName", "Username", "DatabaseName"):
        side = found({**MEMBERS, member: text})
        assert "${" not in str(
            tomllib.loads(
                file_texts(
                    Plan(id="r", type="full-load", source=side.side, target=OTHER, mappings={}),
                    name="r",
                )["r.toml"]
            )["source"]["url"]
        )
