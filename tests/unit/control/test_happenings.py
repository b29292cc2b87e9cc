from engine.control import happenings
from engine.control.api.arn import Home, Kind, parse
from engine.control.api.wire import Text, service
from engine.control.happenings import CATEGORIES, STEPS, Happening, SourceType
from engine.control.lifecycle import Status
from engine.control.resources import kinds

EVERY = [value for value in vars(happenings).values() if isinstance(value, Happening)]


def test_every_happening_is_of_a_category_that_its_kind_of_source_is_said_to_have() -> None:
    of_replications = {Status(status) for status in STEPS}
    assert of_replications == set(Status) - {Status.CREATED}
    for happening in (*EVERY, *STEPS.values()):
        assert any(happening.category in found for found in CATEGORIES.values())
        assert happening.text.endswith((".", ":"))


def test_an_event_holds_the_number_where_aws_has_one() -> None:
    event = happenings.FAILED.event(SourceType.REPLICATION, "Shop", "The target is gone.")
    assert event.message == "DMS replication has failed. The target is gone."
    assert (event.categories, event.document) == (("failure",), {"id": "DMS-EVENT-0078"})
    assert happenings.RUNNING.event(SourceType.REPLICATION, "Shop").document == {}


def test_every_source_of_events_may_be_asked_for_and_answered() -> None:
    shape = service().operations["DescribeEvents"].input.members["SourceType"]
    assert isinstance(shape, Text)
    assert set(shape.values) == set(SourceType)


def test_each_type_of_an_arn_has_its_kind_of_record() -> None:
    unrecorded = {Kind.ASSESSMENT_RUN, Kind.INDIVIDUAL_ASSESSMENT}
    assert kinds.OF_ARN.keys() == set(Kind) - unrecorded
    kept = [(place.kind, *place.fields.items()) for place in kinds.OF_ARN.values()]
    assert len(set(kept)) == len(kept)


def test_a_subnet_group_with_a_space_has_an_arn_that_is_read() -> None:
    arn = parse(Home().arn(Kind.SUBNET_GROUP, "my group.1"))
    assert arn is not None
    assert arn.name == "my group.1"
    assert parse(Home().arn(Kind.SUBNET_GROUP, "my group ")) is None
