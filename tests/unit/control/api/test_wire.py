"""The wire against botocore, which serialises what we read and reads what we write: every shape of
every operation of AWS's model, whether it is served or not."""

import re
from typing import Any

import orjson
import pytest

from engine.config.limits import Limits
from engine.control.api import faults
from engine.control.api.faults import (
    Fault,
    InvalidParameterValueException,
    SerializationException,
    UnknownAddressException,
)
from engine.control.api.reading import parse
from engine.control.api.wire import Structure, Text, service
from engine.control.api.writing import AnswerError, answer
from tests.unit.control.api.samples import (
    MODEL,
    MOMENT,
    OPERATIONS,
    Path,
    changed,
    members,
    operation,
    read_answer,
    request_body,
    sample,
)
from tests.unit.control.api.wrong import WRONG

LIMITS = Limits()


def read(name: str, document: Any) -> dict[str, Any]:
    return parse(orjson.dumps(document), service().operations[name].input, LIMITS)


def wire(name: str, path: Path) -> Any:
    """A small request of an operation that reaches a member, as JSON."""
    return orjson.loads(request_body(name, sample(operation(name).input_shape, path)))


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_request_with_every_member_is_read_as_botocore_meant_it(name: str) -> None:
    params = sample(operation(name).input_shape)
    assert parse(request_body(name, params), service().operations[name].input, LIMITS) == params


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_answer_with_every_member_reaches_botocore_whole(name: str) -> None:
    given = sample(operation(name).output_shape)
    assert read_answer(name, answer(given, service().operations[name].output)) == given


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_required_member_that_is_missing_null_or_blank_is_refused_by_name(name: str) -> None:
    for path, shape, required in members(operation(name).input_shape):
        if required:
            document = wire(name, path)
            for value in (..., None, *([""] if shape.type_name == "string" else [])):
                with pytest.raises(InvalidParameterValueException) as refused:
                    read(name, changed(document, path, value))
                assert str(path[-1]) in refused.value.message
                assert "must be provided and must not be blank" in refused.value.message


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_value_outside_an_enumeration_is_refused_with_those_in_it(name: str) -> None:
    for path, shape, _ in members(operation(name).input_shape):
        values = shape.metadata.get("enum")
        if values:
            document = wire(name, path)
            assert read(name, changed(document, path, values[0].swapcase()))
            with pytest.raises(InvalidParameterValueException) as refused:
                read(name, changed(document, path, "no-such-value"))
            assert values[-1] in refused.value.message
            assert "no-such-value" not in refused.value.message


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_member_of_another_type_is_refused(name: str) -> None:
    for path, shape, _ in members(operation(name).input_shape):
        document = wire(name, path)
        for value in WRONG[shape.type_name]:
            with pytest.raises(SerializationException):
                read(name, changed(document, path, value))


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_member_of_an_answer_of_another_type_is_our_defect(name: str) -> None:
    output = service().operations[name].output
    for path, shape, _ in members(operation(name).output_shape):
        given = sample(operation(name).output_shape, path)
        value: Any = 5 if shape.type_name in {"string", "blob", "list", "structure"} else "text"
        with pytest.raises(AnswerError, match=re.escape(str(path[-1]))):
            answer(changed(given, path, value), output)


@pytest.mark.parametrize(
    ("answered", "complaint"),
    [
        ({"Unknown": 1}, "has no member Unknown"),
        ({"Replications": [{"ProvisionData": {"ProvisionedCapacityUnits": True}}]}, "is a bool"),
        (
            {"Replications": [{"ProvisionData": {"ProvisionedCapacityUnits": 2**31}}]},
            "does not fit 32",
        ),
        ({"Replications": [{"ReplicationCreateTime": MOMENT.replace(tzinfo=None)}]}, "no zone"),
    ],
)
def test_an_answer_that_the_model_does_not_have_is_our_defect(
    answered: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(AnswerError, match=complaint):
        answer(answered, service().operations["DescribeReplications"].output)


def test_what_an_answer_does_not_say_is_absent() -> None:
    output = service().operations["DescribeReplications"].output
    assert answer({"Marker": None, "Replications": []}, output) == b'{"Replications":[]}'


def test_null_is_absent_and_an_unknown_member_is_passed_over() -> None:
    document = {
        "MaxRecords": None,
        "Filters": [None, {"Name": "a", "Values": ["b", None]}],
        "Invented": {"deeply": [1]},
    }
    assert read("DescribeReplications", document) == {"Filters": [{"Name": "a", "Values": ["b"]}]}


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (1770091506.789, MOMENT),
        ("2026-02-03T04:05:06.789Z", MOMENT),
        ("2026-02-03T06:05:06.789+02:00", MOMENT),
        ("2026-02-03T04:05:06.789", MOMENT),
        (1770091506, MOMENT.replace(microsecond=0)),
    ],
)
def test_a_time_is_seconds_or_iso_text_in_utc(sent: object, meant: object) -> None:
    document = {"ReplicationConfigArn": "a", "StartReplicationType": "b", "CdcStartTime": sent}
    assert read("StartReplication", document)["CdcStartTime"] == meant


@pytest.mark.parametrize(
    "body",
    [b"{", b"hi", b'{"a":1,}', b"{} {}", b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"a":NaN}', b"1"],
)
def test_a_body_that_is_no_json_object_is_refused_without_quoting_it(body: bytes) -> None:
    with pytest.raises(SerializationException) as refused:
        parse(body, service().operations["CreateEndpoint"].input, LIMITS)
    assert "ud800" not in refused.value.message


def test_a_list_in_the_place_of_a_request_is_refused_in_the_words_of_aws() -> None:
    with pytest.raises(SerializationException, match=r"^Start of list found where not expected$"):
        read("CreateEndpoint", [])


def test_an_empty_body_asks_for_everything() -> None:
    assert parse(b"", service().operations["DescribeReplications"].input, LIMITS) == {}


def test_depth_and_number_of_values_are_bounded_even_in_unknown_members() -> None:
    limits = Limits(json_depth=5, json_values=50)
    shape = service().operations["DescribeReplications"].input
    assert parse(b'{"a":[[[1]]]}', shape, limits) == {}
    with pytest.raises(SerializationException, match="deeper than 5 levels"):
        parse(b'{"a":[[[[1]]]]}', shape, limits)
    assert parse(orjson.dumps({"a": [0] * 48}), shape, limits) == {}
    with pytest.raises(SerializationException, match="more than 50 values"):
        parse(orjson.dumps({"a": [0] * 49}), shape, limits)
    with pytest.raises(SerializationException):
        parse(b"[" * 100_000, shape, limits)


def test_a_text_is_bounded_where_the_model_says_so_and_holds_no_nul() -> None:
    assert read("DescribeDataMigrations", {"Marker": "a" * 1024})
    with pytest.raises(InvalidParameterValueException, match="length 1025 exceeds 1024"):
        read("DescribeDataMigrations", {"Marker": "a" * 1025})
    with pytest.raises(InvalidParameterValueException, match=r"Marker contains .* U\+0000"):
        read("DescribeReplications", {"Marker": "a\0b"})


def test_a_union_holds_exactly_one() -> None:
    settings = {
        "DataProviderName": "a",
        "Engine": "b",
        "Settings": {"MySqlSettings": {}, "OracleSettings": {}},
    }
    with pytest.raises(InvalidParameterValueException, match=r"Exactly one of .* in Settings"):
        read("CreateDataProvider", settings)


def modelled(fault: type[Fault]) -> bool:
    return fault.code in service().faults


def test_there_is_a_class_for_each_fault_of_the_model_with_its_members() -> None:
    known = {
        name: kind
        for name, kind in vars(faults).items()
        if isinstance(kind, type) and issubclass(kind, Fault) and kind is not Fault
    }
    assert {shape.name for shape in MODEL.error_shapes} <= known.keys()
    for name, kind in known.items():
        assert kind.code == name or kind is UnknownAddressException
        if modelled(kind):
            fault = kind("text", **({"resource_arn": "arn"} if "AlreadyExists" in name else {}))
            assert fault.body().keys() - {"__type"} == service().faults[name].members.keys()
            assert fault.status == 400


def test_passwords_are_known_as_secrets() -> None:
    shape = service().operations["CreateEndpoint"].input
    password = shape.members["Password"]
    assert isinstance(password, Text)
    assert password.secret
    settings = shape.members["PostgreSQLSettings"]
    assert isinstance(settings, Structure)
    assert settings.members["Password"] == Text(secret=True)
