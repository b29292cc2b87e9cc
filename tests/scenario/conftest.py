"""Two servers of different versions, an empty database on each, and a replication between.

Every scenario runs on the first pair of versions, oldest to newest. Nightly the other pairs follow,
but not for scenarios of minutes whose subject is time or chance: those are marked `one_pair`.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.conftest import Clusters
from tests.scenario.running import Replication
from tests.servers.postgres import Database
from tests.servers.versions import PAIRS

Majors: TypeAlias = tuple[str, str]
"""Versions of the source's server and of the target's."""


def each_of(pairs: Sequence[Majors]) -> list[object]:
    """Parameters: the first for every run, the others for a nightly one."""
    return [
        pytest.param(pair, id="-to-".join(pair), marks=pytest.mark.nightly if number else ())
        for number, pair in enumerate(pairs)
    ]


one_pair = pytest.mark.parametrize("majors", each_of(PAIRS[:1]), indirect=True)


@pytest.fixture(scope="session", params=each_of(PAIRS))
def majors(request: pytest.FixtureRequest) -> Majors:
    pair: Majors = request.param
    return pair


_numbers = itertools.count(1)


@pytest.fixture
def source(clusters: Clusters, majors: Majors) -> Iterator[Database]:
    """An empty database on a server of the first version."""
    database = Database.create(clusters.need(majors[0]), f"from_{next(_numbers)}")
    yield database
    database.drop()


@pytest.fixture
def target(clusters: Clusters, majors: Majors) -> Iterator[Database]:
    """An empty database on a server of the second version."""
    database = Database.create(clusters.need(majors[1]), f"to_{next(_numbers)}")
    yield database
    database.drop()


Replicate = Callable[..., Replication]


@pytest.fixture
def replicate(source: Database, target: Database, tmp_path: Path) -> Replicate:
    """Makes a replication between `source` and `target`, with an id of its own."""

    def make(**options: object) -> Replication:
        name = str(options.pop("id", f"s{os.getpid()}-{next(_numbers)}"))
        return Replication.between(tmp_path, name, source, target, **options)  # type: ignore[arg-type]

    return make
