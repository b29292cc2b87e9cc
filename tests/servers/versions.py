"""Which server versions a test run uses and which it insists on, from the environment."""

import os
from typing import Final

DEFAULT: Final = "15,18"
"""The oldest that Debian stable carries beside the newest: what most users have, at both ends."""

VERSIONS: Final = tuple(os.environ.get("PENSTOCK_TEST_POSTGRES", DEFAULT).split(","))
"""Major versions of PostgreSQL that tests marked for every version run on."""

PAIRS: Final = tuple(zip(VERSIONS, reversed(VERSIONS), strict=True))
"""Source and target, first to last, second to last but one, ...: each version is each once."""

RING: Final = tuple(zip(VERSIONS, (*VERSIONS[1:], VERSIONS[0]), strict=True))
"""Source and target, each version into the next and the last into the first."""

MYSQL_VERSIONS: Final = tuple(
    os.environ.get("PENSTOCK_TEST_MYSQL", "mariadb-10.11,mysql-9").split(",")
)
"""One of each dialect; names as in `mysql_programs.NAMES`."""

_CI: Final = os.environ.get("CI") in ("true", "1")

REQUIRED: Final = frozenset(
    os.environ.get(
        "PENSTOCK_REQUIRE_SERVERS", f"{DEFAULT},mariadb-10.11,prometheus" if _CI else ""
    ).split(",")
)
"""Versions whose absence fails a test instead of skipping it: those of suites that stand still."""
