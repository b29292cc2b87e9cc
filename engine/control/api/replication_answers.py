"""A replication as AWS shows it: its configuration, and how it does. (pure)"""

from typing import Final

from engine.control.api import compute
from engine.control.api.arn import Home, Kind
from engine.control.api.documents import settings_shown
from engine.control.lifecycle import Provision, Status
from engine.control.logs.lines import ENGINE_STREAM, GROUP
from engine.control.resources.replication import Config, Life, Provisioned, Replication
from engine.control.translate.positions import recovery_checkpoint

UNSHOWN: Final = frozenset({"ReplicationConfigUpdateTime"})
"""What AWS leaves out of `DescribeReplicationConfigs`, and answers to a change."""


def config_shown(home: Home, id: str, replication: Replication) -> dict[str, object]:
    """`ReplicationConfig`."""
    config = replication.config
    return {
        **_named(home, id, config),
        "ComputeConfig": compute.shown(config.compute),
        "ReplicationSettings": settings_as_shown(id, replication),
        "SupplementalSettings": config.supplemental or None,
        "TableMappings": config.mappings,
        "ReplicationConfigCreateTime": config.created,
        "ReplicationConfigUpdateTime": config.updated,
        "IsReadOnly": False,
    }


def config_described(home: Home, id: str, replication: Replication) -> dict[str, object]:
    """`ReplicationConfig` in a list."""
    shown = config_shown(home, id, replication)
    return {name: value for name, value in shown.items() if name not in UNSHOWN}


def replication_shown(
    home: Home, id: str, replication: Replication, now: float
) -> dict[str, object]:
    """`Replication`. `now`: the wall clock's time."""
    config, life = replication.config, replication.life
    times, wish = life.times, life.wish
    provisioned = life.provisioned
    gone = provisioned is not None and provisioned.state is Provision.DEPROVISIONED
    return {
        **_named(home, id, config),
        "Status": str(life.status),
        "ProvisionData": _provision_data(provisioned) if provisioned else None,
        "StopReason": str(life.stop_reason) if life.stop_reason else None,
        "FailureMessages": list(life.failures) or None,
        "ReplicationStats": stats(life, now) if times.start is not None else None,
        "StartReplicationType": str(wish.type) if wish else None,
        "CdcStartTime": wish.start_time if wish else None,
        "CdcStartPosition": (wish.start_position or None) if wish else None,
        "CdcStopPosition": (wish.stop_position or None) if wish else None,
        "RecoveryCheckpoint": recovery_checkpoint(life.checkpoint) or None,
        "ReplicationCreateTime": config.created,
        "ReplicationUpdateTime": config.updated,
        "ReplicationLastStopTime": times.stop,
        "ReplicationDeprovisionTime": provisioned.at if provisioned and gone else None,
        "IsReadOnly": False,
    }


def stats(life: Life, now: float) -> dict[str, object]:
    """`ReplicationStats`, which has the members of `ReplicationTaskStats` too."""
    times, progress = life.times, life.progress
    return {
        "FullLoadProgressPercent": progress.percent,
        "ElapsedTimeMillis": elapsed_milliseconds(life, now),
        "TablesLoaded": progress.loaded,
        "TablesLoading": progress.loading,
        "TablesQueued": progress.queued,
        "TablesErrored": progress.errored,
        "FreshStartDate": times.fresh_start,
        "StartDate": times.start,
        "StopDate": times.stop,
        "FullLoadStartDate": times.load_start,
        "FullLoadFinishDate": times.load_end,
    }


def elapsed_milliseconds(life: Life, now: float) -> int:
    """From the newest start until it ended, or until now."""
    start, stop = life.times.start, life.times.stop
    if start is None:
        return 0
    ended = stop is not None and stop >= start and life.status in (Status.STOPPED, Status.FAILED)
    end = stop if ended and stop is not None else now
    return max(0, round((end - start) * 1000))


def settings_as_shown(id: str, replication: Replication) -> str:
    """`ReplicationSettings`: with every default, and the names of its log once it ran."""
    config, life = replication.config, replication.life
    started = life.times.start is not None
    return settings_shown(
        config.settings,
        config.type,
        group=GROUP.format(id=id) if started else "",
        stream=ENGINE_STREAM.format(run=life.worker.run) if started and life.worker else "",
    )


def _named(home: Home, id: str, config: Config) -> dict[str, object]:
    return {
        "ReplicationConfigIdentifier": config.name,
        "ReplicationConfigArn": home.arn(Kind.REPLICATION, id),
        "SourceEndpointArn": home.arn(Kind.ENDPOINT, config.source),
        "TargetEndpointArn": home.arn(Kind.ENDPOINT, config.target),
        "ReplicationType": config.type,
    }


def _provision_data(provisioned: Provisioned) -> dict[str, object]:
    running = provisioned.state is Provision.PROVISIONED
    return {
        "ProvisionState": str(provisioned.state),
        "ProvisionedCapacityUnits": provisioned.units,
        "DateProvisioned": provisioned.at if running else None,
        "IsNewProvisioningAvailable": False,
    }
