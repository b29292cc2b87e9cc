from dataclasses import replace
from typing import Any

import pytest

from engine.config.endpoint import SessionReplicationRole, SourceConfig, TargetConfig
from engine.config.endpoint_settings import PostgresSourceSettings
from engine.config.fingerprint import changed_parts, fingerprint, fingerprint_parts
from engine.config.mapping import short_mapping
from engine.config.replication import (
    ApplyConfig,
    ApplyMode,
    LoadConfig,
    ReplicationConfig,
    ReplicationType,
)
from engine.config.secret import Secret
from engine.config.url import parse_postgres_url

URL = parse_postgres_url("postgresql://u@h1.example.com/d")
BASE = ReplicationConfig(
    id="orders",
    source=SourceConfig(engine="postgres", url=URL),
    target=TargetConfig(engine="postgres", url=URL),
)


@pytest.mark.parametrize(
    "changes",
    [
        {"load": LoadConfig(parallel_tables=1)},
        {"mapping": short_mapping(("public.%",), ())},
        {"apply": ApplyConfig(appliers=2, batch_rows_max=10)},
        {"source": replace(BASE.source, url=replace(URL, host="h2", user="v"))},
        {"source": replace(BASE.source, url=URL.with_password(Secret("x")))},
        {"warnings": ("w",)},
        {"apply": ApplyConfig(mode=ApplyMode.KEY_PARALLEL)},
    ],
)
def test_what_does_not_change_the_meaning_of_positions_leaves_the_fingerprint(
    changes: dict[str, Any],
) -> None:
    assert fingerprint(replace(BASE, **changes)) == fingerprint(BASE)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"apply": ApplyConfig(mode=ApplyMode.TRANSACTIONAL)}, "apply mode"),
        ({"type": ReplicationType.CDC}, "type"),
        ({"source": replace(BASE.source, url=replace(URL, database="e"))}, "source database"),
        (
            {"source": replace(BASE.source, settings=PostgresSourceSettings(slot_name="other"))},
            "slot",
        ),
        (
            {
                "target": replace(
                    BASE.target, session_replication_role=SessionReplicationRole.REPLICA
                )
            },
            "lanes",
        ),
        ({"target": TargetConfig(engine="memory")}, "target engine"),
    ],
)
def test_what_changes_the_meaning_of_positions_is_named(changes: dict[str, Any], part: str) -> None:
    stored, now = fingerprint(BASE), fingerprint(replace(BASE, **changes))
    assert changed_parts(stored, now) == (part,)


def test_a_fingerprint_is_the_same_in_every_process() -> None:
    """A changed text here orphans every stored position: raise FINGERPRINT_VERSION on purpose."""
    assert fingerprint(BASE).startswith("v=1;source engine=a942b37ccfaf;")
    assert changed_parts(fingerprint(BASE), fingerprint(BASE)) == ()


def test_fingerprints_of_two_versions_are_not_compared_part_by_part() -> None:
    assert changed_parts("v=0;x=1", fingerprint(BASE)) == ("v",)
    assert changed_parts("", fingerprint(BASE)) == ("v",)


def test_the_parts_are_readable() -> None:
    assert fingerprint_parts(BASE)["apply mode"] == "table-parallel"
    assert fingerprint_parts(BASE)["slot"] == "penstock_orders"
