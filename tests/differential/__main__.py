"""Writers at random between two real servers, compared whole at markers.

python -m tests.differential --transactions 10000 --markers 20 [--seed N] [--mode transactional]
"""

# ruff: noqa: T201 (a command that prints)

import argparse
import random
import signal
import sys
from typing import Final

from tests.differential.between import between_servers

SERVERS: Final = "a major version of PostgreSQL, or mariadb-10.11, mysql-9, ..."


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--transactions", type=int, default=10_000)
    parser.add_argument("--markers", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--mode", default="table-parallel")
    parser.add_argument("--source", default="15", help=SERVERS)
    parser.add_argument("--target", default="18", help=SERVERS)
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    result = between_servers(
        given.source,
        given.target,
        mode=given.mode,
        seed=given.seed,
        transactions=given.transactions,
        markers=given.markers,
    )
    for name, count in sorted(result.met.items()):
        print(f"  {name}: {count}")
    for difference in result.differences:
        print(difference)
    print(
        f"{result.transactions} transactions, {result.markers} markers in {result.seconds:.0f} s:"
        f" {len(result.differences)} differences"
    )
    return 1 if result.differences else 0


if __name__ == "__main__":
    sys.exit(main())
