"""Which connectors the laws are run on.

A connector adds one line here: its name and where the two context managers are that make a bench
for one test. An entry whose module is not there yet, or whose server cannot run here, skips with
the reason (`pytest.skip` inside the factory).
"""

import importlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from tests.contract.bench import SourceBench, TargetBench

SOURCES: Final = {
    "memory": "tests.contract.memory:source_bench",
    "postgres": "tests.contract.postgres_source:source_bench",
}

TARGETS: Final = {
    "blackhole": "tests.contract.blackhole:target_bench",
    "memory": "tests.contract.memory:target_bench",
    "postgres": "tests.contract.postgres_target:target_bench",
}


def source_bench(connector: str) -> AbstractAsyncContextManager[SourceBench]:
    bench: AbstractAsyncContextManager[SourceBench] = _load(SOURCES[connector])()
    return bench


def target_bench(connector: str) -> AbstractAsyncContextManager[TargetBench]:
    bench: AbstractAsyncContextManager[TargetBench] = _load(TARGETS[connector])()
    return bench


def _load(place: str) -> Callable[[], Any]:
    module, _, attribute = place.partition(":")
    factory: Callable[[], Any] = getattr(importlib.import_module(module), attribute)
    return factory
