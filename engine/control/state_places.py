"""Where a daemon keeps what it keeps: its state directory, its store, the keys of its vault."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

from engine.config.secret import Secret
from engine.config.serve import DaemonConfig, ServeConfig
from engine.control.key_source import KeySource
from engine.control.store.choice import choose
from engine.control.store.contract import Store
from engine.errors import ConfigError, StateError
from engine.seams import FOLDER_MODE

LOCK: Final = "penstock.lock"
"""File in the state directory: whoever holds it works there."""


def state_directory(serve: ServeConfig, environment: Mapping[str, str]) -> Path:
    """Where the daemon keeps its state, made if need be. Raises StateError."""
    chosen = serve.state_dir or environment.get("STATE_DIRECTORY", "").partition(":")[0]
    if not chosen:
        home = environment.get("XDG_STATE_HOME") or f"{Path.home()}/.local/state"
        chosen = f"{home}/penstock"
    path = Path(chosen).absolute()
    try:
        path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"the state directory {path} cannot be made: {error.strerror}",
            hint="name another one with --state-dir or [serve] state_dir",
        ) from error
    return path


@contextlib.contextmanager
def locked(state: Path) -> Iterator[None]:
    """Keep other daemons out of the state directory. Raises ConfigError where one is in it,
    StateError where it cannot be written to."""
    try:
        descriptor = os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(
            f"the state directory {state} cannot be used: {error.strerror}",
            hint="see that it has room, and that the daemon's account may write there",
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                "serve.state_dir",
                f"{state} is another daemon's, which runs",
                hint="stop that one, or name another directory; two daemons may share a store in"
                " PostgreSQL, each with a directory of its own",
            ) from None
        yield
    finally:
        os.close(descriptor)


def store_of(config: DaemonConfig, state: Path) -> Store:
    """The store, not opened yet. Raises ConfigError."""
    return choose(state, _store_url(config.serve.store, config.store_password))


def key_source(serve: ServeConfig, state: Path) -> KeySource:
    """Where the keys are."""
    file = Path(serve.encryption_key_file) if serve.encryption_key_file else None
    folder = Path(serve.encryption_keys_dir) if serve.encryption_keys_dir else None
    return KeySource(state, file, folder)


def _store_url(url: str, password: Secret | None) -> Secret | None:
    """The store's url with its password; None where the store is a file."""
    if not url:
        return None
    if password is None:
        return Secret(url)
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0] if at else ""
    own = f"{name}:{quote(password.reveal(), safe='')}@{host}"
    return Secret(urlunsplit(parts._replace(netloc=own)))
