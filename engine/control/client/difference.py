"""What has to change at the daemon, so that it is as files say. (pure)

No value that is secret is in a difference.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.config.document import Document
from engine.control.client.wanted import WantedEndpoint, WantedReplication
from engine.control.translate.endpoint import ADDRESS

PASSWORD: Final = "Password"

MANAGED: Final = (
    "EngineName",
    *(name for name in ADDRESS if name != PASSWORD),
    "SslMode",
)
"""Members of an endpoint that a file decides, beside its settings; others stay as they are."""

UNSAID: Final = {"SslMode": "none"}
"""What a member that was not given means, where a file always says it."""

HIDDEN: Final = "(hidden)"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise. None: not there."""

    member: str
    before: Any
    after: Any


def endpoint_differences(
    wanted: WantedEndpoint, members: Mapping[str, Any], ours: Document, *, same_password: bool
) -> list[Difference]:
    """`members` and `ours`: as the daemon tells what was given; `same_password`: it has the one
    that is wanted."""
    found = [
        Difference(name, members.get(name), wanted.members.get(name))
        for name in MANAGED
        if members.get(name, UNSAID.get(name)) != wanted.members.get(name)
    ]
    before, after = (_table(each.get(wanted.settings)) for each in (members, wanted.members))
    found += _between(f"{wanted.settings}.", before, after)
    if not same_password:
        had = HIDDEN if PASSWORD in members else None
        found.append(Difference(PASSWORD, had, HIDDEN if wanted.password else None))
    certificate = str(members.get("CertificateArn", "")).rpartition(":")[2]
    if certificate != wanted.certificate_name.lower():
        found.append(Difference("CertificateArn", certificate or None, wanted.certificate_name))
    return [*found, *_between("", ours, wanted.ours)]


def replication_differences(
    wanted: WantedReplication, found: Mapping[str, Any]
) -> list[Difference]:
    """`found`: the replication as the daemon tells it, with what was given."""
    given = found["given"]
    compute = wanted.members["ComputeConfig"]
    assert isinstance(compute, Mapping)
    plain = (
        ("source", found["source"], wanted.source),
        ("target", found["target"], wanted.target),
        ("replication.type", given["type"], wanted.members["ReplicationType"]),
        ("capacity.min", given["units_min"], compute["MinCapacityUnits"]),
        ("capacity.max", given["units_max"], compute["MaxCapacityUnits"]),
    )
    differences = [
        Difference(member, before, after)
        for member, before, after in plain
        if before != after and str(before).lower() != str(after).lower()
    ]
    differences += _rules(given["mappings"], str(wanted.members["TableMappings"]))
    differences += _between("settings.", given["settings"], wanted.settings)
    return [*differences, *_between("", given["ours"], wanted.ours)]


def _rules(before: str, after: str) -> Iterator[Difference]:
    """Rules of mappings that are not the same, by their ids."""
    old, new = (
        {str(rule.get("rule-id")): rule for rule in json.loads(text)["rules"]}
        for text in (before, after)
    )
    for rule in (*old, *(each for each in new if each not in old)):
        if old.get(rule) != new.get(rule):
            yield Difference(f"mapping rule {rule}", _rule(old.get(rule)), _rule(new.get(rule)))


def _rule(rule: Mapping[str, Any] | None) -> str | None:
    return None if rule is None else json.dumps(rule, ensure_ascii=False)


def _between(above: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Of tables within tables, by dotted names."""
    found: list[Difference] = []
    for name in (*before, *(each for each in after if each not in before)):
        old, new = before.get(name), after.get(name)
        if isinstance(old, Mapping) or isinstance(new, Mapping):
            found += _between(f"{above}{name}.", _table(old), _table(new))
        elif old != new or (name in before) != (name in after):
            # Null stands for a secret, which no file has at such a place.
            had = HIDDEN if name in before and old is None else old
            found.append(Difference(f"{above}{name}", had, new))
    return found


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def settings_change(before: Mapping[str, Any], after: Mapping[str, Any]) -> Sequence[Document]:
    """The documents of `ReplicationSettings` that make one document of the other, in turn: keys
    that are given replace, null takes one back, items of a list stay."""
    change = _change(before, after)
    lists = _lists(before, after)
    return [each for each in (lists, change) if each]


def _change(before: Mapping[str, Any], after: Mapping[str, Any]) -> Document:
    made: Document = {name: None for name in before if name not in after}
    for name, value in after.items():
        old = before.get(name)
        if isinstance(value, Mapping) and isinstance(old, Mapping):
            inner = _change(old, value)
            made |= {name: inner} if inner else {}
        elif old != value:
            made[name] = value
    return made


def _lists(before: Mapping[str, Any], after: Mapping[str, Any]) -> Document:
    """Takes lists back that are others: of one that was, each item would stay."""
    made: Document = {}
    for name, old in before.items():
        value = after.get(name)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            inner = _lists(old, value)
            made |= {name: inner} if inner else {}
        elif isinstance(old, list) and isinstance(value, list) and old != value:
            made[name] = None
    return made
