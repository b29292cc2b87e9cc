"""Replications, serverless or classic tasks, that read from an endpoint or write to it."""

from collections.abc import Sequence
from typing import Final

from engine.control.api.faults import InvalidResourceStateFault
from engine.control.lifecycle import AT_REST
from engine.control.resources.document import decode
from engine.control.resources.replication import KIND, Replication
from engine.control.store.contract import Reading

NAMED_MAX: Final = 5
"""As many as a refusal names."""


async def users(reading: Reading, endpoint: str) -> Sequence[Replication]:
    """Those of the endpoint with this record id, by the name of their record."""
    found = {
        record.name: decode(Replication, record.document)
        for side in ("source", "target")
        for record in await reading.find(KIND, {side: [endpoint]})
    }
    return [found[name] for name in sorted(found)]


def check_at_rest(identifier: str, using: Sequence[Replication], doing: str = "modified") -> None:
    """Raises InvalidResourceStateFault while one of them runs, or is about to."""
    running = [each for each in using if each.life.status not in AT_REST]
    if running:
        raise InvalidResourceStateFault(
            f"Endpoint {identifier} cannot be {doing}: {named(running)} is"
            f" {running[0].life.status}. Stop it first."
        )


def named(using: Sequence[Replication]) -> str:
    """Their identifiers, as words."""
    names = [f"{each.config.face} {each.config.name}" for each in using[:NAMED_MAX]]
    more = f" and {len(using) - NAMED_MAX:,} more" if len(using) > NAMED_MAX else ""
    return f"{', '.join(names)}{more}"
