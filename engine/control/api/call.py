"""What an operation is given, and how one is declared.

    @operation("DeleteEndpoint", access=Access.ADMIN)
    async def delete_endpoint(call: Call) -> Mapping[str, object]:
        name = call.services.home.name(call.request["EndpointArn"], Kind.ENDPOINT, parameter=...)
        ...
        return {"Endpoint": {...}}

The request is what AWS's input shape makes of it (`reading`), the answer must fit the output shape
(`writing`). An operation raises faults by their names, and answers only after the transaction that
stores what it says.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, TypeAlias

from engine.addresses import USUAL, Addresses
from engine.control.acting import Fleet, Looker
from engine.control.api.arn import Home
from engine.control.api.keys import Access, Identity
from engine.control.api.paging import Pages
from engine.control.store.contract import Store
from engine.control.vault import Vault
from engine.errors import InvariantError
from engine.machine import Clock, Random


@dataclass(frozen=True, slots=True)
class Services:
    """What operations work with; one value for all of them."""

    store: Store
    home: Home
    pages: Pages
    clock: Clock
    random: Random
    vault: Vault
    fleet: Fleet
    looker: Looker
    topics: Collection[str] = field(default_factory=tuple[str, ...])
    """Names of the daemon's `[topic.NAME]`."""
    addresses: Addresses = USUAL
    """Which endpoints may have."""
    unattended: Callable[[], str] = lambda: ""
    """Why nobody looks after replications now, as a sentence; empty while somebody does."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call. `request` holds what was given, by AWS's names: text, numbers, bytes, times in UTC,
    lists and objects of them; what was not given is not there."""

    operation: str
    request: Mapping[str, Any]
    services: Services
    identity: Identity
    request_id: str


Run: TypeAlias = Callable[[Call], Awaitable[Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class Served:
    """An operation that is served."""

    name: str
    access: Access
    run: Run


def operation(name: str, *, access: Access) -> Callable[[Run], Served]:
    """Declares a function as an operation of AWS's name. Read access for what changes nothing."""
    return lambda run: Served(name, access, run)


def collect(*modules: ModuleType) -> dict[str, Served]:
    """The operations that modules declare, by name."""
    found: dict[str, Served] = {}
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, Served):
                if value.name in found:
                    raise InvariantError(f"the operation {value.name} is declared twice")
                found[value.name] = value
    return found
