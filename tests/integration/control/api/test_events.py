from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from engine.control import happenings
from engine.control.happenings import CATEGORIES, Happening, SourceType
from tests.integration.control.api.asking import pages, refused
from tests.integration.control.api.daemon import READER, Daemon, serving


async def happen(daemon: Daemon, happening: Happening, source: SourceType, id: str) -> None:
    async with daemon.store.write() as writing:
        await writing.add_event(happening.event(source, id))


async def test_events_come_in_their_order_with_what_they_are_about(tmp_path: Path) -> None:
    began = datetime.now(UTC) - timedelta(seconds=1)
    async with serving(tmp_path) as daemon:
        await happen(daemon, happenings.CREATED, SourceType.REPLICATION, "Shop")
        await happen(daemon, happenings.FAILED, SourceType.REPLICATION, "Shop")
        answer = await daemon.call("describe_events", READER)
    assert "Marker" not in answer
    first, second = answer["Events"]
    assert first["Message"] == "DMS replication has been created."
    assert began <= first.pop("Date") <= second.pop("Date") <= datetime.now(UTC)
    assert second == {
        "SourceIdentifier": "Shop",
        "SourceType": "replication",
        "Message": "DMS replication has failed.",
        "EventCategories": ["failure"],
    }


async def test_events_are_found_by_source_category_and_time(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        await happen(daemon, happenings.CREATED, SourceType.REPLICATION, "a")
        await happen(daemon, happenings.FAILED, SourceType.REPLICATION, "b")
        await happen(daemon, happenings.INSTANCE_CREATED, SourceType.INSTANCE, "a")
        await happen(daemon, happenings.TASK_STARTED, SourceType.TASK, "a")

        async def found(**params: Any) -> list[tuple[str, str]]:
            answer = await daemon.call("describe_events", **params)
            return [(each["SourceType"], each["SourceIdentifier"]) for each in answer["Events"]]

        now = datetime.now(UTC)
        hour = timedelta(hours=1)
        every = await found()
        assert len(every) == 4
        assert await found(SourceIdentifier="a") == [every[0], *every[2:]]
        assert await found(SourceType="replication-task") == [("replication-task", "a")]
        assert await found(SourceType="Replication", SourceIdentifier="b") == [every[1]]
        assert await found(EventCategories=["creation", "Failure"]) == every[:3]
        assert await found(Duration=5) == every
        assert await found(StartTime=now - hour, Duration=120) == every
        assert await found(StartTime=now - 2 * hour, Duration=60) == []
        assert await found(EndTime=now + hour, Duration=120) == every
        assert await found(EndTime=now - hour) == []
        assert await found(StartTime=now - hour, EndTime=now + hour) == every
        instance = {"Name": "replication-instance-id", "Values": ["a"]}
        assert await found(Filters=[instance]) == [("replication-instance", "a")]
        assert await found(Filters=[instance], SourceType="replication-task") == []
        assert await found(Filters=[instance], SourceIdentifier="b") == []


async def test_what_no_event_can_be_is_refused(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with serving(tmp_path) as daemon:
        with refused("InvalidParameterValueException", "SourceType"):
            await daemon.call("describe_events", SourceType="security-group")
        with refused("InvalidParameterValueException", "state change"):
            await daemon.call("describe_events", EventCategories=["change of mind"])
        with refused("InvalidParameterValueException", "EventCategories"):
            await daemon.call(
                "describe_events", SourceType="replication-task", EventCategories=["failover"]
            )
        with refused("InvalidParameterValueException", "Duration"):
            await daemon.call("describe_events", Duration=0)
        with refused("InvalidParameterCombinationException", "StartTime"):
            await daemon.call("describe_events", StartTime=now, EndTime=now - timedelta(1))
        with refused("InvalidParameterCombinationException", "Duration"):
            await daemon.call("describe_events", StartTime=now, EndTime=now, Duration=1)
        with refused("InvalidParameterValueException", "one value"):
            filtered = {"Name": "replication-instance-id", "Values": ["a", "b"]}
            await daemon.call("describe_events", Filters=[filtered])


async def test_many_events_come_by_pages_and_new_ones_at_their_end(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        for number in range(45):
            await happen(daemon, happenings.MODIFIED, SourceType.REPLICATION, f"r{number}")
        first = await daemon.call("describe_events", MaxRecords=20, Duration=60)
        await happen(daemon, happenings.MODIFIED, SourceType.REPLICATION, "r45")
        rest = await pages(
            daemon, "describe_events", "Events", first["Marker"], MaxRecords=20, Duration=60
        )
    names = [event["SourceIdentifier"] for event in (*first["Events"], *rest)]
    assert names == [f"r{number}" for number in range(46)]


async def test_the_categories_of_each_source_are_told(tmp_path: Path) -> None:
    async with serving(tmp_path) as daemon:
        answer = await daemon.call("describe_event_categories")
        groups = {
            group["SourceType"]: set(group["EventCategories"])
            for group in answer["EventCategoryGroupList"]
        }
        assert groups == {str(source): set(found) for source, found in CATEGORIES.items()}
        answer = await daemon.call("describe_event_categories", SourceType="replication-task")
        (group,) = answer["EventCategoryGroupList"]
        assert group["EventCategories"] == [
            "configuration change",
            "creation",
            "deletion",
            "failure",
            "state change",
        ]
        with refused("InvalidParameterValueException", "replication-task"):
            await daemon.call("describe_event_categories", SourceType="everything")
