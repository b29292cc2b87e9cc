"""Free TCP ports on the loopback interface."""

import random
import socket
from typing import Final

LOOPBACK: Final = "127.0.0.1"

PORT_FIRST: Final = 15_000
PORT_LAST: Final = 31_999
"""Below Linux's range for outgoing connections: a server that restarts finds its port again."""

ATTEMPTS_MAX: Final = 100


def free_port() -> int:
    """A port nobody listens on now. Whoever takes it must be ready to lose the race for it."""
    for _ in range(ATTEMPTS_MAX):
        port = random.SystemRandom().randint(PORT_FIRST, PORT_LAST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
        return port
    raise RuntimeError(f"no free port between {PORT_FIRST} and {PORT_LAST}")
