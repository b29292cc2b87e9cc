"""The rules that operations share: ARNs, identifiers, tags, filters, pages."""

import re

import pytest

from engine.control.api.arn import Arn, Home, Kind, draw, parse
from engine.control.api.faults import (
    InvalidParameterValueException,
    ResourceNotFoundFault,
)
from engine.control.api.filters import IDENTIFIERS, NAMES, VALUES_MAX, filters
from engine.control.api.identifiers import (
    identifier,
    instance_identifier,
    resource_identifier,
    subnet_group_identifier,
    tag_key,
    tags,
)
from engine.control.api.paging import BOUNDS, GENERAL, Bounds, Pages
from engine.control.api.wire import service
from engine.seams import SystemRandom

HOME = Home()
NAME = "EAM3JEHXGBGZBPN5PLON7NPDEE"


@pytest.mark.parametrize("kind", Kind)
def test_an_arn_is_taken_apart_into_what_it_was_made_of(kind: Kind) -> None:
    text = Home("aws-cn", "cn-north-1", "123456789012").arn(kind, NAME)
    assert text == f"arn:aws-cn:dms:cn-north-1:123456789012:{kind}:{NAME}"
    assert parse(text) == Arn("aws-cn", "cn-north-1", "123456789012", kind, NAME)


@pytest.mark.parametrize(
    "text",
    [
        "",
        NAME,
        "arn:aws:dms:us-east-1:000000000000:endpoint",
        f"arn:aws:rds:us-east-1:000000000000:endpoint:{NAME}",
        f"arn:aws:dms::000000000000:endpoint:{NAME}",
        f"arn:aws:dms:us-east-1:123:endpoint:{NAME}",
        f"arn:aws:dms:us-east-1:000000000000:pump:{NAME}",
        "arn:aws:dms:us-east-1:000000000000:endpoint:a/../b",
        f"arn:aws:dms:us-east-1:000000000000:endpoint:{NAME}:more",
        f"arn:aws:dms:us-east-1:000000000000:endpoint:{NAME}\n",
        "arn:aws:dms:us-east-1:000000000000:endpoint:" + "a" * 256,
    ],
)
def test_what_is_no_arn_of_dms_is_refused_by_the_parameter(text: str) -> None:
    assert parse(text) is None
    with pytest.raises(InvalidParameterValueException, match="EndpointArn is not a valid ARN"):
        HOME.parse(text, Kind.ENDPOINT, parameter="EndpointArn")


def test_an_arn_of_another_type_is_refused_and_of_another_account_not_found() -> None:
    text = HOME.arn(Kind.TASK, NAME)
    assert HOME.name(text, Kind.TASK, Kind.ENDPOINT, parameter="ResourceArn") == NAME
    assert HOME.parse(text, parameter="ResourceArn").kind is Kind.TASK
    with pytest.raises(InvalidParameterValueException, match="endpoint"):
        HOME.parse(text, Kind.ENDPOINT, parameter="EndpointArn")
    for other in (Home(account="999999999999"), Home(region="eu-west-1"), Home("aws-cn")):
        with pytest.raises(ResourceNotFoundFault, match=re.escape(text)):
            other.parse(text, Kind.TASK, parameter="ReplicationTaskArn")


def test_a_drawn_name_is_as_aws_draws_it_and_may_begin_an_identifier() -> None:
    names = {draw(SystemRandom()) for _ in range(200)}
    assert len(names) == 200
    assert all(re.fullmatch("[A-Z][A-Z2-7]{25}", name) for name in names)


@pytest.mark.parametrize("value", ["a", "Shop-1", "a-b-c", "x" * 255])
def test_an_identifier_of_letters_digits_and_single_hyphens_is_taken(value: str) -> None:
    assert identifier(value, "EndpointIdentifier") == value


@pytest.mark.parametrize("value", ["", "1a", "-a", "a-", "a--b", "a_b", "a b", "\xe4", "a\n"])
def test_any_other_identifier_is_refused_in_the_words_of_dms(value: str) -> None:
    with pytest.raises(
        InvalidParameterValueException,
        match=r"^The parameter EndpointIdentifier is not a valid identifier\. Identifiers must",
    ):
        identifier(value, "EndpointIdentifier")


def test_each_identifier_has_its_length_and_case() -> None:
    assert instance_identifier("My-Instance") == "my-instance"
    assert subnet_group_identifier("My group.1") == "my group.1"
    assert resource_identifier("Example-App-ARN1") == "Example-App-ARN1"
    with pytest.raises(InvalidParameterValueException, match="length 32 exceeds 31"):
        resource_identifier("a" * 32)
    with pytest.raises(InvalidParameterValueException, match="length 64 exceeds 63"):
        instance_identifier("a" * 64)
    for value in ("Default", "", "a/b", "a" * 256):
        with pytest.raises(InvalidParameterValueException, match="SubnetGroupIdentifier"):
            subnet_group_identifier(value)


def test_tags_are_read_by_key_and_held_to_their_rules() -> None:
    assert tags([{"Key": "Größe (a)".replace(" (a)", ""), "Value": "x y@1"}, {"Key": "b"}]) == {
        "Größe": "x y@1",
        "b": "",
    }
    refused: list[dict[str, str]] = [
        {"Value": "a"},
        {"Key": "a" * 129},
        {"Key": "aws:a"},
        {"Key": "DMS:a"},
        {"Key": "a<b"},
        {"Key": "a", "Value": "b" * 257},
        {"Key": "a", "Value": "b;c"},
    ]
    for tag in refused:
        with pytest.raises(InvalidParameterValueException):
            tags([tag])
    with pytest.raises(InvalidParameterValueException, match="more than once"):
        tags([{"Key": "a"}, {"Key": "a"}])
    with pytest.raises(InvalidParameterValueException, match="at most 50 tags"):
        tags([{"Key": f"k{number}"} for number in range(51)])
    with pytest.raises(InvalidParameterValueException):
        tag_key("")


def filtered(operation: str, **values: list[str]) -> dict[str, tuple[str, ...]]:
    given = [{"Name": name.replace("_", "-"), "Values": found} for name, found in values.items()]
    return filters(operation, {"Filters": given})


def test_filters_are_values_by_name() -> None:
    assert filters("DescribeEndpoints", {}) == {}
    assert filtered("DescribeEndpoints", engine_name=["mysql", "oracle"], endpoint_id=["a"]) == {
        "engine-name": ("mysql", "oracle"),
        "endpoint-id": ("a",),
    }
    twice = [{"Name": "engine-name", "Values": [value, "b"]} for value in "ac"]
    assert filters("DescribeEndpoints", {"Filters": twice}) == {"engine-name": ("a", "b", "c")}


def test_a_filter_that_an_operation_does_not_know_is_refused_with_those_it_does() -> None:
    with pytest.raises(
        InvalidParameterValueException, match=r"migration-type.*replication-config-arn"
    ):
        filtered("DescribeReplicationConfigs", migration_type=["cdc"])
    with pytest.raises(InvalidParameterValueException, match="has: none"):
        filtered("DescribeEventCategories", a=["b"])
    with pytest.raises(InvalidParameterValueException) as refused:
        filters("DescribeEndpoints", {"Filters": [{"Name": "\x1b[31m", "Values": ["a"]}]})
    assert "\x1b" not in refused.value.message


def test_filters_have_values_not_too_many_and_identifiers_that_could_be_some() -> None:
    with pytest.raises(InvalidParameterValueException, match="endpoint-arn must have a value"):
        filtered("DescribeEndpoints", endpoint_arn=[])
    with pytest.raises(InvalidParameterValueException, match="Filter: replication-task-id is not"):
        filtered("DescribeReplicationTasks", replication_task_id=[HOME.arn(Kind.TASK, NAME)])
    with pytest.raises(InvalidParameterValueException, match="length 86 exceeds 63"):
        filtered("DescribeReplicationInstances", replication_instance_id=["a" * 86])
    many = [str(number) for number in range(VALUES_MAX)]
    assert filtered("DescribeEndpoints", engine_name=many)
    with pytest.raises(InvalidParameterValueException, match="more than 1000 values"):
        filtered("DescribeEndpoints", engine_name=[*many, "one more"])


def test_every_operation_with_filters_or_pages_is_one_of_the_model() -> None:
    operations = service().operations
    assert all("Filters" in operations[name].input.members for name in NAMES)
    assert all("MaxRecords" in operations[name].input.members for name in BOUNDS)
    assert set(IDENTIFIERS) <= set().union(*NAMES.values())


@pytest.mark.parametrize(
    ("operation", "bounds"),
    [
        ("DescribeEndpoints", GENERAL),
        ("DescribeCertificates", Bounds(10, 1, 100)),
        ("DescribeTableStatistics", Bounds(100, 20, 500)),
    ],
)
def test_a_page_is_within_the_bounds_of_its_operation(operation: str, bounds: Bounds) -> None:
    pages = Pages(b"key")
    assert pages.asked(operation, {}).limit == bounds.usual
    for limit in (bounds.least, bounds.most):
        assert pages.asked(operation, {"MaxRecords": limit}).limit == limit
    for limit in (bounds.least - 1, bounds.most + 1, 0, -1):
        with pytest.raises(
            InvalidParameterValueException,
            match=f"^Invalid value {limit} for MaxRecords. Must be between {bounds.least} and",
        ):
            pages.asked(operation, {"MaxRecords": limit})


def test_a_marker_leads_on_from_the_last_record_at_any_size_of_page() -> None:
    asked = {"Filters": [{"Name": "engine-name", "Values": ["mysql"]}], "MaxRecords": 20}
    marker = Pages(b"key").marker(Pages(b"key").asked("DescribeEndpoints", asked), "größe\0id")
    page = Pages(b"key").asked("DescribeEndpoints", {**asked, "MaxRecords": 50, "Marker": marker})
    assert (page.limit, page.after) == (50, "größe\0id")


def test_a_marker_is_good_for_nothing_else() -> None:
    pages = Pages(b"key")
    marker = pages.marker(pages.asked("DescribeEndpoints", {}), "last")
    others: list[tuple[Pages, str, dict[str, object]]] = [
        (pages, "DescribeReplications", {"Marker": marker}),
        (pages, "DescribeEndpoints", {"Marker": marker, "Filters": [{"Name": "a", "Values": []}]}),
        (Pages(b"other"), "DescribeEndpoints", {"Marker": marker}),
    ]
    made_up = ("a", "last", marker[:-4], "ü", marker[:-2] + "AA")
    others.extend((pages, "DescribeEndpoints", {"Marker": bad}) for bad in made_up)
    for other, operation, request in others:
        with pytest.raises(InvalidParameterValueException, match="Marker is not valid"):
            other.asked(operation, request)
