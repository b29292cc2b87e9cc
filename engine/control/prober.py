"""Looks at the database of one endpoint in a process of its own (implements `acting.Prober`)."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engine.control import errand
from engine.control.acting import Looked
from engine.control.endpoint_side import Reached, reach, revealed
from engine.control.reports import not_started
from engine.control.store.contract import Store
from engine.control.translate.endpoint import Role, Side
from engine.control.translate.replication_file import Plan, file_texts
from engine.control.vault import Vault
from engine.errors import PenstockError, StateError
from engine.observe.redact import clean
from engine.observe.report import Outcome
from engine.seams import FILE_MODE, FOLDER_MODE

CONNECT_SECONDS: Final = 60.0
"""Time to connect: drivers give up after some ten seconds for each address of a name."""

SCHEMAS_SECONDS: Final = 300.0
"""Time to read names: AWS says that refreshing schemas may take minutes."""

PROBE: Final = "engine.control.probe"

NAME: Final = "probe"

_NOBODY: Final[Mapping[Role, Side]] = {
    "source": Side(table={"engine": "blackhole"}, variables=(), notes=()),
    "target": Side(table={"engine": "memory"}, variables=(), notes=()),
}
"""What stands at the other end of a file about one endpoint: nothing is opened there."""


class DatabaseProber:
    """Each look is one process, whose file is private and gone afterwards."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        folder: Path,
        secrets: Mapping[str, str],
        environment: Mapping[str, str],
    ) -> None:
        """`folder`: where files are for the time of a look, made if need be. `secrets`: where
        `SecretsManagerSecretId` = `env:NAME` is looked for. `environment`: what every process is
        given, without secrets of the daemon's own."""
        self._folder = folder
        self._store = store
        self._vault = vault
        self._secrets = secrets
        self._environment = environment

    async def connect(self, endpoint: str) -> Looked:
        """Whether the endpoint with this record id can be reached and logged in to."""
        return await self._look(endpoint, CONNECT_SECONDS)

    async def schemas(self, endpoint: str) -> Looked:
        """Names of schemas that hold tables."""
        return await self._look(endpoint, SCHEMAS_SECONDS, "--schemas")

    async def _look(self, endpoint: str, seconds: float, *words: str) -> Looked:
        schemas: list[str] = []

        def told(event: Mapping[str, object]) -> None:
            found = event.get("schemas")
            if isinstance(found, list):
                schemas.extend(map(str, found))

        try:
            reached = await reach(self._store, endpoint, self._vault, self._secrets)
            self._folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self._folder) as folder:
                file = written(reached, Path(folder))
                words = words or (f"--connect={reached.role}",)
                outcome = await errand.run(
                    PROBE,
                    [*words, str(file)],
                    environment={**self._environment, **revealed(reached.variables)},
                    told=told,
                    seconds=seconds,
                )
        except PenstockError as error:
            outcome = Outcome.of(error)
        except OSError as error:
            outcome = Outcome.of(unwritten(error))
        except RuntimeError as error:  # no thread is to be had
            outcome = not_started(error)
        return Looked(_failure(outcome), tuple(sorted(schemas)))


def written(reached: Reached, folder: Path, id: str = NAME) -> Path:
    """A file about one endpoint in a private folder, for the replication of that id."""
    ends = {**_NOBODY, reached.role: reached.side}
    plan = Plan(
        id=id,
        type="full-load",
        source=ends["source"],
        target=ends["target"],
        mappings={},
    )
    for name, text in {**file_texts(plan, name=NAME), **reached.files}.items():
        (folder / name).touch(FILE_MODE)
        (folder / name).write_text(text)
    return folder / f"{NAME}.toml"


def unwritten(error: OSError) -> StateError:
    """What a file that cannot be written means for a look."""
    return StateError(
        f"cannot write the files of a look: {error.strerror}",
        hint="see that the state directory has room, and that the daemon's account may write there",
    )


def _failure(outcome: Outcome) -> str:
    """Why it failed, and what to do, as one line; empty where all is well."""
    if outcome.exit == 0:
        return ""
    remedy = f" ({outcome.remedy})" if outcome.remedy else ""
    return clean(f"{outcome.reason or outcome.error}{remedy}")
