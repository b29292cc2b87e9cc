"""A kill at every named crash point between families, one after the other on one replication."""

from collections.abc import Iterable, Iterator
from typing import Final

import pytest

from tests.scenario.failpoints import die_at, points
from tests.scenario.kills import applying, loading
from tests.scenario.pairs.conftest import Ends, Replicate, each_of
from tests.scenario.pairs.sides import Side
from tests.scenario.workload import LOAD_SCHEMA, TABLES, broken_rules, create
from tests.scenario.writers import Writers

PAIRS: Final = (("mariadb-10.11", "mysql-9"),)

NIGHTLY: Final = (("18", "mariadb-10.11"), ("mysql-9", "mariadb-10.11"), ("mysql-9", "18"))

ALTERED: Final = {"mysql.change-intended": "account", "mysql.change-made": "counter"}
"""The table whose change the worker is killed at."""

PAUSE_SECONDS: Final = 0.02
"""Between a writer's transactions: a target finds rows without key by reading all there are."""


@pytest.fixture(params=[*each_of(PAIRS), *each_of(NIGHTLY, nightly=True)])
def pair(request: pytest.FixtureRequest, ends: Ends) -> Iterator[tuple[Side, Side]]:
    source, target = ends.source(request.param[0]), ends.target(request.param[1])
    yield source, target
    source.drop()
    target.drop()


def _killed_at(replicate: Replicate, pair: tuple[Side, Side], names: Iterable[str]) -> None:
    source, _ = pair
    # In this mode there are points beside those of all others.
    replication = replicate(apply=applying("key-parallel"), **loading(source.engine))
    create(source.database, loading=True)
    with Writers(source.database, loading=True, pause_seconds=PAUSE_SECONDS):
        for name in names:
            if name in ALTERED:
                source.execute(f"ALTER TABLE shop.{ALTERED[name]} ADD COLUMN more int DEFAULT 7")
            die_at(replication, name)
    replication.catch_up()
    assert replication.differences((*TABLES, *LOAD_SCHEMA)) == []
    assert broken_rules(replication.target.database) == []


def test_a_kill_at_the_connectors_failpoints_loses_and_repeats_nothing(
    replicate: Replicate, pair: tuple[Side, Side]
) -> None:
    """What the engine's own come to is seen between PostgreSQL's servers."""
    if pair[1].engine == "postgres":
        pytest.skip("it has none")
    _killed_at(replicate, pair, [name for name in points("mysql") if name.startswith("mysql.")])


@pytest.mark.nightly
def test_a_kill_at_every_failpoint_loses_and_repeats_nothing(
    replicate: Replicate, pair: tuple[Side, Side]
) -> None:
    own = [] if pair[1].engine == "postgres" else ["mysql"]
    _killed_at(replicate, pair, points(*own))
