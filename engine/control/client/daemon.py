"""The daemon as commands see it: operations by AWS's names, and our own routes."""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson

from engine.control.client.address import Address, Credentials
from engine.control.client.errors import UnreachableError, fault
from engine.control.client.exchange import Answer, exchange
from engine.machine import Clock

JSON: Final = "application/x-amz-json-1.1"
TARGET: Final = "AmazonDMSv20160101"

NATIVE: Final = "/penstock/v1"
"""What paths of our own routes begin with."""

REQUEST_ID: Final = "x-amzn-requestid"
"""Every answer of the daemon has one; another server's would not."""


class Daemon:
    """One daemon, asked under one key. Every call raises UnreachableError, FaultError."""

    def __init__(self, address: Address, credentials: Credentials | None, clock: Clock) -> None:
        self.address = address
        self._credentials = credentials
        self._clock = clock

    def call(self, operation: str, **members: Any) -> dict[str, Any]:
        """The answer of an operation of AWS DMS."""
        headers = {"content-type": JSON, "x-amz-target": f"{TARGET}.{operation}"}
        body = orjson.dumps(members)
        return self._read(operation, self._exchange("POST", "/", headers=headers, body=body))

    def pages(self, operation: str, member: str, **members: Any) -> Iterator[dict[str, Any]]:
        """What an operation lists under `member`, page after page."""
        marker: dict[str, str] = {}
        while True:
            answer = self.call(operation, **members, **marker)
            yield from answer.get(member, ())
            if not answer.get("Marker"):
                return
            marker = {"Marker": answer["Marker"]}

    def get(self, *path: str, **query: object) -> dict[str, Any]:
        """What a route of our own answers."""
        return self._native("GET", path, query)

    def put(self, *path: str, document: Mapping[str, object]) -> dict[str, Any]:
        """Sets what a route of our own shows."""
        return self._native("PUT", path, {}, orjson.dumps(document))

    def post(self, *path: str, document: Mapping[str, object]) -> dict[str, Any]:
        """Asks a route of our own about a document."""
        return self._native("POST", path, {}, orjson.dumps(document))

    def _native(
        self, method: str, path: tuple[str, ...], query: Mapping[str, object], body: bytes = b""
    ) -> dict[str, Any]:
        place = "/".join(quote(part, safe="") for part in path)
        headers = {"content-type": "application/json"} if body else {}
        answer = self._exchange(
            method, f"{NATIVE}/{place}", query=urlencode(query), headers=headers, body=body
        )
        return self._read(f"{method} {'/'.join(path)}", answer)

    def _exchange(self, method: str, path: str, **parts: Any) -> Answer:
        return exchange(
            self.address, self._credentials, self._clock, method=method, path=path, **parts
        )

    def _read(self, asked: str, answer: Answer) -> dict[str, Any]:
        if REQUEST_ID not in answer.headers:
            raise self._stranger(answer)
        try:
            document = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            raise self._stranger(answer) from None
        if not isinstance(document, dict):
            raise self._stranger(answer)
        if answer.status == 200:
            return document
        code, message = (str(document.get(name, "")) for name in ("__type", "message"))
        raise fault(code, message, about=f"{asked} at {self.address}")

    def _stranger(self, answer: Answer) -> UnreachableError:
        return UnreachableError(
            f"what answers at {self.address} is no Penstock daemon (HTTP {answer.status})",
            hint="check --endpoint-url and PENSTOCK_ENDPOINT; a proxy in front of the daemon must"
            " pass its answers on",
        )
