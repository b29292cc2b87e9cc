"""How a process ends once its work is done."""

import contextlib
import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End the process at once with what was printed written out. Taking apart what is in memory, as
    Python does at its end, takes a tenth of a second of every command."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):  # whoever read it has gone
            stream.flush()
    os._exit(code)
