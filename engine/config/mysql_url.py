"""MySQL's and MariaDB's URLs: `mysql://user@host:3306/database?sslmode=verify-full`. (pure)

There is no form that all of their clients share; this is the one of PostgreSQL's, so that both ends
of a replication are written alike. Its modes of TLS and their safe defaults are the same.
"""

import re
from dataclasses import replace
from typing import Final

from engine.config.url import SYSTEM_AUTHORITIES, ConnectionUrl, check_options

MYSQL_PORT: Final = 3306

SCHEMES: Final = {
    "mysql": ("mysql",),
    "aurora": ("mysql",),
    "mariadb": ("mariadb", "mysql"),
}
"""Engine to the schemes that may name it. MariaDB speaks MySQL's protocol under that name too."""

MYSQL_SSLMODES: Final = ("disable", "prefer", "require", "verify-ca", "verify-full")
"""libpq's, but for `allow`: a MySQL server does not say that it wants TLS before it has a password.
"""

MYSQL_OPTIONS: Final = frozenset(
    {"connect_timeout", "socket", "sslcert", "sslkey", "sslmode", "sslrootcert"}
)
"""What may stand after `?`; `host`, `port`, `user`, `password` and `dbname` too, as parts."""

CONNECT_TIMEOUT_SECONDS_MAX: Final = 3600
"""An hour: whoever waits longer for a connection has mistaken the unit."""

MYSQL_FORM: Final = "mysql://user@host:3306/database?sslmode=verify-full"

_SECONDS: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


def as_mysql(url: ConnectionUrl, engine: str = "mysql") -> ConnectionUrl:
    """Check what MySQL asks: a scheme of the engine, one host or a socket, known options.

    The database may be missing: tables are named with theirs. A socket becomes the `host`.

    Raises:
        ValueError: what is wrong with it; never repeats a value of it.
    """
    _check_scheme(url, engine)
    check_options(url, MYSQL_OPTIONS)
    url = _with_socket(url)
    if not url.host:
        raise ValueError("must name the host, or a socket as ?socket=/run/mysqld/mysqld.sock")
    if "," in url.host:
        raise ValueError("must name one host; several hosts are not supported yet")
    if url.option("sslmode") and url.option("sslmode") not in MYSQL_SSLMODES:
        raise ValueError(f"sslmode must be one of {', '.join(MYSQL_SSLMODES)}")
    _check_tls_files(url)
    _check_timeout(url.option("connect_timeout"))
    return replace(url, scheme="mysql", port=url.port or MYSQL_PORT)


def _check_scheme(url: ConnectionUrl, engine: str) -> None:
    schemes = SCHEMES[engine]
    if url.scheme in schemes:
        return
    if url.scheme == "mariadb":
        raise ValueError(f'begins with "mariadb://", but engine = "{engine}": write "mariadb"')
    begins = " or ".join(f'"{scheme}://"' for scheme in schemes)
    raise ValueError(f"must begin with {begins}")


def _with_socket(url: ConnectionUrl) -> ConnectionUrl:
    socket = url.option("socket")
    if not socket:
        return url
    if not socket.startswith("/"):
        raise ValueError("socket must be a path that begins with /")
    if url.host not in ("", "localhost"):
        raise ValueError("names a host and a socket; keep one of the two")
    others = tuple((name, value) for name, value in url.options if name != "socket")
    return replace(url, host=socket, options=others)


def _check_tls_files(url: ConnectionUrl) -> None:
    if url.option("sslkey") and not url.option("sslcert"):
        raise ValueError("names an sslkey without the sslcert that belongs to it")
    if not url.option("sslrootcert"):
        return
    if url.is_socket:
        raise ValueError("a Unix socket is not encrypted: leave sslrootcert out")
    if url.option("sslrootcert") == SYSTEM_AUTHORITIES and url.sslmode != "verify-full":
        raise ValueError("with sslrootcert=system, sslmode can only be verify-full: leave it out")


def _check_timeout(text: str) -> None:
    if text and (not _SECONDS.fullmatch(text) or int(text) > CONNECT_TIMEOUT_SECONDS_MAX):
        raise ValueError(
            f"connect_timeout must be whole seconds from 1 to {CONNECT_TIMEOUT_SECONDS_MAX}"
        )
