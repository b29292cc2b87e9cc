"""Reading files: the only module of this folder that opens any."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from engine.config.problems import Problems, shown_file

FILE_BYTES_MAX: Final = 8 * 1024 * 1024
"""Largest file read; four times the longest document in characters, for texts beyond ASCII."""

ReadBytes = Callable[[Path], bytes]
"""Reads a file, at most one byte more than FILE_BYTES_MAX. Raises OSError."""


def file_bytes(path: Path) -> bytes:
    """A `ReadBytes`."""
    with path.open("rb") as file:
        return file.read(FILE_BYTES_MAX + 1)


def regular_bytes(path: Path) -> bytes:
    """A `ReadBytes` that no file holds up: a pipe or a device, which may never have anything to be
    read, is refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(FILE_BYTES_MAX + 1)


def read_text(reader: ReadBytes, path: Path, where: str, problems: Problems) -> str | None:
    """A file's text; None after a problem was recorded under the key that names it."""
    try:
        data = reader(path)
        if len(data) <= FILE_BYTES_MAX:
            return data.decode()
        problems.add(where, f"{shown_file(path)} is larger than {FILE_BYTES_MAX:,} bytes")
    except UnicodeDecodeError:
        problems.add(where, f"{shown_file(path)} is not UTF-8 text")
    except ValueError:
        problems.add(where, "is not a possible path")
    except OSError as error:
        problems.add(where, f"{shown_file(path)} cannot be read: {error.strerror or 'input error'}")
    return None
