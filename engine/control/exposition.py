"""Metrics of several processes as one text of Prometheus. (pure)

See: Prometheus documentation, "Exposition formats" (text format 0.0.4): all lines of one metric
stand together, with one HELP and one TYPE.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

_SAMPLE: Final = re.compile(r"(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)(\{(?P<labels>.*)\})? (?P<rest>.*)")

LABEL: Final = "replication"


@dataclass(slots=True)
class Family:
    """One metric."""

    head: list[str] = field(default_factory=list[str])
    samples: list[str] = field(default_factory=list[str])


def merged(texts: Iterable[tuple[str, str]]) -> str:
    """Texts, each with the replication that it is about (empty: none), which becomes a label of
    those of its samples that have none."""
    families: dict[str, Family] = {}
    for replication, text in texts:
        name = ""
        fresh = set[str]()
        for line in text.splitlines():
            if line.startswith("# "):
                name = line.split(" ", 3)[2]
                if name not in families:
                    families[name] = Family()
                    fresh.add(name)
                if name in fresh:
                    families[name].head.append(line)
            elif line:
                families.setdefault(name, Family()).samples.append(_labelled(line, replication))
    return "".join(f"{line}\n" for line in _lines(families.values()))


def _lines(families: Iterable[Family]) -> Iterator[str]:
    for family in families:
        yield from family.head
        yield from family.samples


def _labelled(line: str, replication: str) -> str:
    found = _SAMPLE.fullmatch(line)
    labels = found["labels"] or "" if found else ""
    if found is None or not replication or f'{LABEL}="' in labels:
        return line
    own = f'{LABEL}="{replication}"'
    return f"{found['name']}{{{f'{own},{labels}' if labels else own}}} {found['rest']}"
