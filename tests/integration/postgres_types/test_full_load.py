"""The same value on both sides of the full load, for every type."""

from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.conftest import Clusters
from tests.integration.postgres_types.document import (
    documented,
    expected_loads,
    load_words,
)
from tests.integration.postgres_types.loading import load
from tests.integration.postgres_types.values import CASES, UNUSABLE
from tests.servers.postgres import Database
from tests.servers.versions import RING, VERSIONS

PAIRS: Final = dict.fromkeys([*RING, *zip(VERSIONS, VERSIONS, strict=True)])
"""Each version also into itself: there a value may differ by its way only."""


@pytest.fixture
async def pair(
    clusters: Clusters, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Database, Database]]:
    majors: tuple[str, str] = request.param
    source = Database.create(clusters.need(majors[0]), f"types_from_{'_'.join(majors)}")
    target = Database.create(clusters.need(majors[1]), f"types_to_{'_'.join(majors)}")
    yield source, target
    source.drop()
    target.drop()


@pytest.mark.parametrize("pair", PAIRS, ids="-".join, indirect=True)
async def test_every_value_is_printed_the_same_on_both_sides(
    pair: tuple[Database, Database],
) -> None:
    loaded = await load(*pair)
    assert len(loaded.forms) > 100
    different = {
        place: [(ours, theirs) for ours, theirs in zip(*both, strict=True) if ours != theirs]
        for place, both in loaded.printed.items()
        if both[0] != both[1]
    }
    assert different == {}
    assert load_words(loaded) == expected_loads(documented(), loaded)


def test_every_type_of_the_server_is_in_the_list(source_database: Database) -> None:
    found = source_database.execute(
        "SELECT typname, format_type(oid, NULL) FROM pg_type t"
        " WHERE typnamespace = 'pg_catalog'::regnamespace AND typisdefined"
        " AND typtype IN ('b', 'r', 'm') AND typcategory NOT IN ('A', 'P')"
        " AND NOT EXISTS (SELECT FROM pg_class c WHERE c.reltype = t.oid)"
    )
    listed = {case.declaration.partition("(")[0] for case in CASES}
    listed |= {"time without time zone", "timestamp without time zone"}
    names = {name for internal, name in found if internal not in UNUSABLE}
    assert len(names) > 60
    assert names - listed == set()
