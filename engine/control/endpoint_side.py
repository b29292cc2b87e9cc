"""From an endpoint as it is stored to one side of a replication file, its secrets opened.

    source = reached(endpoint, id, vault, os.environ, certificate=pem)
    texts = file_texts(Plan(source=source.side, ...)) | source.files

Secrets go to a worker by variables of its environment, never by a file.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from engine.config.document import Document
from engine.config.files import read_text, regular_bytes
from engine.config.problems import Problems
from engine.config.secret import Secret
from engine.control.resources.certificate import KIND as CERTIFICATE
from engine.control.resources.certificate import Certificate
from engine.control.resources.document import decode
from engine.control.resources.endpoint import KIND as ENDPOINT
from engine.control.resources.endpoint import Endpoint, members_place
from engine.control.sealing import open_secrets
from engine.control.store.contract import Reading, Store
from engine.control.store.errors import GoneError
from engine.control.store.records import Record
from engine.control.translate.endpoint import Role, Side, side_of
from engine.control.translate.names import engine_of
from engine.control.translate.secrets import (
    SECRET_MEMBERS,
    Credentials,
    Keeper,
    parse_reference,
    read_credentials,
    with_credentials,
)
from engine.control.vault import Vault
from engine.errors import ConfigError

PASSWORD: Final = "Password"

NEEDED: Final[Mapping[str, str]] = {
    "HOST": "ServerName",
    "USERNAME": "Username",
    "DATABASE": "DatabaseName",
}
"""Members without which no connection is made, by the variable that a file would ask for."""


@dataclass(frozen=True, slots=True)
class Reached:
    """One side. `side` is its table; `variables` are those of the environment that the table names;
    `files` are texts by name, to stand beside the file that holds the table."""

    role: Role
    side: Side
    variables: Mapping[str, Secret]
    files: Mapping[str, str]


def role_of(endpoint: Endpoint) -> Role:
    """Which side an endpoint is made for."""
    return "target" if endpoint.members.get("EndpointType") == "target" else "source"


def reached(
    endpoint: Endpoint,
    id: str,
    vault: Vault,
    environment: Mapping[str, str],
    *,
    certificate: str | None = None,
) -> Reached:
    """How a worker reaches the endpoint's database.

    Args:
        endpoint: what is stored.
        id: of its record.
        vault: opens what is sealed.
        environment: where secrets of `SecretsManagerSecretId` are looked for, as `env:NAME`; a
            `file:/path` is read.
        certificate: text (PEM) of the certificate that `CertificateArn` names.

    Raises:
        ConfigError: an engine that we do not run, no address, or a secret that is not to be had;
            without a part of what the secret holds.
        VaultError: what is sealed cannot be opened.
    """
    role = role_of(endpoint)
    engine = engine_of(endpoint.members.get("EngineName"))
    members = open_secrets(vault, members_place(id), endpoint.members)
    password = _password(members, engine.settings)
    credentials = _credentials(members.get(engine.settings), environment)
    if credentials is not None:
        members = with_credentials(members, engine.settings, credentials)
        password = credentials.password
    files = {f"{role}.pem": certificate} if certificate else {}
    prefix = f"PENSTOCK_{role.upper()}"
    side = side_of(members, role, prefix=prefix, certificate="".join(files), extras=endpoint.ours)
    _require_address(side, prefix)
    variable = side.table["password_env"]
    if password is None:  # some servers ask for none
        del side.table["password_env"]
    variables = {} if password is None else {str(variable): password}
    return Reached(role, replace(side, variables=()), variables, files)


async def reach(store: Store, id: str, vault: Vault, environment: Mapping[str, str]) -> Reached:
    """The same of the endpoint with this record id, with the certificate it names.

    Raises what `reached` does; GoneError where one of them was deleted.
    """
    async with store.read() as reading:
        endpoint = decode(Endpoint, (await _record(reading, ENDPOINT, id)).document)
        certificate = await _certificate(reading, endpoint)
    # What a reference names may stand on a disk that does not answer.
    return await asyncio.to_thread(
        reached, endpoint, id, vault, environment, certificate=certificate
    )


async def _certificate(reading: Reading, endpoint: Endpoint) -> str | None:
    arn = endpoint.members.get("CertificateArn")
    if not arn:
        return None
    record = await _record(reading, CERTIFICATE, str(arn).rpartition(":")[2])
    return decode(Certificate, record.document).pem


async def _record(reading: Reading, kind: str, id: str) -> Record:
    record = await reading.get(kind, id)
    if record is None:
        raise GoneError(kind, id)
    return record


def revealed(variables: Mapping[str, Secret]) -> dict[str, str]:
    """As a process is given them, and nobody else."""
    return {name: secret.reveal() for name, secret in variables.items()}


def _password(members: Document, settings: str) -> Secret | None:
    """The settings' own counts most, as with every member."""
    inner = members.get(settings)
    own = inner.get(PASSWORD) if isinstance(inner, Mapping) else None
    found = own or members.get(PASSWORD)
    return found if isinstance(found, Secret) and found.reveal() else None


def _credentials(settings: Any, environment: Mapping[str, str]) -> Credentials | None:
    """What the secret that settings refer to says; None when they refer to none."""
    name = settings.get(SECRET_MEMBERS[0]) if isinstance(settings, Mapping) else None
    if not name:
        return None
    reference = parse_reference(str(name))
    match reference.keeper:
        case Keeper.FILE:
            problems = Problems("")
            text = read_text(regular_bytes, Path(reference.name), SECRET_MEMBERS[0], problems)
            problems.raise_found()
            return read_credentials(text or "")
        case Keeper.ENVIRONMENT if reference.name in environment:
            return read_credentials(environment[reference.name])
        case Keeper.ENVIRONMENT:
            raise ConfigError(
                SECRET_MEMBERS[0],
                f"environment variable {reference.name} is not set",
                hint="set it for the daemon, and start that again",
            )
        case Keeper.AWS:
            raise ConfigError(
                SECRET_MEMBERS[0],
                "names a secret of AWS's, which is not read here",
                hint="name file:/absolute/path or env:NAME, with the same JSON in it",
            )


def _require_address(side: Side, prefix: str) -> None:
    """What is not told would become a variable that nobody sets."""
    for variable in side.variables:
        member = NEEDED.get(variable.name.removeprefix(f"{prefix}_"))
        if member:
            raise ConfigError(
                member, "is missing: without it no connection is made", hint="modify the endpoint"
            )
