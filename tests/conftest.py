"""Fixtures every tier may use: real servers and fresh databases in them.

Versions: see `tests.servers.versions`; PENSTOCK_TEST_POSTGRES=13,14,... and PENSTOCK_TEST_MYSQL
choose others. A server that cannot be had is a skip with its reason, unless
PENSTOCK_REQUIRE_SERVERS=15,mariadb-10.11 names it or CI is set.
"""

import gc
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard, TypeVar
from zlib import crc32

import pytest
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

from tests.servers.mysql import MysqlDatabase, MysqlServer
from tests.servers.postgres import Cluster, Database
from tests.servers.programs import CACHE, ServerUnavailableError
from tests.servers.versions import MYSQL_VERSIONS, REQUIRED, VERSIONS

Server = TypeVar("Server")

settings.register_profile(
    "penstock",
    # A shared machine is sometimes slow; a slow example is not a wrong one.
    deadline=None,
    database=DirectoryBasedExampleDatabase(CACHE.parent / "hypothesis"),
)
settings.load_profile("penstock")


LENGTHY = (
    "differential/test_differential.py",
    "differential/test_pairs.py",
    "integration/postgres_types/test_stream.py",
    "scenario/test_failpoints.py",
    "scenario/test_kills.py",
    "scenario/test_load.py",
    "simulation/test_simulation.py",
)
"""Modules with tests of half a minute or more, which run first: at the end one process would run
them while the others have nothing left."""


def pytest_sessionstart() -> None:
    gc.disable()  # what is collected now stays


def pytest_collection_finish() -> None:
    """Ten thousand tests and all modules are a million objects, which the collector would go
    through again and again: a quarter of the time of tests that start nothing."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)  # before the markers are asked
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    _take_turns(items)
    items.sort(key=lambda item: not item.path.as_posix().endswith(LENGTHY))


def _take_turns(items: list[pytest.Item]) -> None:
    """A test marked `in_turn` runs on some of what it is parametrized with, chosen by its name and
    the rest of its case: the same in every process. On the others it is nightly.

    The mark's first argument is the parameter (`postgres`), its second on how many it runs (1).
    """
    turns: dict[str, dict[str, pytest.Function]] = defaultdict(dict)
    count: dict[str, int] = {}
    for item in items:
        mark = item.get_closest_marker("in_turn")
        if mark is None or item.get_closest_marker("nightly") or not _is_case(item):
            continue
        parameter, asked = mark.args or ("postgres", 1)
        if parameter in item.callspec.params:
            value: Any = item.callspec.params[parameter]
            label: str = value if isinstance(value, str) else "-to-".join(value)
            case = re.sub(f"(^|-){re.escape(label)}(?=-|$)", "", item.callspec.id, count=1)
            test = f"{item.nodeid.split('[')[0]}[{case}]"
            turns[test][label] = item
            count[test] = asked
    for test, by_label in turns.items():
        labels = sorted(by_label)
        first = crc32(test.encode())
        chosen = {labels[(first + i) % len(labels)] for i in range(count[test])}
        for label in set(labels) - chosen:
            by_label[label].add_marker(pytest.mark.nightly)


def _is_case(item: pytest.Item) -> TypeGuard[pytest.Function]:
    return isinstance(item, pytest.Function) and hasattr(item, "callspec")


class Clusters:
    """The running clusters of a test session, one per major version, started when first asked."""

    def __init__(self) -> None:
        self._running: dict[str, Cluster] = {}

    def get(self, major: str) -> Cluster:
        """Raises ServerUnavailableError."""
        if major not in self._running:
            self._running[major] = Cluster(major)
        cluster = self._running[major]
        cluster.start()
        return cluster

    def need(self, major: str) -> Cluster:
        """Like `get`; skips the test, or fails it where the server is required."""
        return need(major, lambda: self.get(major))

    def other(self, cluster: Cluster) -> Cluster:
        """A cluster of the next version in the list that can be had, so that a target is another
        server and, where possible, another version; else the same one."""
        start = VERSIONS.index(cluster.major) if cluster.major in VERSIONS else 0
        for major in (*VERSIONS[start + 1 :], *VERSIONS[:start]):
            try:
                return self.get(major)
            except ServerUnavailableError:
                continue
        return cluster

    def origins_left(self) -> dict[str, list[str]]:
        """Replication origins of running clusters: no database with some outlives its module. They
        are dropped, so that only the module that left them is blamed."""
        found = {
            major: cluster.drop_origins_left()
            for major, cluster in self._running.items()
            if cluster.running
        }
        return {major: names for major, names in found.items() if names}

    def destroy(self) -> None:
        for cluster in self._running.values():
            cluster.destroy()


def need(version: str, make: Callable[[], Server]) -> Server:
    """What `make` gives; an absent server skips the test, or fails it where required."""
    try:
        return make()
    except ServerUnavailableError as reason:
        if version in REQUIRED:
            pytest.fail(f"required, but {reason}")
        pytest.skip(str(reason))


class MysqlServers:
    """The running MariaDB and MySQL servers of a test session, started when first asked."""

    def __init__(self) -> None:
        self._running: dict[str, MysqlServer] = {}
        self._found: dict[str, dict[str, str]] = {}

    def get(self, name: str) -> MysqlServer:
        """Raises ServerUnavailableError."""
        if name not in self._running:
            self._running[name] = MysqlServer(name)
        server = self._running[name]
        server.start()
        if name not in self._found:
            self._found[name] = server.global_settings()
        return server

    def switched(self) -> dict[str, set[tuple[str, str]]]:
        """Global settings of running servers that are not as they were at first; then as if they
        were, so that only the module that switched them is blamed."""
        switched: dict[str, set[tuple[str, str]]] = {}
        for name, found in self._found.items():
            if self._running[name].running:
                now = self._running[name].global_settings()
                if now != found:
                    switched[name] = set(now.items() - found.items())
                    self._found[name] = now
        return switched

    def need(self, name: str) -> MysqlServer:
        """Like `get`; skips the test, or fails it where the server is required."""
        return need(name, lambda: self.get(name))

    def destroy(self) -> None:
        for server in self._running.values():
            server.destroy()


@pytest.fixture(scope="session")
def clusters() -> Iterator[Clusters]:
    clusters = Clusters()
    yield clusters
    clusters.destroy()


@pytest.fixture(scope="session")
def postgres15(clusters: Clusters) -> Cluster:
    return clusters.need("15")


@pytest.fixture(scope="session")
def postgres18(clusters: Clusters) -> Cluster:
    return clusters.need("18")


@pytest.fixture(scope="session", params=VERSIONS)
def postgres(request: pytest.FixtureRequest, clusters: Clusters) -> Cluster:
    """A shared cluster of each version. Leave it running and configured as found."""
    return clusters.need(request.param)


@pytest.fixture
def private_cluster() -> Iterator[Callable[..., Cluster]]:
    """Makes clusters of the test's own, to kill, freeze and reconfigure: `Cluster`'s arguments."""
    made: list[Cluster] = []

    def make(major: str = VERSIONS[-1], **arguments: object) -> Cluster:
        cluster = need(major, lambda: Cluster(major, **arguments))  # type: ignore[arg-type]
        made.append(cluster)
        cluster.start()
        return cluster

    yield make
    for cluster in made:
        cluster.destroy()


_numbers = itertools.count(1)


@pytest.fixture
def source_database(postgres: Cluster) -> Iterator[Database]:
    """An empty database on each version, dropped afterwards with its replication slots."""
    database = Database.create(postgres, f"source_{next(_numbers)}")
    yield database
    database.drop()


@pytest.fixture
def target_database(postgres: Cluster, clusters: Clusters) -> Iterator[Database]:
    """An empty database on another server than `source_database`, where there is one."""
    database = Database.create(clusters.other(postgres), f"target_{next(_numbers)}")
    yield database
    database.drop()


@pytest.fixture(scope="session")
def mysql_servers() -> Iterator[MysqlServers]:
    servers = MysqlServers()
    yield servers
    servers.destroy()


@pytest.fixture(scope="module", autouse=True)
def shared_servers_as_found(clusters: Clusters, mysql_servers: MysqlServers) -> Iterator[None]:
    """What a module leaves on a server fails another test, minutes later and of another module: a
    setting switched, a replication origin that keeps its place."""
    yield
    assert mysql_servers.switched() == {}
    assert clusters.origins_left() == {}


@pytest.fixture(scope="session", params=MYSQL_VERSIONS)
def mysql(request: pytest.FixtureRequest, mysql_servers: MysqlServers) -> MysqlServer:
    """A shared server of each version. Leave it running and configured as found."""
    return mysql_servers.need(request.param)


@pytest.fixture(params=MYSQL_VERSIONS)
def mysql_version(request: pytest.FixtureRequest) -> str:
    """The test once per version, for servers of its own."""
    name: str = request.param
    return name


@pytest.fixture
def private_mysql() -> Iterator[Callable[..., MysqlServer]]:
    """Makes servers of the test's own, to kill, freeze and reconfigure: `MysqlServer`'s
    arguments."""
    made: list[MysqlServer] = []

    def make(name: str, **arguments: object) -> MysqlServer:
        server = need(name, lambda: MysqlServer(name, **arguments))  # type: ignore[arg-type]
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        server.destroy()


@pytest.fixture
def mysql_database(mysql: MysqlServer) -> Iterator[MysqlDatabase]:
    """An empty database on each version of MariaDB and MySQL, dropped afterwards."""
    database = MysqlDatabase.create(mysql, f"source_{next(_numbers)}")
    yield database
    database.drop()
