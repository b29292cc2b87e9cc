"""What a worker is given: the replication file with those that it names, and an environment.

Files lie in a folder of the replication's own, which only the daemon's account may read, and are
made anew for each start. Passwords go by the environment, which has nothing else that is secret:
neither the daemon's keys nor the passwords of other endpoints.
"""

import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.addresses import VARIABLE
from engine.config.document import Document, read_json
from engine.config.load import load_replication
from engine.config.problems import Problems
from engine.config.replication import ReplicationConfig
from engine.config.secret import Secret
from engine.control.endpoint_side import Reached
from engine.control.resources.replication import Replication
from engine.control.translate.listing import Note
from engine.control.translate.positions import Start, start
from engine.control.translate.replication_file import Plan, file_texts
from engine.errors import ConfigError, StateError
from engine.quarantine import VARIABLE as QUARANTINE_KEY
from engine.seams import FILE_MODE, FOLDER_MODE

COMMENT: Final = "Made by penstock serve for this start; changes in it are lost"

PASSED_ON: Final = frozenset(
    {"HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER"}
    | {"PENSTOCK_FAILPOINT", VARIABLE}
)
PASSED_ON_BEGINNINGS: Final = ("LC_", "LD_", "MALLOC_", "OPENSSL_", "PYTHON", "SSL_CERT_")
"""Variables of the daemon's environment that a worker has too: what processes need to run. Secrets
have names that their owners chose, so whatever is not known is left out."""


@dataclass(frozen=True, slots=True)
class WorkerInput:
    """What one start is given. `config` is what the worker will read there."""

    file: Path
    environment: Mapping[str, str]
    config: ReplicationConfig
    notes: Sequence[Note]
    """What of the endpoints is not carried as it was."""


class WorkerFiles:
    """Writes them, a folder a replication below `folder`."""

    def __init__(self, folder: Path, overflow: Path, environment: Mapping[str, str]) -> None:
        """`overflow`: where workers keep what overflows, a folder a replication too."""
        self._folder = folder
        self._overflow = overflow
        self._environment = passed_on(environment)
        self._turn = threading.Lock()
        """Held by who writes: one who was cancelled goes on in its thread."""

    def write(
        self,
        id: str,
        replication: Replication,
        source: Reached,
        target: Reached,
        quarantine_key: Secret,
    ) -> WorkerInput:
        """Write everything for one start, in the place of what was there. `quarantine_key` is what
        the values of rows that are kept aside are sealed under; no file holds it.

        Raises:
            ConfigError: something of it cannot be run; every problem is in it.
            StateError: the files cannot be written.
        """
        plan = plan_of(id, replication, source, target)
        try:
            texts = file_texts(plan, name=id, comment=COMMENT)
        except ValueError as error:
            raise ConfigError("replication", f"cannot be written as a file: {error}") from None
        folder = self.folder_of(id)
        with self._turn:
            _replace(folder, {**texts, **source.files, **target.files})
        secrets = {**source.variables, **target.variables, QUARANTINE_KEY: quarantine_key}
        environment = self._environment | {name: each.reveal() for name, each in secrets.items()}
        file = folder / f"{id}.toml"
        config = load_replication(file, environment)
        return WorkerInput(file, environment, config, (*source.side.notes, *target.side.notes))

    def folder_of(self, id: str) -> Path:
        """Where they are, whether or not any were written."""
        return self._folder / id

    def remove(self, id: str) -> None:
        """Remove them, and what overflowed; no error where there are none. Raises StateError."""
        for folder in (self.folder_of(id), self._overflow / id):
            try:
                shutil.rmtree(folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _failed(error) from error


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of the daemon's environment that its workers have."""
    return {
        name: value
        for name, value in environment.items()
        if name in PASSED_ON or name.startswith(PASSED_ON_BEGINNINGS)
    }


def plan_of(id: str, replication: Replication, source: Reached, target: Reached) -> Plan:
    """What goes into the file. Raises ConfigError for a start that cannot be carried."""
    config, wish = replication.config, replication.life.wish
    begin = Start()
    if wish is not None:
        engine = str(source.side.table["engine"])
        try:
            begin = start(wish.start_position, engine, wish.start_time)
        except ValueError as error:
            raise ConfigError("CdcStartPosition", str(error)) from None
    return Plan(
        id=id,
        type=config.type,
        source=source.side,
        target=target.side,
        mappings=_mappings(config.mappings),
        settings=config.settings,
        units_min=config.compute.units_min,
        units_max=config.compute.units_max,
        start_position=begin.position,
        start_time=begin.time,
        ours=config.ours,
    )


def _mappings(text: str) -> Document:
    problems = Problems("TableMappings")
    document = read_json(text, problems)
    problems.raise_found()
    return document or {}


def _replace(folder: Path, texts: Mapping[str, str]) -> None:
    """The folder has these files and no others; each is whole at every moment."""
    try:
        folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        for name, text in texts.items():
            _write(folder / name, text)
        for path in folder.iterdir():
            if path.name not in texts:
                path.unlink()
    except OSError as error:
        raise _failed(error) from error


def _write(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.rename(path)


def _failed(error: OSError) -> StateError:
    return StateError(
        f"cannot write {error.filename}: {error.strerror}",
        hint="see that the state directory has room, and that the daemon's account may write there",
    )
