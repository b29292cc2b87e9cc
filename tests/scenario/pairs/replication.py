"""A replication between two sides, run as its users run it."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.scenario.pairs.sides import SCHEMA, Side
from tests.scenario.running import PATIENCE_SECONDS, PENSTOCK, ROOT, SOON, Run, toml


@dataclass
class PairReplication:
    file: Path
    source: Side
    target: Side

    @classmethod
    def between(
        cls,
        folder: Path,
        name: str,
        source: Side,
        target: Side,
        /,
        **sections: Mapping[str, object],
    ) -> "PairReplication":
        """Write its file. `sections`: further keys, by table of the file."""
        tables: dict[str, dict[str, object]] = {
            "replication": {"id": name},
            "source": {"engine": source.engine, "url": source.url},
            "target": {"engine": target.engine, "url": target.url},
            "mapping": {"include": [f"{SCHEMA}.%"]},
            "capacity": {"unit_memory": "128MiB"},
            "intervals": dict(SOON),
        }
        for section, keys in sections.items():
            tables.setdefault(section, {}).update(keys)
        file = folder / f"{name}.toml"
        file.write_text(toml(tables))
        return cls(file, source, target)

    def run(self, *arguments: str) -> Run:
        """Start `penstock run`."""
        state = f"--state-dir={self.file.parent / 'state'}"
        return Run(["run", "--log-format=json", state, *arguments, "--", str(self.file)], {})

    def command(self, name: str, *arguments: str) -> tuple[int, str]:
        """Run another command to its end: its exit code and all it said."""
        done = subprocess.run(
            [*PENSTOCK, name, str(self.file), *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        return done.returncode, done.stdout + done.stderr

    def catch_up(self) -> None:
        """Run until everything committed by now is in the target."""
        with self.run("--stop-at=caught-up") as run:
            assert run.wait() == 0, run.story()
