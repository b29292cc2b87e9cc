"""An endpoint of AWS's as a `[source]` or `[target]` table of our file. (pure)

The address becomes a URL, the password a reference to an environment variable; settings keep AWS's
names. What has no place is listed with why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

from engine.config.document import Document
from engine.config.endpoint_effect import IDLE_SETTINGS, USUAL
from engine.config.endpoint_settings import AddressSettings
from engine.config.environment import escaped_document
from engine.config.kind import Kind
from engine.config.section import declared_keys
from engine.control.translate.attributes import (
    ONLY_ATTRIBUTES,
    member_of,
    read_attributes,
    typed,
)
from engine.control.translate.listing import Note, Variable
from engine.control.translate.names import Engine, engine_of
from engine.control.translate.secrets import SECRET_MEMBERS

Role: TypeAlias = Literal["source", "target"]

ADDRESS: Final = tuple(declared_keys(AddressSettings))
"""`ServerName`, `Port`, `DatabaseName`, `Username`, `Password`: beside the settings or in them."""

SSL_NONE: Final = "prefer"
"""AWS's `none` asks for no TLS; here it is used where the server has it."""

SSL_MODES: Final[Mapping[str, str]] = {
    "none": SSL_NONE,
    "require": "require",
    "verify-ca": "verify-ca",
    "verify-full": "verify-full",
}

OF_AWS: Final[Mapping[str, str]] = {
    "ServiceAccessRoleArn": "a role of AWS's",
    "SecretsManagerAccessRoleArn": "a role of AWS's",
    "ExternalTableDefinition": "for endpoints that hold no tables",
}
"""Members that mean something on AWS only."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """What an endpoint becomes: the table, the variables it refers to, what is not carried."""

    table: Document
    variables: tuple[Variable, ...]
    notes: tuple[Note, ...]


def kinds_of(engine: Engine) -> dict[str, Kind[Any]]:
    """Every setting that endpoints of an engine know, on either side."""
    family = engine.family
    sections = (family.source_settings, family.target_settings)
    declared = (declared_keys(section).items() for section in sections)
    of_sides = {name: each.kind for items in declared for name, (_, each) in items}
    return {**of_sides, **family.no_effect}


def side_of(
    endpoint: Mapping[str, object],
    role: Role,
    *,
    prefix: str,
    certificate: str = "",
    extras: Mapping[str, object] | None = None,
) -> Side:
    """Translate an endpoint as `DescribeEndpoints` answers it, or `CreateEndpoint` takes it.

    Args:
        endpoint: the document; its `Password` is not looked at.
        role: which table it becomes.
        prefix: what names of variables begin with, such as `ORDERS_DB`.
        certificate: path of the file with the certificate that `CertificateArn` names.
        extras: keys of the table that AWS has no member for (`endpoint_of`).

    Raises:
        ConfigError: an engine that we do not run.
    """
    return _Translation(endpoint, role, prefix, certificate).side(extras or {})


@dataclass(slots=True)
class _Translation:
    """One endpoint while it is translated."""

    endpoint: Mapping[str, object]
    role: Role
    prefix: str
    certificate: str
    engine: Engine = field(init=False)
    members: Document = field(init=False)
    variables: list[Variable] = field(default_factory=list[Variable])
    notes: list[Note] = field(default_factory=list[Note])

    def __post_init__(self) -> None:
        self.engine = engine_of(self.endpoint.get("EngineName"))
        self.members = self._all_members()

    def side(self, extras: Mapping[str, object]) -> Side:
        table: Document = {"engine": self.engine.ours, "url": self._url(extras)}
        table["password_env"] = self._variable("PASSWORD", "its password")
        own = {name: value for name, value in extras.items() if name != "options"}
        table |= escaped_document(own)
        settings = self._settings()
        for name, reason in OF_AWS.items():
            if self.endpoint.get(name) or self.members.get(name):
                self._note(name, reason)
        if settings:
            table["settings"] = settings
        return Side(table=table, variables=tuple(self.variables), notes=tuple(self.notes))

    def _note(self, subject: str, message: str, *, blocks: bool = False) -> None:
        self.notes.append(Note(subject, message, blocks))

    def _variable(self, part: str, holds: str) -> str:
        name = f"{self.prefix}_{part}"
        self.variables.append(Variable(name, holds))
        return name

    # --- members ---

    def _declared(self) -> dict[str, Kind[Any]]:
        """Settings that have effect on this side."""
        family = self.engine.family
        section = family.source_settings if self.role == "source" else family.target_settings
        return {name: each.kind for name, (_, each) in declared_keys(section).items()}

    def _kinds(self) -> dict[str, Kind[Any]]:
        return {**kinds_of(self.engine), **self._declared()}

    def _all_members(self) -> Document:
        """Members wherever they are written: the settings' own count most, then attributes."""
        beside = {name: self.endpoint.get(name) for name in ADDRESS}
        inner = self.endpoint.get(self.engine.settings)
        settings = dict(inner) if isinstance(inner, Mapping) else {}
        merged = {**beside, **self._attributes(), **settings}
        return {name: value for name, value in merged.items() if value is not None}

    def _attributes(self) -> Document:
        text = self.endpoint.get("ExtraConnectionAttributes")
        kinds = self._kinds()
        members: Document = {}
        for name, value in read_attributes(text if isinstance(text, str) else "").items():
            member = member_of(name, [*kinds, *ADDRESS])
            if member in kinds:
                members[member] = typed(kinds[member], value)
            elif member:
                members[member] = value
            else:
                why = ONLY_ATTRIBUTES.get(name.lower(), "is not known here")
                self._note(f"ExtraConnectionAttributes {name}", why)
        return members

    # --- the address ---

    def _url(self, extras: Mapping[str, object]) -> str:
        by_secret = bool(self.members.get(SECRET_MEMBERS[0]))
        if by_secret:
            self._note(
                SECRET_MEMBERS[0],
                "AWS's secret is not read here: its parts are taken from environment variables",
            )
        user = self._part("Username", "USERNAME", "the user, percent-encoded", absent=by_secret)
        host = self._part("ServerName", "HOST", "the server's name or address", absent=by_secret)
        port = self._part("Port", "PORT", "the server's port", absent=by_secret)
        database = self.members.get("DatabaseName")
        if self.engine.family.names_database:
            database = self._part("DatabaseName", "DATABASE", "the database", absent=not database)
        else:
            database = quote(str(database or ""), safe="")
        options = "&".join(f"{name}={value}" for name, value in self._options(extras).items())
        at = f"{user}@" if user else ""
        scheme = self.engine.family.scheme
        return f"{scheme}://{at}{host}:{port}/{database}?{options}"

    def _part(self, member: str, part: str, holds: str, *, absent: bool) -> str:
        """A part of the URL; what AWS does not tell becomes a reference."""
        value = self.members.get(member)
        if not absent and value is None and member == "Port":
            value = self.engine.family.address().port
        if absent or value in (None, ""):
            return f"${{{self._variable(part, holds)}}}"
        text = quote(str(value), safe=":" if member == "ServerName" else "")
        return f"[{text}]" if ":" in text else text

    def _options(self, extras: Mapping[str, object]) -> dict[str, str]:
        written = str(self.endpoint.get("SslMode") or "none")
        options = {"sslmode": SSL_MODES.get(written, "verify-full")}
        if self.certificate:
            options["sslrootcert"] = quote(self.certificate, safe="/")
        elif self.endpoint.get("CertificateArn"):
            options["sslrootcert"] = quote(f"{self.prefix.lower()}.pem", safe="/")
            file = f"{self.prefix.lower()}.pem"
            self._note("CertificateArn", f"put the authority's certificate into {file}")
        elif written == "verify-ca":
            self._note("SslMode", "verify-ca without a certificate: add sslrootcert to the url")
        more = extras.get("options")
        if isinstance(more, Mapping):
            options |= {quote(str(n)): quote(str(value), safe="/") for n, value in more.items()}
        return options

    # --- settings ---

    def _settings(self) -> Document:
        kinds = self._kinds()
        aside = {*ADDRESS, *SECRET_MEMBERS, *OF_AWS}
        declared = self._declared()
        settings: Document = {}
        for name, value in self.members.items():
            if name in aside:
                continue
            if name not in kinds:
                self._note(name, f"{self.engine.ours} endpoints have no such setting here")
            elif name == "TargetDbType" and self.role == "source":
                continue  # it has no use for it
            elif name in declared or name not in USUAL or value != USUAL[name]:
                self._check(name, value, kinds[name])
                settings[name] = value
        return escaped_document(settings)

    def _check(self, name: str, value: object, kind: Kind[Any]) -> None:
        """List a value that we cannot honour. It stays in the table, where it is refused by name:
        nothing runs otherwise than it was told."""
        try:
            kind.read(value)
        except ValueError as error:
            self._note(name, _WHY.get(name, str(error)), blocks=True)
        else:
            if name not in self._declared():
                self._note(name, f"accepted, but has no effect yet: {IDLE_SETTINGS[name]}")


_WHY: Final[Mapping[str, str]] = {
    "AuthenticationMethod": "a token of AWS's instead of a password is not had here: give the user"
    " a password",
    "TargetDbType": "specific-database sends every table to one database, and is not supported:"
    " rows go to the database of their name",
}
"""Why a value is not taken, in the words of what it would do."""
