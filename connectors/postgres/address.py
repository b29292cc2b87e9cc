"""The connection string of a URL, for both drivers, and whether it may be used."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from engine.addresses import permit
from engine.config.url import SYSTEM_AUTHORITIES, ConnectionUrl

PORT: Final = 5432


def conninfo(url: ConnectionUrl) -> str:
    """Libpq's connection string, **with the password**: for a driver's connect call only."""
    if _names_no_authority(url):
        url = replace(url, options=(*url.options, ("sslrootcert", SYSTEM_AUTHORITIES)))
    if url.option("sslrootcert") == SYSTEM_AUTHORITIES:
        _trust_alike()
    return url.reveal_conninfo()


def _names_no_authority(url: ConnectionUrl) -> bool:
    """Whether a server is to prove who it is, and nothing says to whom: then to those that this
    machine trusts, as with the other systems. libpq's own places come first."""
    if url.sslmode != "verify-full" or url.is_socket or url.option("sslrootcert"):
        return False
    return not os.environ.get("PGSSLROOTCERT") and not _has_own_authority()


def _has_own_authority() -> bool:
    """Source: PostgreSQL manual, libpq, "Client Verification of Server Certificates"."""
    try:
        return Path("~/.postgresql/root.crt").expanduser().is_file()
    except RuntimeError:  # an account without a home
        return False


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
