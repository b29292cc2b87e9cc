"""`python -m tests.servers`: fetch what tests use and say, per server, what was got or why not.

The exit status is 0 also where a server is missing: its tests are then skipped by name. It is 1
where PENSTOCK_REQUIRE_SERVERS or CI asks for one that is missing.
"""

import sys

from tests.servers.programs import ServerUnavailableError, find
from tests.servers.versions import REQUIRED, VERSIONS


def main() -> int:
    missing = set()
    for major in VERSIONS:
        try:
            programs = find(major)
        except ServerUnavailableError as reason:
            missing.add(major)
            sys.stderr.write(f"missing: {reason}\n")
        else:
            sys.stdout.write(f"PostgreSQL {programs.release} ({programs.origin})\n")
    return 1 if missing & REQUIRED else 0


if __name__ == "__main__":
    sys.exit(main())
