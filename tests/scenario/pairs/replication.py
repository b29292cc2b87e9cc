"""A replication between two sides, run as its users run it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.scenario.dialects import AnyDatabase
from tests.scenario.pairs.sides import SCHEMA, Side, content
from tests.scenario.running import SOON, Started, toml
from tests.scenario.workload import TABLES

ROWS_SHOWN: Final = 3


@dataclass
class PairReplication(Started):
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
            "capacity": {"unit_memory": "128MiB", "max": 1},
            "intervals": {
                name: interval
                for name, interval in SOON.items()
                if source.engine == "postgres" or name != "partitions"
            },
        }
        for section, keys in sections.items():
            tables.setdefault(section, {}).update(keys)
        file = folder / f"{name}.toml"
        file.write_text(toml(tables))
        return cls(file, name, folder, source, target)

    @property
    def ends(self) -> tuple[AnyDatabase, AnyDatabase]:
        return self.source.database, self.target.database

    def differences(self, tables: Sequence[str] = TABLES) -> list[str]:
        """Tables that differ, with both counts and the first rows that one side alone has."""
        found: list[str] = []
        for table in tables:
            here, there = content(self.source, table, "*"), content(self.target, table, "*")
            if here != there:
                lacks = [row for row in here if row not in there][:ROWS_SHOWN]
                extra = [row for row in there if row not in here][:ROWS_SHOWN]
                found.append(f"{table}: {len(here)} != {len(there)}; lacks {lacks}, has {extra}")
        return found
