"""What the daemon says it has to offer: versions, classes, engines, settings, maintenance."""

from pathlib import Path

from engine.control.api.arn import Kind
from engine.control.resources.instance import CLASS_GIB, KIND
from engine.control.translate.names import ENGINES
from engine.version import VERSION
from tests.integration.control.api.asking import arn, pages, put, refused
from tests.integration.control.api.daemon import READER, serving


async def test_one_version_is_offered_the_one_that_runs(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        answer = await daemon.call("describe_engine_versions", READER)
    (version,) = answer["EngineVersions"]
    assert (version["Version"], version["Lifecycle"]) == (VERSION, "DEFAULT_VERSION")


async def test_every_class_that_an_instance_may_have_can_be_ordered(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        found = await pages(
            daemon,
            "describe_orderable_replication_instances",
            "OrderableReplicationInstances",
            MaxRecords=20,
        )
    assert [each["ReplicationInstanceClass"] for each in found] == sorted(CLASS_GIB)
    assert {each["EngineVersion"] for each in found} == {VERSION}


async def test_engines_are_offered_on_both_sides_with_what_aws_calls_them(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        answer = await daemon.call("describe_endpoint_types", READER)
        rows = answer["SupportedEndpointTypes"]
        assert len(rows) == 2 * len(ENGINES)
        assert all(row["SupportsCDC"] for row in rows)
        named = {row["EngineName"]: row["EngineDisplayName"] for row in rows}
        assert named["aurora"] == "Amazon Aurora MySQL"
        filtered = [
            {"Name": "engine-name", "Values": ["MySQL", "oracle"]},
            {"Name": "endpoint-type", "Values": ["target"]},
        ]
        answer = await daemon.call("describe_endpoint_types", Filters=filtered)
        (row,) = answer["SupportedEndpointTypes"]
        assert (row["EngineName"], row["EndpointType"]) == ("mysql", "target")
        filtered = [{"Name": "engine-name", "Values": ["oracle"]}]
        answer = await daemon.call("describe_endpoint_types", Filters=filtered)
        assert answer["SupportedEndpointTypes"] == []


async def test_the_settings_of_an_engine_come_by_pages(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        answer = await daemon.call("describe_endpoint_settings", EngineName="postgres")
        rows = answer["EndpointSettings"]
        (frequency,) = [row for row in rows if row["Name"] == "HeartbeatFrequency"]
        assert frequency == {
            "Name": "HeartbeatFrequency",
            "Type": "integer",
            "Sensitive": False,
            "Units": "minutes",
            "Applicability": "source endpoints",
            "IntValueMin": 1,
            "IntValueMax": 1440,
            "DefaultValue": "5",
        }
        found = await pages(
            daemon,
            "describe_endpoint_settings",
            "EndpointSettings",
            EngineName="aurora-postgresql",
            MaxRecords=10,
        )
        assert found == rows
        with refused("InvalidParameterValueException", "Oracle (oracle) is not run"):
            await daemon.call("describe_endpoint_settings", EngineName="oracle")
        with refused("InvalidParameterValueException", "did you mean 'mysql'"):
            await daemon.call("describe_endpoint_settings", EngineName="mysq")


async def test_nothing_is_ever_pending_on_an_instance_that_is_there(tmp_path: Path) -> None:
    apply = "apply_pending_maintenance_action"
    there, gone = arn(Kind.INSTANCE, "AAAA"), arn(Kind.INSTANCE, "BBBB")
    async with serving(tmp_path) as daemon:
        await put(daemon, KIND, "AAAA")
        for params in ({}, {"ReplicationInstanceArn": there}):
            answer = await daemon.call("describe_pending_maintenance_actions", READER, **params)
            assert answer["PendingMaintenanceActions"] == []
        with refused("ResourceNotFoundFault", gone):
            await daemon.call("describe_pending_maintenance_actions", ReplicationInstanceArn=gone)
        filtered = [{"Name": "replication-instance-id", "Values": ["penstock", "nobody"]}]
        with refused("ResourceNotFoundFault", "nobody"):
            await daemon.call("describe_pending_maintenance_actions", Filters=filtered)
        for name, said in ((there, "No os-patch is pending"), (gone, "not found")):
            with refused("ResourceNotFoundFault", said):
                await daemon.call(
                    apply,
                    ReplicationInstanceArn=name,
                    ApplyAction="os-patch",
                    OptInType="immediate",
                )
        with refused("InvalidParameterValueException", "OptInType"):
            await daemon.call(
                apply, ReplicationInstanceArn=there, ApplyAction="os-patch", OptInType="soon"
            )
