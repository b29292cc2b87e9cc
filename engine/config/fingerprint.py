"""What stored positions mean: a fingerprint of the configuration they were stored under. (pure)

Two configurations with equal fingerprints may continue each other's positions. What only changes
speed, policy, or the set of tables is left out: tables come and go while a replication lives. So
is the address: a server may move, and who answers is checked by the source's own identity.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

from engine.config.replication import ApplyMode, ReplicationConfig

FINGERPRINT_VERSION: Final = "1"
"""Grows when the meaning of a part changes."""

LANE_SCHEME: Final = "table-bucket/1"
"""How lanes are named: (table or group of tables, bucket). Another scheme reads other lane rows."""

DIGEST_CHARACTERS: Final = 12
"""Of a part's SHA-256. It tells apart the few values a part has, it is no secret's guard."""


def fingerprint_parts(config: ReplicationConfig) -> Mapping[str, str]:
    """The parts by name, readable. `lanes` holds whether foreign keys fire in apply sessions: it
    decides which tables share a lane, and with it which row holds a table's position."""
    source = config.source
    # Tables are split into buckets and put together again at any start: their order is one.
    by_key = config.apply.mode is ApplyMode.KEY_PARALLEL
    order = ApplyMode.TABLE_PARALLEL if by_key else config.apply.mode
    # Only where one is named: what was stored before these keys existed stays comparable.
    given = {"publication": source.publication, "inserts": source.publication_inserts}
    return {
        "source engine": source.engine,
        "source database": source.url.database if source.url else "",
        "slot": config.slot_name,
        "source origin": source.origin,
        "target engine": config.target.engine,
        "type": config.type,
        "apply mode": order,
        "lanes": f"{LANE_SCHEME} {config.target.session_replication_role}",
        **{name: text for name, text in given.items() if text},
    }


def fingerprint(config: ReplicationConfig) -> str:
    """A stable text, one digest per part, so that a difference can be named from two of them."""
    parts = [f"{name}={_digest(value)}" for name, value in fingerprint_parts(config).items()]
    return ";".join([f"v={FINGERPRINT_VERSION}", *parts])


def changed_parts(stored: str, now: str) -> tuple[str, ...]:
    """Names of the parts in which two fingerprints differ, sorted; empty when they are equal.

    A version that differs is `v`, alone: nothing else can be compared then.
    """
    before, after = _split(stored), _split(now)
    if before.get("v") != after.get("v"):
        return ("v",)
    return tuple(sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n)))


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:DIGEST_CHARACTERS]


def _split(text: str) -> dict[str, str]:
    return {name: digest for name, _, digest in (p.partition("=") for p in text.split(";"))}
