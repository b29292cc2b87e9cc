"""Random work between two servers of any family, which are started for it."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.differential import pairs, run
from tests.differential.work import Result
from tests.scenario.pairs.sides import Side, mysql_side, postgres_side
from tests.servers.mysql import MysqlServer
from tests.servers.postgres import Cluster, Database


def between_servers(
    source: str, target: str, *, mode: str, seed: int, transactions: int, markers: int
) -> Result:
    """`source`, `target`: a major version of PostgreSQL, or a name of `mysql_programs.NAMES`.
    Raises AssertionError for a replication that does not do what it must, differences apart."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sizes = {"seed": seed, "transactions": transactions, "markers": markers}
        if source.isdigit() and target.isdigit():
            start = Database.create(stack.enter_context(Cluster(source)), "source")
            end = Database.create(stack.enter_context(Cluster(target)), "target")
            return run.differ(run.between(folder, start, end, mode), **sizes)
        first, last = _side(stack, source, source=True), _side(stack, target, source=False)
        return pairs.differ(pairs.between(folder, first, last, mode), **sizes)


def _side(stack: ExitStack, name: str, *, source: bool) -> Side:
    if name.isdigit():
        return postgres_side(stack.enter_context(Cluster(name)), "side", source=source)
    return mysql_side(stack.enter_context(MysqlServer(name)))
