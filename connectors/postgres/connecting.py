"""Refusals of a connection that waiting does not mend.

libpq gives no SQLSTATE for a refused connection, only the server's or its own words; of the other
driver's errors some are the network's (tried again) and some are not.
"""

import ssl
from typing import Final

from asyncpg.exceptions import ClientConfigurationError

_CERTIFICATE: Final = (
    "check sslrootcert in the url, the host name there, and the server's certificate"
)
_ROOT: Final = (
    "give the authority's certificate as sslrootcert in the url, or as CertificateArn of the"
    " endpoint; sslrootcert=system takes those that this machine trusts"
)
_NO_TLS: Final = "turn on TLS on the server, or set sslmode in the url"

NAMED_WRONG: Final = "mend the name in the url, or create what it names"
NOBODY_ANSWERS: Final = "see that the server runs, and mend host and port in the url if need be"
NONE_LEFT: Final = (
    "end sessions there that nobody needs, or raise max_connections, or what the role or the"
    " database is limited to"
)
"""What to do where the server gives no further connection."""

_USED_UP: Final = ("too many c", "remaining connection slots", "no more connections allowed")
"""Words of a server, or of a pooler before it, that has no connection left."""

REPLICATION_RIGHT: Final = "ALTER ROLE ... REPLICATION"
_READS_LOG: Final = f"{REPLICATION_RIGHT} lets the role read the log"

REFUSED: Final = {
    "password authentication failed": "check user and password",
    "no password supplied": "give a password, by password_file or ${ENV}",
    "no pg_hba.conf entry": "let this address in, in the server's pg_hba.conf",
    "walsender": _READS_LOG,
    "replication role": _READS_LOG,
    "start WAL sender": _READS_LOG,
    "certificate verify failed": _CERTIFICATE,
    "does not match host name": _CERTIFICATE,
    "root certificate file": _ROOT,
    "server does not support SSL": _NO_TLS,
    "rejected SSL upgrade": _NO_TLS,
    "does not exist": NAMED_WRONG,
}
"""Words to hints; of several the first counts."""


def hint_of_refusal(words: str) -> str | None:
    """What to do about a refusal that is final; None when it may pass."""
    return next((hint for text, hint in REFUSED.items() if text in words), None)


def hint_of_no_link(words: str) -> str:
    """What to do about a connection that could not be made, and may be later."""
    return NONE_LEFT if any(text in words for text in _USED_UP) else NOBODY_ANSWERS


def certificate_refusal(error: BaseException) -> tuple[str, str] | None:
    """Words and hint, when the server could not prove who it is to asyncpg, or was not asked."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate verify failed: {error.verify_message}", _CERTIFICATE
    if isinstance(error, ClientConfigurationError):
        return str(error).splitlines()[0], _ROOT if "certificate" in str(error) else ""
    if isinstance(error, ConnectionError) and "rejected SSL upgrade" in str(error):
        return "the server does not support SSL", _NO_TLS
    return None
