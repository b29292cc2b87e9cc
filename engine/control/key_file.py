"""A file of keys: one a line in base64, oldest first; `#` begins a remark.

It is never changed in place: a new one takes its name when it is on the disk, so a crash leaves the
old or the new. Writers have turns by a lock on the directory: a key that was used and then lost to
another writer would take what it sealed with it.
"""

import base64
import binascii
import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from engine.control.vault import DEFAULT, KEY_BYTES, Key, VaultError
from engine.errors import StateError

MODE: Final = 0o600

PASSING: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""What keeps a file from being written and says nothing of the keys: another start may do."""

SIZE_MAX: Final = 64 << 10
"""Some thousand keys; what is larger is another file by mistake."""


def parse_keys(text: str, where: str, name: str = DEFAULT) -> list[Key]:
    """The keys in a text, at least one. Raises VaultError, which tells nothing of what it holds."""
    lines = [line.partition("#")[0].strip() for line in text.splitlines()]
    keys = []
    for number, line in enumerate(lines, 1):
        if line:
            try:
                material = base64.b64decode(line, validate=True)
            except (binascii.Error, ValueError):
                material = b""
            if len(material) != KEY_BYTES:
                raise VaultError(
                    f"line {number} of {where} is no key",
                    hint=f"a key is {KEY_BYTES} random bytes in base64, one a line; restore the"
                    " file from its backup if it is damaged",
                )
            keys.append(Key(material, name))
    if not keys:
        raise VaultError(
            f"{where} holds no key",
            hint=f"put {KEY_BYTES} random bytes in base64 there (openssl rand -base64 {KEY_BYTES}),"
            " or restore it from its backup",
        )
    return keys


def read(path: Path, name: str = DEFAULT) -> list[Key]:
    """The keys of a file that nobody else can read.

    Raises VaultError; FileNotFoundError when there is none.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _refuse_shared(path, os.fstat(descriptor))
        content = os.read(descriptor, SIZE_MAX + 1)
    except OSError as error:
        raise _unusable(path, error) from error
    finally:
        os.close(descriptor)
    try:
        text = content.decode("ascii") if len(content) <= SIZE_MAX else ""
    except UnicodeDecodeError:
        text = ""
    return parse_keys(text, f"key file {path}", name)


def _refuse_shared(path: Path, found: os.stat_result) -> None:
    """Root may hand a file to a service by the service's group, as Kubernetes and systemd do."""
    handed = found.st_uid == 0 and os.geteuid() != 0
    allowed = 0o740 if handed else 0o700
    if stat.S_IMODE(found.st_mode) & ~allowed or found.st_uid not in (0, os.geteuid()):
        raise VaultError(
            f"key file {path} can be read or changed by other accounts"
            f" (mode {stat.S_IMODE(found.st_mode):04o}, owner {found.st_uid})",
            hint=f"give it to the daemon's account alone: chmod 600 {path}; if somebody may have"
            " read it, rotate the key",
        )


def make(path: Path) -> Key:
    """A file with one new key. Raises FileExistsError when there is one already; VaultError;
    StateError for a place that cannot be written to now."""
    key = Key.make()
    with _alone(path):
        temporary = _written(path, [key])
        try:
            os.link(temporary, path)  # unlike a rename it never takes another file's place
        finally:
            temporary.unlink()
    return key


def add(path: Path) -> Key:
    """A new key behind the others: from now on everything is sealed under it. Raises VaultError."""
    key = Key.make()
    with _alone(path):
        _written(path, [*read(path), key]).replace(path)
    return key


def drop(path: Path, key_ids: Collection[str]) -> None:
    """Take keys out that nothing is sealed under any more; the newest one stays. Raises
    VaultError."""
    with _alone(path):
        *older, newest = read(path)
        kept = [key for key in older if key.id not in key_ids]
        if len(kept) < len(older):
            _written(path, [*kept, newest]).replace(path)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """The only writer of the file; at the end its directory is on the disk."""
    directory = _directory(path)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
        os.fsync(directory)
    except FileExistsError:
        raise
    except OSError as error:
        raise _unusable(path, error) from error
    finally:
        os.close(directory)


def _directory(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unusable(path, error) from error


def _written(path: Path, keys: Sequence[Key]) -> Path:
    """A file beside it, on the disk, that nobody else can read."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, MODE)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write("# Keys of Penstock's vault, oldest first. Keep a copy of this file safe.\n")
            file.writelines(f"{key.text().reveal()}\n" for key in keys)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        temporary.unlink()
        raise
    return temporary


def _unusable(path: Path, error: OSError) -> StateError:
    if error.errno in PASSING:
        return StateError(
            f"key file {path} cannot be written: {error.strerror}",
            hint="free space on its file system, or make it writable for the daemon's account",
        )
    return VaultError(
        f"key file {path} cannot be read or written: {error.strerror}",
        hint="it must belong to the account that runs the daemon, in a directory that is its own",
    )
