"""The reference of every key, made from the declarations. (pure)

`python -m engine.config.reference docs/guide/configuration.md` renews the generated part of that
page; a test fails while it is stale.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.config.capacity import CapacityConfig
from engine.config.endpoint import SourceConfig, TargetConfig
from engine.config.family import FAMILIES
from engine.config.intervals import IntervalsConfig
from engine.config.mapping import MappingConfig
from engine.config.reconcile import PAIRS, REFUSED
from engine.config.replication import ApplyConfig, LoadConfig, ReplicationConfig
from engine.config.section import Declared, Section, declared_keys
from engine.config.settings import SettingsFile
from engine.config.settings_catalog import CATALOG, Entry, Group, Items

BEGIN: Final = "<!-- generated from engine/config by engine/config/reference.py: begin -->"
END: Final = "<!-- generated: end -->"

SECTIONS: Final[tuple[type[Section], ...]] = (
    ReplicationConfig,
    SourceConfig,
    TargetConfig,
    MappingConfig,
    LoadConfig,
    ApplyConfig,
    CapacityConfig,
    IntervalsConfig,
    SettingsFile,
)


def reference() -> str:
    """The generated part, in Markdown."""
    parts: list[str] = []
    for section in SECTIONS:
        parts += [f"### `[{section.TABLE}]`", "", *_table(declared_keys(section)), ""]
    for family in dict.fromkeys(FAMILIES.values()):
        for settings in (family.source_settings, family.target_settings):
            keys = {**declared_keys(settings), **declared_keys(family.address)}
            others = sorted(family.no_effect.keys() - keys.keys())
            parts += [f"### `[{settings.TABLE}]`, {family.title}", "", *_table(keys), ""]
            parts += [f"Accepted, no effect yet: {', '.join(f'`{name}`' for name in others)}.", ""]
    parts += ["### AWS replication settings", "", *_aws_table(), ""]
    return "\n".join(parts)


def _table(keys: dict[str, tuple[str, Declared]]) -> list[str]:
    lines = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for name, (_, declared) in keys.items():
        default = "required" if declared.required else f"`{declared.kind.show(declared.default)}`"
        lines.append(f"| `{name}` | {declared.kind.expected} | {default} | {declared.meaning} |")
    return lines


def _aws_table() -> list[str]:
    ours = {name: f"`{pair.section}.{pair.field}`" for pair in PAIRS for name in pair.aws}
    lines = ["| key | AWS's default | effect |", "| --- | --- | --- |"]
    for path, default in _leaves(CATALOG, ""):
        if path in ours:
            effect = f"decides {ours[path]}, when it is written"
        elif path in REFUSED:
            effect = f"only `{_json(REFUSED[path][0])}`: any other value {REFUSED[path][1]}"
        else:
            effect = "no effect yet"
        lines.append(f"| `{path}` | `{default}` | {effect} |")
    return lines


def _leaves(entry: Entry, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(entry, Group):
        for name, inner in entry.keys.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, _json(None if isinstance(entry, Items) else entry.default)


def _json(value: object) -> str:
    return json.dumps(value)


def renewed(page: str) -> str:
    """The page with its generated part made anew. Raises ValueError when a marker is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no markers for the generated part")
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(renewed(page.read_text()))
