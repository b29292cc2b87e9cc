"""What could be ordered: versions, and classes of instances. There is one version, the one that
runs; a class says how large the tasks of an instance may grow, on the machine that there is."""

from collections.abc import Mapping
from typing import Final

from engine.control.api.call import Call, operation
from engine.control.api.keys import Access
from engine.control.resources.instance import CLASS_GIB, Instance
from engine.version import VERSION

STORAGE_GB: Final = (5, 6_144)
"""AWS's bounds of `AllocatedStorage`, which is kept and shown: the disk is the machine's."""

STORAGE_TYPE: Final = "local"
"""Where changes overflow to: the daemon's own directory."""


@operation("DescribeEngineVersions", access=Access.READ)
async def describe_engine_versions(call: Call) -> Mapping[str, object]:
    """The version that runs. It is upgraded by whoever installs another one."""
    page = call.services.pages.asked(call.operation, call.request)
    version = {
        "Version": VERSION,
        "Lifecycle": "DEFAULT_VERSION",
        "ReleaseStatus": release(VERSION),
        "AvailableUpgrades": [],
    }
    return {"EngineVersions": [] if page.after else [version]}


@operation("DescribeOrderableReplicationInstances", access=Access.READ)
async def describe_orderable_replication_instances(call: Call) -> Mapping[str, object]:
    """AWS's classes by name."""
    page = call.services.pages.asked(call.operation, call.request)
    names = [name for name in sorted(CLASS_GIB) if name > page.after]
    shown, marker = call.services.pages.cut(page, names, str)
    least, most = STORAGE_GB
    usual = Instance(name="", size="").storage
    return {
        "Marker": marker,
        "OrderableReplicationInstances": [
            {
                "EngineVersion": VERSION,
                "ReplicationInstanceClass": name,
                "StorageType": STORAGE_TYPE,
                "MinAllocatedStorage": least,
                "MaxAllocatedStorage": most,
                "DefaultAllocatedStorage": usual,
                "IncludedAllocatedStorage": usual,
                "AvailabilityZones": [f"{call.services.home.region}a"],
                "ReleaseStatus": release(VERSION),
            }
            for name in shown
        ],
    }


def release(version: str) -> str:
    """`prod` from version 1 on."""
    return "beta" if version.startswith("0.") else "prod"
