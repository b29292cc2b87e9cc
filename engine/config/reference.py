"""The reference of every key, made from the declarations. (pure)

`python -m engine.config.reference docs/guide/configuration.md` renews the generated part of that
page, and so of `docs/guide/daemon-file.md`; a test fails while one is stale.
"""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from engine.config.capacity import CapacityConfig
from engine.config.endpoint import SourceConfig, TargetConfig
from engine.config.endpoint_effect import IDLE_SETTINGS
from engine.config.family import FAMILIES
from engine.config.intervals import IntervalsConfig
from engine.config.limits import Limits
from engine.config.mapping import MappingConfig
from engine.config.reconcile import REFUSED
from engine.config.replication import ApplyConfig, LoadConfig, ReplicationConfig
from engine.config.section import Declared, Section, declared_keys
from engine.config.serve import CostConfig, KeySection, ServeConfig, TokenSection, TopicSection
from engine.config.settings import SettingsFile
from engine.config.settings_effect import BY_DAEMON, Effect, KeyEffect, key_effects
from engine.config.shared_endpoint import FILE, TABLE

BEGIN: Final = "<!-- generated from engine/config by engine/config/reference.py: begin -->"
END: Final = "<!-- generated: end -->"

SHARED: Final = (
    f"Takes the keys of `[source]` or `[target]`, for several files: `[source]` with"
    f' `{TABLE} = "NAME"` as its only key stands for them. It is looked for in the same'
    f" file, then in `{FILE}` beside it. `penstock apply` makes one endpoint of it, under that"
    " name."
)

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

DAEMON_SECTIONS: Final[Mapping[str, type[Section]]] = {
    "serve": ServeConfig,
    "access_key.NAME": KeySection,
    "token.NAME": TokenSection,
    "topic.NAME": TopicSection,
    "limits": Limits,
    "cost": CostConfig,
}
"""Tables of the daemon's file."""


def daemon_reference() -> str:
    """The generated part of the page on the daemon's file, in Markdown."""
    parts: list[str] = []
    for table, section in DAEMON_SECTIONS.items():
        parts += [f"### `[{table}]`", "", *_table(declared_keys(section)), ""]
    return "\n".join(parts)


def reference() -> str:
    """The generated part of the page on replication files, in Markdown."""
    parts: list[str] = []
    for section in SECTIONS:
        parts += [f"### `[{section.TABLE}]`", "", *_table(declared_keys(section)), ""]
        if section is TargetConfig:
            parts += [f"### `[{TABLE}.NAME]`", "", SHARED, ""]
    for family in dict.fromkeys(FAMILIES.values()):
        for settings in (family.source_settings, family.target_settings):
            keys = {**declared_keys(settings), **declared_keys(family.address)}
            others = sorted(family.no_effect.keys() - keys.keys())
            parts += [f"### `[{settings.TABLE}]`, {family.title}", "", *_table(keys), ""]
            parts += ["Accepted, no effect yet:", ""]
            parts += [f"- `{name}`: {IDLE_SETTINGS[name]}." for name in others]
            parts += [""]
    parts += ["### AWS replication settings", "", *_aws_table(), ""]
    return "\n".join(parts)


def _table(keys: dict[str, tuple[str, Declared]]) -> list[str]:
    lines = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    for name, (_, declared) in keys.items():
        default = "required" if declared.required else f"`{declared.kind.show(declared.default)}`"
        lines.append(f"| `{name}` | {declared.kind.expected} | {default} | {declared.meaning} |")
    return lines


def _aws_table() -> list[str]:
    lines = ["| key | AWS's default | effect |", "| --- | --- | --- |"]
    lines += [
        f"| `{key.path}` | `{_json(key.default)}` | {_effect(key)} |" for key in key_effects()
    ]
    return lines


def _effect(key: KeyEffect) -> str:
    if key.effect is Effect.DECIDES:
        return f"decides `{key.about}`, when it is written"
    if key.effect is Effect.FIXED:
        return f"only `{_json(REFUSED[key.path][0])}`: any other value {key.about}"
    if key.path.startswith(BY_DAEMON):
        return f"followed by the daemon, and not by `penstock run`: {key.about}"
    return f"no effect yet: {key.about}"


def _json(value: object) -> str:
    return json.dumps(value)


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "configuration.md": reference,
    "daemon-file.md": daemon_reference,
}
"""What is generated on each page, by the name of its file."""


def renewed(page: str, name: str = "configuration.md") -> str:
    """The page with its generated part made anew. Raises ValueError when a marker is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page has no markers for the generated part")
    return f"{before}{BEGIN}\n\n{PAGES[name]()}\n{END}{after}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(renewed(page.read_text(), page.name))
