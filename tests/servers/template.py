"""A freshly initialised data directory, made once per release and copied for every cluster.

A copy would carry its template's system identifier, and two servers with one identifier look like
one server to whoever checks the source's identity. So each copy gets an identifier of its own: in
the control file (first field, covered by a CRC-32C) and in the long header of each WAL segment.
"""

import secrets
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from tests.servers.account import Account
from tests.servers.programs import CACHE, Programs, locked

INITDB: Final = ("-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")

WAL_IDENTIFIER_OFFSET: Final = 24
"""Where the system identifier stands in a WAL segment, in bytes.

`XLogLongPageHeaderData` in src/include/access/xlog_internal.h: 20 bytes of short header, padded.
"""

CONTROL_BYTES_MAX: Final = 512
"""`PG_CONTROL_MAX_SAFE_SIZE`: the control data and its checksum never reach past one sector."""

CASTAGNOLI: Final = 0x82F63B78
"""The reflected CRC-32C polynomial."""


def copy_template(programs: Programs, account: Account, data: Path) -> None:
    """Create `data`, owned by the account, as a new cluster with an identifier of its own."""
    shutil.copytree(_template(programs, account), data, copy_function=shutil.copyfile)
    _identify(data, secrets.randbits(62) | 1 << 62)
    data.chmod(0o700)
    account.give(data)


def _template(programs: Programs, account: Account) -> Path:
    label = f"data-{programs.release}-{programs.origin.replace(' ', '-')}"
    folder = CACHE / label
    with locked(label):
        if not folder.exists():
            _initialise(programs, account, folder)
    return folder


def _initialise(programs: Programs, account: Account, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="penstock-initdb-") as scratch:
        Path(scratch).chmod(0o755)
        data = Path(scratch) / "data"
        data.mkdir(mode=0o700)
        account.give(data)
        done = subprocess.run(
            [programs.bin / "initdb", *INITDB, "-D", data],
            cwd=scratch,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            **account.process(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"initdb of {programs.release} failed: {done.stderr.strip()}")
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(data, partial, copy_function=shutil.copyfile)
        partial.chmod(0o755)
        partial.rename(folder)


def _identify(data: Path, identifier: int) -> None:
    packed = struct.pack("=Q", identifier)
    control = data / "global" / "pg_control"
    content = control.read_bytes()
    offset = _checksum_offset(content)
    fresh = packed + content[len(packed) : offset]
    control.write_bytes(fresh + struct.pack("=I", _crc32c(fresh)) + content[offset + 4 :])
    for segment in (data / "pg_wal").glob("[0-9A-F]" * 24):
        with segment.open("r+b") as file:
            file.seek(WAL_IDENTIFIER_OFFSET)
            file.write(packed)


def _checksum_offset(content: bytes) -> int:
    """Find the control file's checksum: it moves between major versions, its meaning does not."""
    for offset in range(8, CONTROL_BYTES_MAX, 4):
        (stored,) = struct.unpack_from("=I", content, offset)
        if stored == _crc32c(content[:offset]):
            return int(offset)
    raise RuntimeError("no checksum found in pg_control")


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (CASTAGNOLI if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
