"""`SecretsManagerSecretId` without AWS: a file or an environment variable that holds the secret.
(pure)

The secret is AWS's JSON: `{"username": ..., "password": ..., "host": ..., "port": ...}`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.config.document import Document, read_json
from engine.config.problems import Problems
from engine.config.secret import Secret
from engine.config.shape import Number
from engine.errors import ConfigError

SECRET_MEMBERS: Final = ("SecretsManagerSecretId", "SecretsManagerAccessRoleArn")

_REFERENCE: Final = re.compile(r"(?P<kind>file|env):(?P<name>.+)", re.DOTALL)
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class Keeper(StrEnum):
    """Who has the secret."""

    FILE = "file"
    ENVIRONMENT = "env"
    AWS = "aws"


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret is: a path, a variable's name, or AWS's name of it."""

    keeper: Keeper
    name: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a secret says. What it does not say is empty, or 0."""

    username: str
    password: Secret
    host: str = ""
    port: int = 0


def parse_reference(text: str) -> SecretReference:
    """Read `file:/run/secrets/orders.json` or `env:ORDERS_SECRET`; everything else is AWS's name.

    Raises:
        ConfigError: the variable cannot have that name, or the path is not absolute.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        return SecretReference(Keeper.AWS, text)
    reference = SecretReference(Keeper(match["kind"]), match["name"])
    if reference.keeper is Keeper.ENVIRONMENT and not _VARIABLE.fullmatch(reference.name):
        raise ConfigError(SECRET_MEMBERS[0], "env: must be followed by a variable's name")
    if reference.keeper is Keeper.FILE and not reference.name.startswith("/"):
        raise ConfigError(SECRET_MEMBERS[0], "file: must be followed by an absolute path")
    return reference


def read_credentials(text: str, where: str = SECRET_MEMBERS[0]) -> Credentials:
    """Read a secret's JSON.

    Raises:
        ConfigError: what is wrong with it; never repeats a part of it.
    """
    problems = Problems("")
    document = read_json(text, problems)
    if document is None:
        raise ConfigError(where, "the secret must be a JSON object with username and password")
    username, password = (_text(document, name, where) for name in ("username", "password"))
    try:
        port = Number(1, 65535).read(document["port"]) if document.get("port") is not None else 0
    except ValueError as error:
        raise ConfigError(where, f"port of the secret: {error}") from None
    host = _text(document, "host", where) if document.get("host") is not None else ""
    return Credentials(username, Secret(password), host, port)


def _text(document: Document, name: str, where: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise ConfigError(where, f"the secret must hold {name}, as text")
    return value


def with_credentials(
    endpoint: Mapping[str, object], settings: str, credentials: Credentials
) -> Document:
    """The endpoint with a secret's content in the place of its reference, but for the password.

    `settings` is the member that holds the engine's settings (`Engine.settings`).
    """
    told: Document = {"Username": credentials.username}
    told |= {"ServerName": credentials.host} if credentials.host else {}
    told |= {"Port": credentials.port} if credentials.port else {}
    inner = endpoint.get(settings)
    kept = dict(inner) if isinstance(inner, Mapping) else {}
    for name in (*SECRET_MEMBERS, *told):
        kept.pop(name, None)
    return {**endpoint, **told, settings: kept}
