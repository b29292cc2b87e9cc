"""One request to the daemon and its answer, over HTTP or HTTPS, signed.

A connection serves one request: commands ask a few things and end, and a connection that was kept
could close just under the next request, of which nobody would know whether it was done.
"""

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from engine.config.reach import REGION
from engine.control.api.sigv4 import Request, sign
from engine.control.client.address import Address, Credentials
from engine.control.client.errors import UnreachableError
from engine.machine import Clock

ANSWER_SECONDS: Final = 75.0
"""Longest wait for a sign of life: the daemon gives up an operation after 55 s, and says so."""

ANSWER_BYTES_MAX: Final = 64 << 20
"""Longest answer: a page of 100 replications with mappings of half a megabyte each."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def exchange(
    address: Address,
    credentials: Credentials | None,
    clock: Clock,
    *,
    method: str,
    path: str,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Answer:
    """Send a request and read its answer whole.

    Raises:
        UnreachableError: there is nobody, nobody to be trusted, or no answer of HTTP.
    """
    sent = {"host": address.authority, **(headers or {})}
    if credentials is not None:
        request = Request(method, path, query, list(sent.items()), body)
        at = clock.wall()
        sent |= sign(request, credentials.key_id, credentials.secret.reveal(), region=REGION, at=at)
    connection = _connection(address)
    try:
        connection.request(method, f"{path}?{query}" if query else path, body, sent)
        response = connection.getresponse()
        read = response.read(ANSWER_BYTES_MAX + 1)
    except (OSError, http.client.HTTPException) as error:
        raise _unreachable(address, error) from None
    finally:
        connection.close()
    if len(read) > ANSWER_BYTES_MAX:
        raise UnreachableError(f"the answer of {address} is longer than {ANSWER_BYTES_MAX:,} bytes")
    came = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, came, read)


def _connection(address: Address) -> http.client.HTTPConnection:
    if address.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(
            address.host, address.port, timeout=ANSWER_SECONDS, context=context
        )
    return http.client.HTTPConnection(address.host, address.port, timeout=ANSWER_SECONDS)


def _unreachable(address: Address, error: Exception) -> UnreachableError:
    match error:
        case ssl.SSLCertVerificationError():
            return UnreachableError(
                f"{address} is not trusted: {error.verify_message}",
                hint="use the name that its certificate is for; SSL_CERT_FILE names a file with"
                " the authority's certificate where this machine does not know it",
            )
        case ssl.SSLError():
            return UnreachableError(
                f"{address} does not speak TLS as we do: {error.reason or 'handshake failed'}",
                hint="if that daemon has no certificate, its URL begins with http://",
            )
        case ConnectionRefusedError():
            return UnreachableError(
                f"nobody listens at {address}",
                hint="is `penstock serve` running there? --endpoint-url or PENSTOCK_ENDPOINT name"
                " another place",
            )
        case TimeoutError():
            return UnreachableError(
                f"{address} did not answer within {ANSWER_SECONDS:g} s",
                hint="look at the daemon's log; what was asked for may have been done",
            )
        case http.client.HTTPException() | ConnectionError():
            return UnreachableError(
                f"{address} closed the connection without an answer",
                hint="look at the daemon's log; a daemon with a certificate has a URL that begins"
                " with https://",
            )
        case OSError():
            return UnreachableError(
                f"{address} cannot be reached: {error.strerror or 'network error'}",
                hint="check the URL, and the network on the way there",
            )
    raise error
