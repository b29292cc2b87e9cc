"""Where the vault's keys come from.

The first of these that is there: the file a setting names, PENSTOCK_KEY (the keys themselves),
PENSTOCK_KEY_FILE, penstock.key among systemd's credentials, penstock.key in the state directory,
which is made at the first start. Beside it a folder of further keys may be named: NAME.key in it is
what `KmsKeyId` NAME seals under.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.config.key_variables import CREDENTIALS, KEY, KEY_FILE
from engine.control import key_file
from engine.control.vault import Key, Vault, VaultError

FILE_NAME: Final = "penstock.key"


@dataclass(frozen=True, slots=True)
class KeySource:
    """Settings and environment that say where keys are. Its text form holds none of them."""

    state_directory: Path
    file: Path | None = None
    folder: Path | None = None

    def load(self, environment: Mapping[str, str], *, may_make: bool) -> Vault:
        """The vault. `may_make`: nothing in the store is sealed yet, so a key may be made.

        Raises VaultError.
        """
        return Vault([*self._named_keys(), *self._default_keys(environment, may_make=may_make)])

    def default_file(self, environment: Mapping[str, str]) -> Path | None:
        """The file that holds the default keys; None when the environment itself does."""
        if self.file is not None:
            return self.file
        if environment.get(KEY):
            return None
        return _given_file(environment) or self.state_directory / FILE_NAME

    def _default_keys(self, environment: Mapping[str, str], *, may_make: bool) -> list[Key]:
        path = self.default_file(environment)
        if path is None:
            return _in_environment(environment)
        try:
            return key_file.read(path)
        except FileNotFoundError:
            if not may_make or path != self.state_directory / FILE_NAME:
                raise _absent(path) from None
        try:
            return [key_file.make(path)]
        except FileExistsError:  # another daemon was faster
            return key_file.read(path)

    def _named_keys(self) -> list[Key]:
        if self.folder is None:
            return []
        try:
            files = sorted(self.folder.glob("*.key"))
        except OSError as error:
            raise VaultError(
                f"the folder of keys {self.folder} cannot be read: {error.strerror}",
                hint="it must belong to the account that runs the daemon",
            ) from error
        return [key for file in files for key in key_file.read(file, file.stem)]


def given_keys(environment: Mapping[str, str]) -> list[Key]:
    """Keys that the environment itself names, oldest first; none where it names none.

    Raises VaultError.
    """
    if environment.get(KEY):
        return _in_environment(environment)
    path = _given_file(environment)
    if path is None:
        return []
    try:
        return key_file.read(path)
    except FileNotFoundError:
        raise _absent(path) from None


def _in_environment(environment: Mapping[str, str]) -> list[Key]:
    return key_file.parse_keys("\n".join(environment[KEY].split()), KEY)


def _given_file(environment: Mapping[str, str]) -> Path | None:
    if environment.get(KEY_FILE):
        return Path(environment[KEY_FILE])
    credentials = environment.get(CREDENTIALS)
    if credentials and (found := Path(credentials) / FILE_NAME).exists():
        return found
    return None


def _absent(path: Path) -> VaultError:
    return VaultError(
        f"key file {path} is not there",
        hint="restore it from its backup: what the store holds of passwords and certificates was"
        " sealed under it and cannot be read without. For a new installation make it with"
        f" openssl rand -base64 32 > {path}; chmod 600 {path}",
    )
