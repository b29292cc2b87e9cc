"""Pages of a long answer: how many are asked for, and the marker that leads on. (pure)

A marker is opaque to the client and holds what came last, so that what is created or deleted
between two pages neither hides nor repeats what stays. It is signed, and only good for the
operation and the filters it was given for: a store is never asked to look behind what a client made
up. Bounds: AWS DMS API reference, `MaxRecords` at each operation.
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson

from engine.control.api.faults import InvalidParameterValueException


@dataclass(frozen=True, slots=True)
class Bounds:
    """Records of one page: without being asked, and what may be asked."""

    usual: int = 100
    least: int = 20
    most: int = 100


T = TypeVar("T")

GENERAL: Final = Bounds()

BOUNDS: Final[Mapping[str, Bounds]] = {
    "DescribeCertificates": Bounds(10, 1, 100),
    "DescribeTableStatistics": Bounds(100, 20, 500),
    # AWS states none for these; what is asked of the classic ones works here too.
    "DescribeReplicationConfigs": Bounds(100, 1, 500),
    "DescribeReplications": Bounds(100, 1, 500),
    "DescribeReplicationTableStatistics": Bounds(100, 1, 500),
    "DescribeEndpointSettings": Bounds(100, 1, 500),
    "DescribeEngineVersions": Bounds(100, 1, 500),
}
"""Where an operation's bounds are others than the general ones."""

_SEAL_BYTES: Final = 16
"""Half of the MAC: 2^128 guesses."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is asked for: `limit` records after `after` (empty: from the first)."""

    limit: int
    after: str
    scope: bytes


class Pages:
    """Reads and makes markers under a key, which must outlive a restart where a client should not
    have to begin again."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def asked(self, operation: str, request: Mapping[str, Any]) -> Page:
        """The page that a request asks for. Raises InvalidParameterValueException."""
        bounds = BOUNDS.get(operation, GENERAL)
        limit = request.get("MaxRecords", bounds.usual)
        if not bounds.least <= limit <= bounds.most:
            raise InvalidParameterValueException(
                f"Invalid value {limit} for MaxRecords. Must be between {bounds.least} and"
                f" {bounds.most}."
            )
        scope = _scope(operation, request)
        marker = request.get("Marker") or ""
        return Page(limit, self._open(marker, scope) if marker else "", scope)

    def marker(self, page: Page, last: str) -> str:
        """The marker of what comes after `last`, the store's cursor of a page's last record."""
        text = last.encode()
        return base64.urlsafe_b64encode(self._seal(text, page.scope) + text).decode()

    def cut(
        self, page: Page, rows: Sequence[T], cursor: Callable[[T], str]
    ) -> tuple[Sequence[T], str | None]:
        """A page of `rows`, and the marker of the next one, if there is one. The rows are those
        behind `page.after`, at least one more than the page takes where there are as many."""
        shown = rows[: page.limit]
        more = len(rows) > page.limit
        return shown, self.marker(page, cursor(shown[-1])) if more else None

    def _open(self, marker: str, scope: bytes) -> str:
        try:
            held = base64.b64decode(marker, altchars=b"-_", validate=True)
            seal, text = held[:_SEAL_BYTES], held[_SEAL_BYTES:]
            if hmac.compare_digest(seal, self._seal(text, scope)):
                return text.decode()
        except ValueError:
            pass
        raise InvalidParameterValueException(
            "The parameter Marker is not valid: it is none of this operation with these filters."
            " Ask for the first page again."
        )

    def _seal(self, text: bytes, scope: bytes) -> bytes:
        return hmac.digest(self._key, scope + text, "sha256")[:_SEAL_BYTES]


def _scope(operation: str, request: Mapping[str, Any]) -> bytes:
    """What a marker is good for: everything that was asked but the page."""
    asked = {name: value for name, value in request.items() if name not in ("MaxRecords", "Marker")}
    text = orjson.dumps([operation, asked], option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).digest()
