"""Two servers of different families, an empty `shop` on the first."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Clusters, MysqlServers
from tests.scenario.pairs.replication import PairReplication
from tests.scenario.pairs.sides import Side, mysql_side, postgres_side

PAIRS = (("mariadb-10.11", "18"), ("18", "mysql-9"), ("mysql-9", "mariadb-10.11"))
"""Source and target; each family is both once."""

NIGHTLY = (
    ("mysql-9", "18"), ("mariadb-11.8", "18"), ("mysql-8.0", "18"), ("18", "mariadb-10.11"),
    ("mariadb-10.11", "mysql-9"), ("mysql-9", "mysql-9"),
)  # fmt: skip

_numbers = itertools.count(1)


def each_of(pairs: tuple[tuple[str, str], ...], *, nightly: bool = False) -> list[object]:
    marks = [pytest.mark.nightly] if nightly else []
    return [pytest.param(pair, id="-to-".join(pair), marks=marks) for pair in pairs]


class Ends:
    """Gives sides. A MySQL server is one side, so a target has a server of its own."""

    def __init__(self, clusters: Clusters, servers: MysqlServers) -> None:
        self._clusters = clusters
        self._servers = servers
        self._targets = MysqlServers()

    def source(self, name: str) -> Side:
        return self._side(name, self._servers, source=True)

    def target(self, name: str) -> Side:
        return self._side(name, self._targets, source=False)

    def _side(self, name: str, servers: MysqlServers, *, source: bool) -> Side:
        if name.startswith("m"):
            return mysql_side(servers.need(name))
        cluster = self._clusters.need(name)
        return postgres_side(cluster, f"pair_{next(_numbers)}", source=source)

    def destroy(self) -> None:
        self._targets.destroy()


@pytest.fixture(scope="session")
def ends(clusters: Clusters, mysql_servers: MysqlServers) -> Iterator[Ends]:
    ends = Ends(clusters, mysql_servers)
    yield ends
    ends.destroy()


@pytest.fixture(params=[*each_of(PAIRS), *each_of(NIGHTLY, nightly=True)])
def pair(request: pytest.FixtureRequest, ends: Ends) -> Iterator[tuple[Side, Side]]:
    source, target = ends.source(request.param[0]), ends.target(request.param[1])
    yield source, target
    source.drop()
    target.drop()


Replicate = Callable[..., PairReplication]


@pytest.fixture
def replicate(pair: tuple[Side, Side], tmp_path: Path) -> Replicate:
    """Makes a replication between the pair, with an id of its own."""

    def make(**sections: object) -> PairReplication:
        name = f"p{os.getpid()}-{next(_numbers)}"
        return PairReplication.between(tmp_path, name, *pair, **sections)  # type: ignore[arg-type]

    return make
