"""The contract with AWS's model, of every operation that is served, drawn from botocore's reading
of it: an operation is held to it from the moment on in which it is declared.

The wire's own tests (`tests/unit/control/api/test_wire.py`) read and write every shape of the
model; here requests go the whole way to operations and to a store.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path as Folder
from typing import Any, Final

import orjson
import pytest
from botocore.model import Shape

from engine.config.limits import Limits
from engine.control.api.call import Call, Served
from engine.control.api.faults import Fault
from engine.control.api.keys import Access
from engine.control.api.served import served
from engine.control.api.sigv4 import Request
from engine.control.api.wire import service
from tests.integration.control.api.asking import refused
from tests.integration.control.api.daemon import OPEN, READER, Daemon, serving
from tests.integration.control.api.plausible import SEED, add_tables, kept, plausible, restore
from tests.unit.control.api.samples import (
    MODEL,
    OPERATIONS,
    Path,
    changed,
    members,
    operation,
    request_body,
    sample,
)
from tests.unit.control.api.wrong import WRONG

SERVED: Final = tuple(sorted(served()))

UNMODELLED: Final = frozenset(
    {
        "InvalidParameterValueException",
        "InvalidParameterCombinationException",
        "SerializationException",
    }
)
"""What AWS answers to any operation without modelling it."""

STRANGE: Final = ("'; DROP TABLE record; --\u202e\n ", "a" * 70_000)
"""Texts that are of the right type."""

LISTED: Final = ("Describe", "List")


@pytest.fixture
async def daemon(tmp_path: Folder) -> AsyncIterator[Daemon]:
    """With resources that requests may be about."""
    unbounded = Limits(calls_per_second=0)
    async with serving(tmp_path, keys=OPEN, limits=unbounded, topics=["alarms"]) as running:
        for made, document in SEED:
            assert await ask(running, made, document) == (200, ""), made
        await add_tables(running)
        yield running


async def ask(daemon: Daemon, name: str, document: Any) -> tuple[int, str]:
    """The status of an answer, and the name of its fault."""
    headers = [
        ("host", "localhost"),
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", f"AmazonDMSv20160101.{name}"),
    ]
    request = Request("POST", "/", "", headers, orjson.dumps(document))
    answer = await daemon.dispatcher.answer(request, "127.0.0.1")
    return answer.status, orjson.loads(answer.body).get("__type", "")


def wire(name: str, toward: Any) -> Any:
    """A request as JSON: of the required members, and those on the way to one."""
    return orjson.loads(request_body(name, sample(operation(name).input_shape, toward)))


def broken(name: str) -> Iterator[tuple[Any, str]]:
    """Requests that are wrong in one place each, with the fault that they are to be answered."""
    for path, shape, required in members(operation(name).input_shape):
        document = wire(name, path)
        if required:
            for value in (..., None, *([""] if shape.type_name == "string" else [])):
                yield changed(document, path, value), "InvalidParameterValueException"
        if shape.metadata.get("enum"):
            yield changed(document, path, "no-such-value"), "InvalidParameterValueException"
        if shape.metadata.get("max") and shape.type_name == "string":
            long = "a" * (int(shape.metadata["max"]) + 1)
            yield changed(document, path, long), "InvalidParameterValueException"
        for value in WRONG[shape.type_name]:
            yield changed(document, path, value), "SerializationException"


def allowed(name: str) -> Iterator[Any]:
    """Requests that the model has nothing against: about resources that are there, whose members
    hold what is to be expected, and one of them anything."""
    yield {}
    yield wire(name, None)
    yield plausible(name, ())
    for path, shape, _ in members(operation(name).input_shape):
        document = orjson.loads(request_body(name, plausible(name, path)))
        if len(path) == 1:
            yield document
        for value in _of_its_type(shape):
            yield changed(document, path, value)
        if shape.type_name == "list":
            yield changed(document, path, [])
            yield changed(document, path, list(_many(at(document, path)[0])))


def at(document: Any, path: Path) -> Any:
    """What is at a path."""
    for step in path:
        document = document[step]
    return document


def _many(item: Any) -> Iterator[Any]:
    """More than any list is meant to have, all of them different where they are texts."""
    for number in range(1_100):
        if isinstance(item, dict):
            yield {
                name: f"{inner}{number}" if isinstance(inner, str) else inner
                for name, inner in item.items()
            }
        else:
            yield f"{item}{number}" if isinstance(item, str) else item


def _of_its_type(shape: Shape) -> tuple[Any, ...]:
    match shape.type_name:
        case "string" if not shape.metadata.get("enum"):
            return STRANGE
        case "integer":
            return -(2**31), 0, 2**31 - 1
        case "timestamp":
            return -62_135_596_800, 0, 253_402_300_799
    return ()


@pytest.mark.parametrize("name", SERVED)
async def test_an_operation_keeps_to_its_model(daemon: Daemon, name: str) -> None:
    await what_is_wrong_is_refused_by_the_fault_of_aws_and_changes_nothing(daemon, name)
    await whatever_the_model_allows_is_done_or_refused_by_a_fault_of_the_operation(daemon, name)
    await null_is_the_same_as_absent(daemon, name)
    assert "api.failed" not in daemon.log


async def what_is_wrong_is_refused_by_the_fault_of_aws_and_changes_nothing(
    daemon: Daemon, name: str
) -> None:
    before = await kept(daemon)
    for document, fault in broken(name):
        assert await ask(daemon, name, document) == (400, fault), document
    assert await kept(daemon) == before


async def whatever_the_model_allows_is_done_or_refused_by_a_fault_of_the_operation(
    daemon: Daemon, name: str
) -> None:
    known = {*service().operations[name].faults, *UNMODELLED}
    before = await kept(daemon)
    for document in allowed(name):
        status, fault = await ask(daemon, name, document)
        done = (status, fault) == (200, "")
        assert done or (status == 400 and fault in known), (document, fault, daemon.log)
        if done and not name.startswith(LISTED):
            await restore(daemon, before)
            before = await kept(daemon)
        else:
            assert await kept(daemon) == before, document


async def null_is_the_same_as_absent(daemon: Daemon, name: str) -> None:
    shape = operation(name).input_shape
    bare = wire(name, ())
    nulls = dict.fromkeys([] if shape is None else shape.members, None)
    first = await ask(daemon, name, bare)
    assert await ask(daemon, name, {**nulls, **bare}) in (
        first,
        (400, "ResourceAlreadyExistsFault"),
    )


async def test_what_lists_may_be_read_and_what_changes_may_not(tmp_path: Folder) -> None:
    async with serving(tmp_path) as daemon:
        client = daemon.client(READER)
        for name, declared in served().items():
            if name.startswith(LISTED):
                assert declared.access is Access.READ, name
            if declared.access is Access.ADMIN:
                params = sample(operation(name).input_shape)
                with refused("AccessDeniedException", f"dms:{name}"):
                    await asyncio.to_thread(client._make_api_call, name, params)
        assert await kept(daemon) == ([], [])
        client.close()


async def test_what_is_not_served_is_unknown(daemon: Daemon) -> None:
    unserved = sorted(set(OPERATIONS) - set(SERVED))
    for name in unserved:
        answered = await ask(daemon, name, wire(name, None))
        assert answered == (400, "UnknownOperationException")
    assert await ask(daemon, "DescribeNothing", {}) == (400, "UnknownOperationException")


async def test_every_shape_goes_to_an_operation_and_comes_back_through_the_client_of_aws(
    tmp_path: Folder,
) -> None:
    """Operations of the whole model, each of which answers with everything that it may."""
    asked: dict[str, Mapping[str, Any]] = {}

    async def echo(call: Call) -> Mapping[str, object]:
        asked[call.operation] = call.request
        answer: Mapping[str, object] = sample(operation(call.operation).output_shape)
        return answer

    every = [Served(name, Access.ADMIN, echo) for name in OPERATIONS]
    async with serving(tmp_path, *every) as daemon:
        client = daemon.client(parameter_validation=False)
        for name in OPERATIONS:
            params = sample(operation(name).input_shape)
            answer = await asyncio.to_thread(client._make_api_call, name, params)
            answer.pop("ResponseMetadata")
            assert asked[name] == params
            assert answer == sample(operation(name).output_shape)
        client.close()


async def test_every_fault_comes_back_as_the_exception_of_the_client(tmp_path: Folder) -> None:
    answers: list[Fault] = []

    async def fail(_call: Call) -> Mapping[str, object]:
        raise answers.pop()

    failing = Served("DescribeEndpoints", Access.READ, fail)
    async with serving(tmp_path, failing) as daemon:
        client = daemon.client()
        for name in (shape.name for shape in MODEL.error_shapes):
            (kind,) = [each for each in _faults(Fault) if each.code == name]
            more = {"resource_arn": "arn"} if name == "ResourceAlreadyExistsFault" else {}
            answers.append(kind("said", **more))
            with pytest.raises(getattr(client.exceptions, name), match="said"):
                await asyncio.to_thread(client.describe_endpoints)
        client.close()


def _faults(kind: type[Fault]) -> Iterator[type[Fault]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from _faults(inner)
