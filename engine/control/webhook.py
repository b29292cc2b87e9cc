"""One POST to an address that the operator gave: all of HTTP that telling somebody needs.

A connection is used once. Authorities are those of the system, or of `SSL_CERT_FILE`. A redirect is
a refusal: what was to be told would go where nobody said.
"""

import asyncio
import contextlib
import re
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from engine.config.secret import Secret
from engine.errors import PenstockError

POST_SECONDS: Final = 10.0
"""Longest time of one POST, from the connection to the status."""

LINES_MAX: Final = 200
"""Of interim answers and their headers, before the status that counts."""

_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r?\n")


class WebhookError(PenstockError):
    """It is not known to have arrived. The text says why, and holds nothing of the address."""


async def post(
    url: Secret, body: bytes, headers: Mapping[str, str], *, seconds: float = POST_SECONDS
) -> None:
    """Returns once the other side has answered with a status from 200 to 299.

    Raises WebhookError for any other, for none in time, and where there is no connection.
    """
    try:
        async with asyncio.timeout(seconds):
            status = await _posted(url.reveal(), body, headers)
    except TimeoutError:
        raise WebhookError(f"there was no answer within {seconds:g} s") from None
    except ssl.SSLCertVerificationError as error:
        raise WebhookError(f"its certificate is not trusted: {error.verify_message}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else ""
        raise WebhookError(f"there is no connection: {reason or type(error).__name__}") from None
    if not 200 <= status <= 299:
        raise WebhookError(f"it was answered with the status {status}")


async def _posted(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    port = parts.port or (443 if secure else 80)
    context = ssl.create_default_context() if secure else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        writer.write(_head(parts.netloc, path, headers, len(body)) + body)
        await writer.drain()
        return await _status(reader)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _head(host: str, path: str, headers: Mapping[str, str], length: int) -> bytes:
    whole = {
        "Host": host,
        "Connection": "close",
        "User-Agent": "penstock",
        "Content-Length": str(length),
        **headers,
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in whole.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def _status(reader: asyncio.StreamReader) -> int:
    """The first status that is not interim (1xx)."""
    for _ in range(LINES_MAX):
        found = _STATUS.fullmatch(await reader.readline())
        if found is not None and found[1][:1] != b"1":
            return int(found[1])
        if found is None and reader.at_eof():
            break
    raise ValueError("no answer of HTTP")
