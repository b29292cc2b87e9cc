"""How a process ends with the one that started it."""

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1
"""See: prctl(2), Linux."""


def die_with(parent: int | None) -> None:
    """End this process when `parent` does: a new one must not find it holding a slot. On Linux the
    kernel sees to it; elsewhere only a parent that died already is noticed."""
    if parent is None:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the kernel was told
        os._exit(1)
