"""Where servers' files are written: in memory where there is room for them.

A new database is three hundred files, and one that is dropped takes as many away. On a disk that is
most of what tests have the system do: ext4 without a journal looks at every inode that was freed in
the last minutes before it gives one out.
"""

import os
import re
import shutil
from pathlib import Path
from typing import Final

PLACE: Final = Path("/dev/shm")

ROOM_BYTES_MIN: Final = 4 << 30
"""A server's files are 60 to 150 MB, and a test process has two to four servers; three processes
leave half of this free."""


def place() -> Path | None:
    """A parent for servers' directories; None is the usual one for temporary files."""
    try:
        executes = not os.statvfs(PLACE).f_flag & os.ST_NOEXEC  # programs may be copied there
        free = min(shutil.disk_usage(PLACE).free, _available())
    except OSError:
        return None
    return PLACE if executes and os.access(PLACE, os.W_OK) and free >= ROOM_BYTES_MIN else None


def _available() -> int:
    """Bytes of memory that can still be had."""
    found = re.search(r"^MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return int(found[1]) << 10 if found else 0
