"""Two servers of different versions, an empty database on each, and a replication between."""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Clusters
from tests.scenario.running import Replication
from tests.servers.postgres import Database

_numbers = itertools.count(1)


@pytest.fixture
def source(clusters: Clusters) -> Iterator[Database]:
    """An empty database on the older server."""
    database = Database.create(clusters.need("15"), f"from_{next(_numbers)}")
    yield database
    database.drop()


@pytest.fixture
def target(clusters: Clusters) -> Iterator[Database]:
    """An empty database on the newer server."""
    database = Database.create(clusters.need("18"), f"to_{next(_numbers)}")
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
