"""What tests of operations ask a daemon, and what it refuses."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from engine.control.api.arn import Home, Kind
from engine.control.resources.document import encode
from engine.control.resources.endpoint import KIND as ENDPOINT
from engine.control.resources.endpoint import Endpoint
from engine.control.store.records import Record
from tests.integration.control.api.daemon import Daemon

HOME = Home()


@contextlib.contextmanager
def refused(code: str, text: str = "") -> Iterator[None]:
    """The block's call is refused with a fault of this name, whose message has this text."""
    with pytest.raises(ClientError) as error:
        yield
    found = error.value.response["Error"]
    assert found["Code"] == code, found
    assert text in found["Message"], found["Message"]


async def pages(
    daemon: Daemon, method: str, answer: str, marker: str | None = None, **params: Any
) -> list[Any]:
    """Everything there is from a marker on, by pages."""
    found: list[Any] = []
    while True:
        after: dict[str, Any] = {"Marker": marker} if marker else {}
        page = await daemon.call(method, **params, **after)
        found += page[answer]
        marker = page.get("Marker")
        if marker is None:
            return found
        assert len(page[answer]) == params["MaxRecords"]


async def put(daemon: Daemon, kind: str, id: str, **fields: str) -> None:
    """A record, as far as other operations look at it."""
    async with daemon.store.write() as writing:
        await writing.insert(Record(kind, id, id.lower(), {}, fields=fields))


async def put_endpoint(daemon: Daemon, id: str, **members: Any) -> None:
    """An endpoint as it is stored."""
    endpoint = Endpoint(
        members={
            "EndpointIdentifier": id.lower(),
            "EndpointType": "source",
            "EngineName": "postgres",
            **members,
        }
    )
    fields = {"type": endpoint.members["EndpointType"], "engine": endpoint.members["EngineName"]}
    record = Record(ENDPOINT, id, endpoint.members["EndpointIdentifier"], encode(endpoint), fields)
    async with daemon.store.write() as writing:
        await writing.insert(record)


def arn(kind: Kind, name: str) -> str:
    return HOME.arn(kind, name)
