"""One bench per test, for every registered connector."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.contract.bench import SourceBench, SourceFeatures, TargetBench, TargetFeatures
from tests.contract.registry import (
    SOURCE_VERSIONS,
    SOURCES,
    TARGET_VERSIONS,
    TARGETS,
    parameters,
    source_bench,
    target_bench,
)


@pytest_asyncio.fixture(params=parameters(SOURCES, SOURCE_VERSIONS))
async def source_side(request: pytest.FixtureRequest) -> AsyncIterator[SourceBench]:
    async with source_bench(*request.param) as bench:
        _skip_without(request, "source", bench.features)
        yield bench


@pytest_asyncio.fixture(params=parameters(TARGETS, TARGET_VERSIONS))
async def target_side(request: pytest.FixtureRequest) -> AsyncIterator[TargetBench]:
    async with target_bench(*request.param) as bench:
        _skip_without(request, "target", bench.features)
        yield bench


def _skip_without(
    request: pytest.FixtureRequest, side: str, features: SourceFeatures | TargetFeatures
) -> None:
    for marker in request.node.iter_markers("needs"):
        for feature in marker.args:
            if not getattr(features, feature):
                pytest.skip(f"the {request.param[0]} {side} does not have: {feature}")
