"""Which PostgreSQL versions a test run uses and which it insists on, from the environment."""

import os
from typing import Final

DEFAULT: Final = "15,18"
"""The oldest that Debian stable carries beside the newest: what most users have, at both ends."""

VERSIONS: Final = tuple(os.environ.get("PENSTOCK_TEST_POSTGRES", DEFAULT).split(","))
"""Major versions that tests marked for every version run on."""

PAIRS: Final = tuple(zip(VERSIONS, reversed(VERSIONS), strict=True))
"""Source and target, first to last, second to last but one, ...: each version is each once."""

RING: Final = tuple(zip(VERSIONS, (*VERSIONS[1:], VERSIONS[0]), strict=True))
"""Source and target, each version into the next and the last into the first."""

_CI: Final = os.environ.get("CI") in ("true", "1")

REQUIRED: Final = frozenset(
    os.environ.get("PENSTOCK_REQUIRE_SERVERS", DEFAULT if _CI else "").split(",")
)
"""Versions whose absence fails a test instead of skipping it."""
