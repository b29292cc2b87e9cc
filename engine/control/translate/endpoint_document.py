"""A `[source]` or `[target]` table of our file as an endpoint of AWS's. (pure)

`side_of` takes it back. What AWS has no member for goes beside it, to be kept with the endpoint.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from engine.config.document import Document
from engine.config.family import FAMILIES
from engine.config.secret import Secret
from engine.config.url import ConnectionUrl, parse_url
from engine.control.translate.endpoint import ADDRESS, SSL_MODES, SSL_NONE, Role
from engine.control.translate.names import ENGINES, OURS
from engine.errors import ConfigError

OF_TABLE: Final = frozenset({"engine", "url", "password_file", "password_env", "settings"})
"""Keys of the table that have members of AWS's."""

_OF_URL: Final = frozenset({"sslmode", "sslrootcert"})


@dataclass(frozen=True, kw_only=True)
class EndpointDocument:
    """What an endpoint is made of.

    `members` are AWS's, without password and `CertificateArn`. `certificate` is the path of the
    authority's certificate, '' when there is none. `extras` are keys of the table, and under
    `options` of its URL, that AWS does not know.
    """

    members: Document
    extras: Document
    password: Secret | None
    certificate: str


def endpoint_of(table: Mapping[str, object], role: Role, identifier: str) -> EndpointDocument:
    """Translate a table whose `${NAME}` references are replaced.

    A password in `password_file` or `password_env` is for the caller to read.

    Raises:
        ConfigError: an engine without a name of AWS's, or a URL that is none.
    """
    ours = table.get("engine")
    if not isinstance(ours, str) or ours not in OURS:
        raise ConfigError(f"{role}.engine", "has no name on AWS", hint=f"known: {', '.join(OURS)}")
    engine = ENGINES[OURS[ours]]
    written = table.get("settings")
    settings = dict(written) if isinstance(written, Mapping) else {}
    url = _url(table.get("url"), role, ours) if "url" in table else _addressed(settings, ours)
    members: Document = {
        "EndpointIdentifier": identifier,
        "EndpointType": role,
        "EngineName": engine.name,
        "ServerName": url.host,
        "Port": url.port,
        "SslMode": url.sslmode if url.sslmode in SSL_MODES else "none",
    }
    members |= {"DatabaseName": url.database} if url.database else {}
    members |= {"Username": url.user} if url.user else {}
    own = {name: value for name, value in settings.items() if name not in ADDRESS}
    members |= {engine.settings: own} if own else {}
    return EndpointDocument(
        members=members,
        extras=_extras(table, url),
        password=url.password,
        certificate=url.option("sslrootcert"),
    )


def _extras(table: Mapping[str, object], url: ConnectionUrl) -> Document:
    options = {name: value for name, value in url.options if name not in _OF_URL}
    if url.sslmode not in (*SSL_MODES, SSL_NONE):
        options["sslmode"] = url.sslmode
    extras = {name: value for name, value in table.items() if name not in OF_TABLE}
    return {**extras, "options": options} if options else extras


def _url(text: object, role: Role, ours: str) -> ConnectionUrl:
    try:
        return FAMILIES[ours].narrow(parse_url(str(text)), ours)
    except ValueError as error:
        raise ConfigError(f"{role}.url", str(error)) from None


def _addressed(settings: Mapping[str, object], ours: str) -> ConnectionUrl:
    """AWS's way to say where the server is."""
    family = FAMILIES[ours]
    port, password = settings.get("Port"), settings.get("Password")
    url = ConnectionUrl(
        scheme=family.scheme,
        host=str(settings.get("ServerName", "")),
        port=port if isinstance(port, int) else family.address().port,
        database=str(settings.get("DatabaseName", "")),
        user=str(settings.get("Username", "")),
    )
    return replace(url, password=Secret(password)) if isinstance(password, str) else url
