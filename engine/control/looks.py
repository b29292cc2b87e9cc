"""Looks at the database of one endpoint, each by a process of its own, whose file is private and
gone afterwards.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.control import errand
from engine.control.endpoint_side import Reached, reach, revealed
from engine.control.store.contract import Store
from engine.control.translate.endpoint import Role, Side
from engine.control.translate.replication_file import Plan, file_texts
from engine.control.vault import Vault
from engine.errors import StateError
from engine.observe.report import Outcome
from engine.seams import FILE_MODE, FOLDER_MODE

NAME: Final = "probe"

_NOBODY: Final[Mapping[Role, Side]] = {
    "source": Side(table={"engine": "blackhole"}, variables=(), notes=()),
    "target": Side(table={"engine": "memory"}, variables=(), notes=()),
}
"""What stands at the other end of a file about one endpoint: nothing is opened there."""


@dataclass(frozen=True, slots=True)
class Looks:
    """`folder`: where files are for the time of a look, made if need be. `secrets`: where
    `SecretsManagerSecretId` = `env:NAME` is looked for. `environment`: what every process is given,
    without secrets of the daemon's own."""

    store: Store
    vault: Vault
    folder: Path
    secrets: Mapping[str, str]
    environment: Mapping[str, str]

    async def run(
        self,
        endpoint: str,
        module: str,
        words: Callable[[Reached], Sequence[str]],
        *,
        seconds: float,
        id: str = NAME,
        told: errand.Told = errand.nobody,
        written: bytearray | None = None,
    ) -> Outcome:
        """Run `module` with these words and a file about the endpoint, for the replication of that
        id; the rest as `errand.run`.

        Raises:
            StateError: the file cannot be written.
            PenstockError: what is stored of the endpoint cannot be read.
            RuntimeError: no thread is to be had.
        """
        try:
            reached = await reach(self.store, endpoint, self.vault, self.secrets)
            self.folder.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.folder) as folder:
                return await errand.run(
                    module,
                    [*words(reached), str(_file(reached, Path(folder), id))],
                    environment={**self.environment, **revealed(reached.variables)},
                    told=told,
                    written=written,
                    seconds=seconds,
                )
        except OSError as error:
            raise StateError(
                f"cannot write the files of a look: {error.strerror}",
                hint="see that the state directory has room, and that the daemon's account may"
                " write there",
            ) from error


def _file(reached: Reached, folder: Path, id: str) -> Path:
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
