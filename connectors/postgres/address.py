"""The connection string of a URL, for both drivers, and whether it may be used."""

import os
import ssl
from collections.abc import Mapping
from typing import Any, Final

from engine.addresses import permit
from engine.config.url import SYSTEM_AUTHORITIES, ConnectionUrl

PORT: Final = 5432


def conninfo(url: ConnectionUrl) -> str:
    """Libpq's connection string, **with the password**: for a driver's connect call only."""
    if url.option("sslrootcert") == SYSTEM_AUTHORITIES:
        _trust_alike()
    return url.reveal_conninfo()


def _trust_alike() -> None:
    """Let libpq's OpenSSL trust what Python's does.

    psycopg's wheel brings an OpenSSL of its own, whose built-in place for authorities exists on no
    machine: with it every server would be refused. Both read these variables first; what the user
    has set in them stays.
    """
    paths = ssl.get_default_verify_paths()
    os.environ.setdefault(paths.openssl_cafile_env, paths.openssl_cafile)
    os.environ.setdefault(paths.openssl_capath_env, paths.openssl_capath)


async def permit_known(known: Mapping[str, Any]) -> None:
    """Raises ConfigError where a connection string, taken apart, leads to an address that is not to
    be connected to. Without a host libpq takes a socket of this machine."""
    await permit(str(known.get("host") or "/"), int(known.get("port") or PORT))
