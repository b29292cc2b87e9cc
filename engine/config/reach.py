"""Where a daemon is reached and by which key, as itself and its clients have it. (pure)"""

import ipaddress
from typing import Final

PORT: Final = 8628

REGION: Final = "us-east-1"
"""Where the SDKs' own examples are; requests signed for another region are accepted all the same,
since what a user's profile says has no meaning here."""

KEY_ID: Final = "PENSTOCK_ACCESS_KEY_ID"
SECRET_KEY: Final = "PENSTOCK_SECRET_ACCESS_KEY"
"""Environment variables of a pair: an administrator's, at the daemon."""


def on_loopback(listen: str) -> bool:
    """Whether HOST:PORT is reached from this machine alone; a name other than localhost is not."""
    host = listen.rpartition(":")[0].removeprefix("[").removesuffix("]")
    if host in ("", "localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
