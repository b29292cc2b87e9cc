"""The same value on both sides of the stream, for every type and every way it is applied."""

from collections.abc import AsyncIterator
from typing import Final

import pytest

from connectors.postgres.server import BINARY_FROM
from engine.model.relation import Format
from tests.conftest import Clusters
from tests.integration.postgres_types.document import PATH, documented, render, stream_words
from tests.integration.postgres_types.streaming import Streamed, stream
from tests.integration.postgres_types.values import EVERY_CASE
from tests.servers.postgres import Database
from tests.servers.versions import RING, VERSIONS

NEWEST: Final = (max(VERSIONS, key=int),) * 2

HALVES: Final = [
    pytest.param(pair, half, id=f"{'-'.join(pair)}-{half}")
    for half, pair in enumerate((RING * 2)[:2])
]
WHOLE: Final = [
    pytest.param(pair, None, id="-".join(pair), marks=pytest.mark.nightly)
    for pair in sorted({*RING, NEWEST})
]
"""Every type on every pair takes most of a minute: one half of them goes up to a newer server, the
other down to an older one. Only on the newest pair are the newest values of a type."""

every_pair = pytest.mark.parametrize(("pair", "half"), [*HALVES, *WHOLE], indirect=["pair"])


@pytest.fixture
async def pair(
    clusters: Clusters, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Database, Database]]:
    majors: tuple[str, str] = request.param
    source = Database.create(clusters.need(majors[0]), f"stream_from_{'_'.join(majors)}")
    target = Database.create(clusters.need(majors[1]), f"stream_to_{'_'.join(majors)}")
    yield source, target
    source.drop()
    target.drop()


@every_pair
async def test_every_value_is_the_same_on_both_sides_of_a_binary_stream(
    pair: tuple[Database, Database], half: int | None
) -> None:
    if int(pair[0].execute("SHOW server_version_num")[0][0]) < BINARY_FROM:
        pytest.skip("this source has no binary form of the stream")
    streamed = await stream(*pair, binary=True, half=half)
    _check(streamed, half)
    document = documented()
    words = stream_words(streamed)
    assert {name: document[name].stream for name in words} == words


@every_pair
async def test_every_value_is_the_same_on_both_sides_of_a_text_stream(
    pair: tuple[Database, Database], half: int | None
) -> None:
    streamed = await stream(*pair, binary=False, half=half)
    _check(streamed, half)
    assert set(streamed.forms.values()) == {Format.TEXT}


def _check(streamed: Streamed, half: int | None) -> None:
    assert len(streamed.forms) > (100 if half is None else 50)
    assert streamed.wrong == {}
    document = documented()
    assert {name for name in streamed.forms if document[name].key} == streamed.keys


def test_the_document_has_every_type_and_nothing_else() -> None:
    document = documented()
    assert set(document) == {case.declaration for case in EVERY_CASE}
    assert PATH.read_text() == render(document)
