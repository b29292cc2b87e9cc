"""What may happen to a replication in which of its statuses."""

from itertools import pairwise

import pytest

from engine.control.lifecycle import (
    AT_REST,
    NEXT,
    STARTING,
    Begin,
    Provision,
    StartType,
    Status,
    Wish,
    WrongCombinationError,
    WrongStateError,
    begin,
    check_delete,
    check_modify,
    check_reload,
    check_stop,
    follows,
)

BUSY = frozenset(Status) - AT_REST


def wish(kind: StartType, replication_type: str = "full-load-and-cdc", **has: bool) -> Wish:
    return Wish(type=kind, replication_type=replication_type, **has)


def test_the_names_are_those_of_the_wire() -> None:
    """Golden: scripts and Terraform compare these texts. dms.html#serverless-components."""
    assert [str(status) for status in Status] == [
        "created",
        "initializing",
        "preparing_metadata_resources",
        "testing_connection",
        "fetching_metadata",
        "calculating_capacity",
        "provisioning_capacity",
        "replication_starting",
        "running",
        "stopping",
        "stopped",
        "failed",
        "deleting",
    ]


def test_a_start_passes_through_all_of_them_in_order() -> None:
    path = (Status.CREATED, *STARTING, Status.RUNNING)
    assert all(follows(before, after) for before, after in pairwise(path))
    assert not follows(Status.INITIALIZING, Status.RUNNING)


@pytest.mark.parametrize("status", STARTING)
def test_a_start_may_fail_or_be_stopped_at_every_step(status: Status) -> None:
    assert {Status.FAILED, Status.STOPPING} <= NEXT[status]


def test_every_status_leads_to_an_end() -> None:
    """From each there is a way to `deleting`, and from there none."""
    reach = {Status.DELETING}
    while found := {s for s in Status if s not in reach and NEXT[s] & reach}:
        reach |= found
    assert reach == set(Status)
    assert not NEXT[Status.DELETING]


@pytest.mark.parametrize("status", sorted(BUSY))
@pytest.mark.parametrize("kind", StartType)
def test_nothing_is_started_twice(status: Status, kind: StartType) -> None:
    with pytest.raises(WrongStateError, match=status):
        begin(status, wish(kind), ran=True)


@pytest.mark.parametrize("status", sorted(AT_REST))
@pytest.mark.parametrize("kind", StartType)
def test_the_first_start_is_one_however_it_is_called(status: Status, kind: StartType) -> None:
    assert begin(status, wish(kind), ran=False) is Begin.FRESH


def test_later_starts_go_on_or_load_again() -> None:
    assert begin(Status.STOPPED, wish(StartType.RESUME), ran=True) is Begin.RESUME
    assert begin(Status.FAILED, wish(StartType.RELOAD), ran=True) is Begin.RELOAD
    with pytest.raises(WrongCombinationError, match="running for the first time"):
        begin(Status.STOPPED, wish(StartType.START), ran=True)


@pytest.mark.parametrize("ran", [False, True])
def test_a_replication_of_changes_alone_has_nothing_to_reload(ran: bool) -> None:
    with pytest.raises(WrongCombinationError, match="nothing to load again"):
        begin(Status.STOPPED, wish(StartType.RELOAD, "cdc"), ran=ran)


@pytest.mark.parametrize(
    ("replication_type", "has", "ran", "why"),
    [
        ("cdc", {"has_start_time": True, "has_start_position": True}, False, "exclude each other"),
        ("full-load", {"has_start_time": True}, False, "need ReplicationType cdc"),
        ("full-load-and-cdc", {"has_start_position": True}, False, "need ReplicationType cdc"),
        ("cdc", {"has_start_position": True}, True, "first start"),
    ],
)
def test_a_position_to_start_from_that_cannot_be_followed(
    replication_type: str, has: dict[str, bool], ran: bool, why: str
) -> None:
    with pytest.raises(WrongCombinationError, match=why):
        begin(Status.STOPPED, wish(StartType.RESUME, replication_type, **has), ran=ran)


def test_a_position_to_start_from_at_the_first_start() -> None:
    asked = wish(StartType.START, "cdc", has_start_position=True)
    assert begin(Status.CREATED, asked, ran=False) is Begin.FRESH


@pytest.mark.parametrize("status", Status)
def test_what_runs_or_starts_can_be_stopped(status: Status) -> None:
    if status is Status.RUNNING or status in STARTING:
        check_stop(status)
        return
    with pytest.raises(WrongStateError, match="nothing to stop"):
        check_stop(status)


@pytest.mark.parametrize("status", Status)
def test_only_what_rests_is_deleted(status: Status) -> None:
    if status in AT_REST:
        check_delete(status)
        return
    with pytest.raises(WrongStateError, match="stop it before"):
        check_delete(status)


@pytest.mark.parametrize("status", Status)
def test_tables_are_loaded_again_while_it_runs(status: Status) -> None:
    with pytest.raises(WrongStateError, match="no table was loaded"):
        check_reload(status, "cdc")
    if status is Status.RUNNING:
        check_reload(status, "full-load")
        return
    with pytest.raises(WrongStateError, match="reload-target"):
        check_reload(status, "full-load-and-cdc")


FIXED = frozenset({"SourceEndpointArn", "TargetEndpointArn", "ReplicationType"})
FIXED_COMPUTE = frozenset(
    {"AvailabilityZone", "DnsNameServers", "KmsKeyId", "ReplicationSubnetGroupId"}
)


@pytest.mark.parametrize("member", sorted(FIXED))
def test_ends_and_type_stay_once_something_was_provisioned(member: str) -> None:
    changes = frozenset({member})
    check_modify(Status.CREATED, None, changes)
    check_modify(Status.FAILED, None, changes)
    for status in (Status.STOPPED, Status.FAILED):
        with pytest.raises(WrongStateError, match=member):
            check_modify(status, Provision.DEPROVISIONED, changes)


@pytest.mark.parametrize("member", sorted(FIXED_COMPUTE))
def test_so_does_where_it_computes(member: str) -> None:
    check_modify(Status.CREATED, None, frozenset(), frozenset({member}))
    with pytest.raises(WrongStateError, match=member):
        check_modify(Status.STOPPED, Provision.PROVISIONED, frozenset(), frozenset({member}))


@pytest.mark.parametrize("status", sorted(AT_REST))
def test_the_rest_may_change_whenever_nothing_runs(status: Status) -> None:
    members = frozenset({"ReplicationConfigIdentifier", "ReplicationSettings", "TableMappings"})
    compute = frozenset({"MinCapacityUnits", "MaxCapacityUnits", "MultiAZ"})
    check_modify(status, Provision.DEPROVISIONED, members, compute)


@pytest.mark.parametrize("status", sorted(BUSY))
def test_nothing_changes_while_it_runs(status: Status) -> None:
    check_modify(status, Provision.PROVISIONED, frozenset())
    with pytest.raises(WrongStateError, match=status):
        check_modify(status, Provision.PROVISIONED, frozenset({"TableMappings"}))
