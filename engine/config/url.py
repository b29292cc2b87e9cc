"""Connection URLs: `postgresql://user:password@host:5432/database?sslmode=verify-full`. (pure)

The form is libpq's (PostgreSQL manual, "Connection URIs"), restricted to one host. Transport
security has a safe default: an address that stays on this machine (loopback, Unix socket) may be
plain, every other host is verified.
"""

import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from engine.config.kind import MistypedError
from engine.config.problems import nearest
from engine.config.secret import MASK, Secret

POSTGRES_SCHEMES: Final = ("postgresql", "postgres")
POSTGRES_PORT: Final = 5432

SSLMODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SSLMODE_REMOTE: Final = "verify-full"
"""Used for another host when the URL says nothing: encryption without checking who answers lets
anyone in between read and change every row."""
SSLMODE_LOCAL: Final = "prefer"
"""Used for loopback addresses: nobody stands in between, and such servers rarely have a
certificate for `localhost`."""
SSLMODE_SOCKET: Final = "disable"
"""Used for Unix sockets, which have no TLS."""

SYSTEM_AUTHORITIES: Final = "system"
"""`sslrootcert` that trusts the authorities which this machine trusts. libpq then takes no sslmode
but verify-full: everybody can have a certificate from one of those, for some name."""

PATH_OPTIONS: Final = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir"})
"""Options that name files; relative ones count from the replication file."""

POSTGRES_OPTIONS: Final = PATH_OPTIONS | {
    "application_name",
    "channel_binding",
    "connect_timeout",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "options",
    "require_auth",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslmode",
    "sslnegotiation",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
}
"""Options of libpq that may stand after `?` (PostgreSQL manual, "Parameter Key Words"). `host`,
`port`, `user`, `password`, `dbname` too, they set the part of that name."""

_PARTS: Final = frozenset({"host", "port", "user", "password", "dbname"})

_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,31})://"
    r"(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+(?:%25[A-Za-z0-9]+)?\]|[^:@/?#\[\]]*)(?::(?P<port>[0-9]*))?"
    r"(?:/(?P<database>[^?#]*))?(?:\?(?P<query>[^#]*))?",
    re.ASCII,
)
_BROKEN_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")

FORM: Final = "postgresql://user@host:5432/database?sslmode=verify-full"


@dataclass(frozen=True, kw_only=True)
class ConnectionUrl:
    """Where to connect. `str()` is safe to show: the password is masked.

    `host` is a name, an address without brackets, or a socket directory beginning with `/`.
    `options` are the decoded parameters after `?`, `sslmode` among them only when written; the
    effective one is the property. An empty `user` leaves it to the driver (the system's user).
    """

    scheme: str
    host: str
    port: int
    database: str
    user: str = ""
    password: Secret | None = None
    options: tuple[tuple[str, str], ...] = ()

    @property
    def is_socket(self) -> bool:
        return self.host.startswith(("/", "@"))

    @property
    def is_local(self) -> bool:
        """Whether the connection never leaves this machine, as far as the text tells."""
        return self.is_socket or _is_loopback(self.host)

    @property
    def sslmode(self) -> str:
        """The sslmode to use: the one written, else the default for this host."""
        if self.is_socket:
            return SSLMODE_SOCKET
        local = self.is_local and self.option("sslrootcert") != SYSTEM_AUTHORITIES
        return self.option("sslmode") or (SSLMODE_LOCAL if local else SSLMODE_REMOTE)

    @property
    def verifies_host(self) -> bool:
        """Whether nobody in between can read or change what is sent."""
        return self.is_local or self.sslmode == "verify-full"

    def option(self, name: str) -> str:
        """The option's value, '' when it was not written."""
        return dict(self.options).get(name, "")

    def with_password(self, password: Secret) -> "ConnectionUrl":
        return replace(self, password=password)

    def libpq_parameters(self) -> dict[str, str]:
        """Key words for libpq and drivers that follow it, effective sslmode included and the
        password left out: pass `password.reveal()` beside them."""
        parts = {"host": self.host, "port": str(self.port), "dbname": self.database}
        if self.user:
            parts["user"] = self.user
        return parts | dict(self.options) | {"sslmode": self.sslmode}

    def reveal_conninfo(self) -> str:
        """A libpq connection string, **with the password**: for a driver's connect call only."""
        parameters = self.libpq_parameters()
        if self.password is not None:
            parameters["password"] = self.password.reveal()
        return " ".join(f"{name}={_quoted(value)}" for name, value in parameters.items())

    def __str__(self) -> str:
        user = quote(self.user, safe="")
        password = f":{MASK}" if self.password is not None else ""
        at = "@" if user or password else ""
        host = f"[{self.host}]" if ":" in self.host else quote(self.host, safe="")
        query = "&".join(f"{name}={quote(value, safe='/')}" for name, value in self.options)
        database = quote(self.database, safe="")
        return (
            f"{self.scheme}://{user}{password}{at}{host}:{self.port}/{database}"
            f"{'?' if query else ''}{query}"
        )


def _quoted(value: str) -> str:
    """A value of a connection string. PostgreSQL manual, "Keyword/Value Connection Strings"."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _is_loopback(host: str) -> bool:
    if host.lower() in ("localhost", "localhost."):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Url:
    """The kind of a `url` key, whatever the engine. `as_postgres` narrows it."""

    expected: str = f"a connection URL such as {FORM}"

    def read(self, value: object) -> ConnectionUrl:
        if not isinstance(value, str):
            raise MistypedError(f"expected {self.expected}")
        return parse_url(value)

    def check(self, value: ConnectionUrl | None) -> None:
        """A parsed URL needs no further check."""

    def show(self, value: ConnectionUrl | None) -> str:
        return '""' if value is None else f'"{value}"'


def parse_url(text: str) -> ConnectionUrl:
    """Read a URL of any scheme; the port is 0 where none is written.

    Raises:
        ValueError: what is wrong with it; never repeats a part of it.
    """
    match = _URL.fullmatch(text)
    if match is None:
        raise ValueError(
            f"must be a connection URL such as {FORM}; special characters in a name or password"
            " are percent-encoded (@ is %40, / is %2F)"
        )
    parts = {name: match[name] or "" for name in ("user", "host", "port", "database")}
    query = _query(match["query"] or "")
    password = query.pop("password", None)
    if match["password"]:
        if password is not None:
            raise ValueError("names the password twice")
        password = _decode(match["password"])
    for ours, theirs in (
        ("user", "user"),
        ("host", "host"),
        ("port", "port"),
        ("database", "dbname"),
    ):
        parts[ours] = _merge(theirs, _decode(parts[ours]), query.pop(theirs, ""))
    return ConnectionUrl(
        scheme=match["scheme"].lower(),
        host=parts["host"].strip("[]"),
        port=_port(parts["port"]),
        database=parts["database"],
        user=parts["user"],
        password=Secret(password) if password else None,
        options=tuple(query.items()),
    )


def _merge(name: str, before: str, after: str) -> str:
    if before and after:
        raise ValueError(f"names the {name} twice, before and after the ?")
    return before or after


def _port(text: str) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 65535 or len(text) > 5:
        raise ValueError("the port must be from 1 to 65535")
    return int(text)


def _query(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for piece in filter(None, text.split("&")):
        name, equals, value = piece.partition("=")
        if not equals or not name.isascii() or not name.replace("_", "").isalnum():
            raise ValueError("what follows the ? must be name=value, joined by &")
        if name in found:
            raise ValueError("an option after the ? is written twice")
        found[name] = _decode(value)
    return found


def _decode(text: str) -> str:
    if _BROKEN_PERCENT.search(text):
        raise ValueError("a % must be followed by two hexadecimal digits (a literal % is %25)")
    try:
        decoded = unquote_to_bytes(text).decode()
    except UnicodeError:
        raise ValueError("must be valid Unicode text") from None
    if any(ord(character) < 32 or ord(character) == 127 for character in decoded):
        raise ValueError("must not hold control characters")
    return decoded


def parse_postgres_url(text: str) -> ConnectionUrl:
    """Read a PostgreSQL URL. Raises ValueError."""
    return as_postgres(parse_url(text))


def as_postgres(url: ConnectionUrl) -> ConnectionUrl:
    """Check what PostgreSQL asks: scheme, one host, a database, libpq's options, sslmode's words.

    Raises:
        ValueError: what is wrong with it; never repeats a value of it.
    """
    if url.scheme not in POSTGRES_SCHEMES:
        raise ValueError('must begin with "postgresql://"')
    if not url.database:
        raise ValueError(f"must name the database: {FORM}")
    if not url.host:
        raise ValueError("must name the host, or a socket directory as ?host=/run/postgresql")
    if "," in url.host:
        raise ValueError("must name one host; several hosts are not supported yet")
    check_options(url, POSTGRES_OPTIONS)
    if url.option("sslmode") and url.option("sslmode") not in SSLMODES:
        raise ValueError(f"sslmode must be one of {', '.join(SSLMODES)}")
    _check_authorities(url)
    return replace(url, scheme="postgresql", port=url.port or POSTGRES_PORT)


def _check_authorities(url: ConnectionUrl) -> None:
    if url.option("sslrootcert") != SYSTEM_AUTHORITIES or url.sslmode == "verify-full":
        return
    if url.is_socket:
        raise ValueError("a Unix socket has no TLS: leave sslrootcert=system out")
    raise ValueError("with sslrootcert=system, sslmode can only be verify-full: leave it out")


def check_options(url: ConnectionUrl, known: Collection[str]) -> None:
    """Raises ValueError for an option that is not `known`."""
    for name, _ in url.options:
        if name not in known:
            suggestion = nearest(name, [*known, *_PARTS])
            raise ValueError(
                "holds an unknown option after the ?"
                + (f"; did you mean {suggestion}?" if suggestion else "")
            )
