"""Which connectors the laws are run on.

A connector adds one line here: its name and where the two context managers are that make a bench
for one test. An entry whose module is not there yet, or whose server cannot run here, skips with
the reason (`pytest.skip` inside the factory).
"""

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import pytest

from tests.contract.bench import SourceBench, TargetBench
from tests.servers.versions import VERSIONS

SOURCES: Final = {
    "mariadb": "tests.contract.mysql_source:mariadb_bench",
    "memory": "tests.contract.memory:source_bench",
    "mysql": "tests.contract.mysql_source:mysql_bench",
    "postgres": "tests.contract.postgres_source:source_bench",
}

TARGETS: Final = {
    "blackhole": "tests.contract.blackhole:target_bench",
    "mariadb": "tests.contract.mysql_target:mariadb_bench",
    "memory": "tests.contract.memory:target_bench",
    "mysql": "tests.contract.mysql_target:mysql_bench",
    "postgres": "tests.contract.postgres_target:target_bench",
}


SOURCE_VERSIONS: Final[Mapping[str, Sequence[str]]] = {"postgres": VERSIONS}
TARGET_VERSIONS: Final[Mapping[str, Sequence[str]]] = {"postgres": VERSIONS[::-1]}
"""Versions of the server that a connector's laws are run on: the first always, others nightly. Its
context manager takes the version."""

Registered = tuple[str, ...]
"""A connector's name, and a version where there are several."""


def parameters(
    connectors: Iterable[str], versions: Mapping[str, Sequence[str]]
) -> Iterator[object]:
    """One test parameter, a `Registered`, for each connector and version."""
    for connector in sorted(connectors):
        yield pytest.param((connector, *versions.get(connector, ())[:1]), id=connector)
        for version in versions.get(connector, ())[1:]:
            registered = (connector, version)
            yield pytest.param(registered, id="-".join(registered), marks=pytest.mark.nightly)


def source_bench(connector: str, *version: str) -> AbstractAsyncContextManager[SourceBench]:
    bench: AbstractAsyncContextManager[SourceBench] = _load(SOURCES[connector])(*version)
    return bench


def target_bench(connector: str, *version: str) -> AbstractAsyncContextManager[TargetBench]:
    bench: AbstractAsyncContextManager[TargetBench] = _load(TARGETS[connector])(*version)
    return bench


def _load(place: str) -> Callable[[], Any]:
    module, _, attribute = place.partition(":")
    factory: Callable[[], Any] = getattr(importlib.import_module(module), attribute)
    return factory
