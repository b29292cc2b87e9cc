"""Which PostgreSQL versions a test run uses and which it insists on, from the environment."""

import os
from typing import Final

DEFAULT: Final = "15,18"
"""The oldest that Debian stable carries beside the newest: what most users have, at both ends."""

VERSIONS: Final = tuple(os.environ.get("PENSTOCK_TEST_POSTGRES", DEFAULT).split(","))
"""Major versions that tests marked for every version run on."""

_CI: Final = os.environ.get("CI") in ("true", "1")

REQUIRED: Final = frozenset(
    os.environ.get("PENSTOCK_REQUIRE_SERVERS", DEFAULT if _CI else "").split(",")
)
"""Versions whose absence fails a test instead of skipping it."""
