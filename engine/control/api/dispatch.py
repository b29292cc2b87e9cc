"""From a request as it came over HTTP to its answer: authenticate, read, allow, run, write.

Whoever is not known learns nothing but that, and costs a hash of the body: nothing is parsed before
the signature holds. Everything else that can go wrong has an answer of AWS's form; what is our own
fault is logged with the request's id, and the caller is told the id only.
"""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Final

import orjson

from engine.config.limits import Limits
from engine.control.api import sigv4, wire
from engine.control.api.audit import DONE, Audit, Entry, resource
from engine.control.api.call import Call, Served, Services
from engine.control.api.callers import Callers
from engine.control.api.faults import (
    AccessDeniedException,
    Fault,
    InternalFailure,
    InvalidResourceStateFault,
    ResourceNotFoundFault,
    ServiceUnavailableException,
    StorageQuotaExceededFault,
    UnknownAddressException,
    UnknownOperationException,
)
from engine.control.api.keys import Access, Identity
from engine.control.api.reading import parse
from engine.control.api.throttle import Throttle
from engine.control.api.writing import answer
from engine.control.store.errors import GoneError, StaleError, StoreFullError
from engine.errors import InvariantError, StateError
from engine.observe.log import Log

JSON_TYPES: Final = ("application/x-amz-json-1.1", "application/x-amz-json-1.0", "application/json")

UNEXPECTED: Final = (InternalFailure, ServiceUnavailableException, StorageQuotaExceededFault)
"""Faults that are no answer to what the caller did: the log has a line of them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: JSON under a status, and the id to ask about."""

    status: int
    body: bytes
    request_id: str


@dataclass(slots=True)
class _Note:
    """What becomes a line in the audit."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Ours:
    """A request to one of our own routes. `resource` is the identifier in its path."""

    name: str
    access: Access
    resource: str
    run: Callable[[Identity], Awaitable[Mapping[str, object]]]


class Dispatcher:
    """Answers requests by the operations it is given."""

    def __init__(
        self,
        operations: Mapping[str, Served],
        services: Services,
        callers: Callers,
        *,
        audit: Audit,
        log: Log,
        limits: Limits,
    ) -> None:
        self._model = wire.service()
        unknown = sorted(operations.keys() - self._model.operations.keys())
        if unknown:
            raise InvariantError(f"AWS DMS has no operation {', '.join(unknown)}")
        self._operations = operations
        self._services = services
        self._callers = callers
        self._audit = audit
        self._log = log
        self._limits = limits
        self._throttle = Throttle(limits, services.clock)

    @property
    def call_seconds(self) -> float:
        """How long one call may take."""
        return self._limits.call_seconds

    def request_id(self) -> str:
        """The id of the next answer: `x-amzn-RequestId`."""
        return str(uuid.UUID(bytes=self._services.random.key(16), version=4))

    async def answer(self, request: sigv4.Request, peer: str) -> Answer:
        """The answer to a request from `peer`, the address it came from. Never raises."""
        headers = dict(request.headers)
        target = headers.get("x-amz-target", "")

        async def work(request_id: str) -> bytes:
            _addressed(request, headers)
            identity = self._callers.signed(request, peer)
            self._throttle.take(identity.name)
            served = self._served(target)
            entry = Entry(request_id, identity.name, identity.role, peer, served.name)
            return await self._audited(served, request.body, identity, entry)

        return await self._answered(target, work)

    async def ours(self, request: sigv4.Request, peer: str, route: Ours) -> Answer:
        """The answer of a route of our own, to whoever has a signature or a token. Never raises."""

        async def work(request_id: str) -> bytes:
            identity = self._callers.known(request, peer)
            self._throttle.take(identity.name)
            entry = Entry(
                request_id, identity.name, identity.role, peer, route.name, route.resource
            )
            with self._noted(route.access, entry):
                self._allow(route.access, f"penstock:{route.name}", identity, route.resource)
                async with asyncio.timeout(self._limits.call_seconds):
                    return orjson.dumps(await route.run(identity))

        return await self._answered(route.name, work)

    async def _answered(self, target: str, work: Callable[[str], Awaitable[bytes]]) -> Answer:
        request_id = self.request_id()
        try:
            body = await work(request_id)
        except Exception as error:  # noqa: BLE001  # the outermost: each has an answer, and a line
            fault = self._fault(error)
            if isinstance(fault, UNEXPECTED):
                self._log.exception(
                    "a call failed",
                    action="api.failed",
                    error=error,
                    target=target,
                    request_id=request_id,
                    result=fault.code,
                )
            return self.refusal(fault, request_id)
        return Answer(HTTPStatus.OK, body, request_id)

    def refusal(self, fault: Fault, request_id: str = "") -> Answer:
        """A fault as an answer."""
        return Answer(fault.status, orjson.dumps(fault.body()), request_id or self.request_id())

    def _served(self, target: str) -> Served:
        prefix, _, name = target.rpartition(".")
        if prefix != self._model.target or name not in self._model.operations:
            raise UnknownOperationException(
                f"X-Amz-Target names no operation of AWS DMS; they are {self._model.target}.NAME."
            )
        if name not in self._operations:
            raise UnknownOperationException(f"The operation {name} of AWS DMS is not served here.")
        return self._operations[name]

    async def _audited(
        self, served: Served, body: bytes, identity: Identity, entry: Entry
    ) -> bytes:
        """The answer's body; with a line in the audit, whatever becomes of the call."""
        model = self._model.operations[served.name]
        with self._noted(served.access, entry) as note:
            request = parse(body, model.input, self._limits)
            note.entry = replace(entry, resource=resource(request, model.input))
            self._allow(served.access, f"dms:{served.name}", identity, note.entry.resource)
            call = Call(served.name, request, self._services, identity, entry.request_id)
            async with asyncio.timeout(self._limits.call_seconds):
                return answer(await served.run(call), model.output)

    @contextlib.contextmanager
    def _noted(self, access: Access, entry: Entry) -> Iterator[_Note]:
        note = _Note(entry)
        try:
            yield note
            note.entry = replace(note.entry, result=DONE)
        except Exception as error:
            note.entry = replace(note.entry, result=self._fault(error).code)
            raise
        finally:
            if access is not Access.READ:
                self._audit(self._services.clock.wall(), note.entry)

    def _allow(self, access: Access, action: str, identity: Identity, about: str) -> None:
        if not identity.may(access):
            user = f"arn:{self._services.home.partition}:iam::{self._services.home.account}:user"
            raise AccessDeniedException(
                f"User: {user}/{identity.name} is not authorized to perform: {action}"
                f" on resource: {about or '*'} because its key is {identity.role}"
            )

    def _fault(self, error: Exception) -> Fault:
        """What the caller is told of an error."""
        match error:
            case Fault():
                return error
            case GoneError():
                return ResourceNotFoundFault(f"Resource not found: {error.message}.")
            case StaleError():
                return InvalidResourceStateFault(f"Try again: {error.message}.")
            case StoreFullError():
                return StorageQuotaExceededFault(
                    "The daemon has no room to store this; nothing was changed. Free space where"
                    " its store is."
                )
            case StateError():
                return ServiceUnavailableException(f"The daemon's store: {error.message}")
            case TimeoutError():
                return ServiceUnavailableException(
                    f"The operation did not end within {self._limits.call_seconds:g} s."
                )
        return InternalFailure(
            "The request could not be answered; the daemon's log says why, by this answer's"
            " request id."
        )


def _addressed(request: sigv4.Request, headers: Mapping[str, str]) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if (request.method, request.path) != ("POST", "/") or kind not in JSON_TYPES:
        raise UnknownAddressException(
            f"Operations of AWS DMS are called by POST / with Content-Type: {JSON_TYPES[0]}."
        )
