"""Servers that tests of this folder may stop, kill and reconfigure, and databases in them.

They are shared by the folder; a test leaves them running and configured as found.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.scenario.conftest import Majors
from tests.scenario.faults.watched import Watched
from tests.servers.postgres import Cluster, Database

_numbers = itertools.count(1)

ACCESS = (
    "host all guarded 127.0.0.1/32 scram-sha-256",
    "host all all 127.0.0.1/32 trust",
)
"""Role `guarded` needs its password; everybody else is trusted."""


def _frail(major: str) -> Iterator[Cluster]:
    cluster = need(major, lambda: Cluster(major))
    cluster.start()
    cluster.access(*ACCESS)
    yield cluster
    cluster.destroy()


@pytest.fixture(scope="session")
def source_server(majors: Majors) -> Iterator[Cluster]:
    yield from _frail(majors[0])


@pytest.fixture(scope="session")
def target_server(majors: Majors) -> Iterator[Cluster]:
    yield from _frail(majors[1])


@pytest.fixture
def source(source_server: Cluster) -> Iterator[Database]:
    source_server.start()
    database = Database.create(source_server, f"from_{next(_numbers)}")
    yield database
    database.drop()


@pytest.fixture
def target(target_server: Cluster) -> Iterator[Database]:
    target_server.start()
    database = Database.create(target_server, f"to_{next(_numbers)}")
    yield database
    database.drop()


Replicate = Callable[..., Watched]


@pytest.fixture
def replicate(source: Database, target: Database, tmp_path: Path) -> Iterator[Replicate]:
    """Makes a replication between `source` and `target`; at the end nothing secret was said."""
    made: list[Watched] = []

    def make(**options: object) -> Watched:
        name = str(options.pop("id", f"f{os.getpid()}-{next(_numbers)}"))
        one = Watched.between(tmp_path, name, source, target, **options)  # type: ignore[arg-type]
        made.append(one)
        return one

    yield make
    assert [line for one in made for line in one.leaks()] == []
