"""`python -m tests.servers`: fetch what tests use and say, per server, what was got or why not.

The exit status is 0 also where a server is missing: its tests are then skipped by name. It is 1
where PENSTOCK_REQUIRE_SERVERS or CI asks for one that is missing.
"""

import sys

from tests.servers.mysql_programs import find_mysql
from tests.servers.programs import ServerUnavailableError, find
from tests.servers.prometheus import NAME as PROMETHEUS
from tests.servers.prometheus import find_prometheus
from tests.servers.versions import MYSQL_VERSIONS, REQUIRED, VERSIONS


def main() -> int:
    missing = set()
    for name in (*VERSIONS, *MYSQL_VERSIONS, PROMETHEUS):
        try:
            sys.stdout.write(f"{_found(name)}\n")
        except ServerUnavailableError as reason:
            missing.add(name)
            sys.stderr.write(f"missing: {reason}\n")
    return 1 if missing & REQUIRED else 0


def _found(name: str) -> str:
    if name == PROMETHEUS:
        prometheus = find_prometheus()
        return f"Prometheus {prometheus.release} ({prometheus.origin})"
    if name in MYSQL_VERSIONS:
        got = find_mysql(name)
        return f"{'MariaDB' if got.mariadb else 'MySQL'} {got.release} ({got.origin})"
    programs = find(name)
    return f"PostgreSQL {programs.release} ({programs.origin})"


if __name__ == "__main__":
    sys.exit(main())
