"""Sample requests and answers of every operation, drawn from botocore's own reading of the model:
nothing here knows our shapes."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, Final

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

MODEL: Final = ServiceModel(Loader().load_service_model("dms", "service-2"), "dms")
OPERATIONS: Final = tuple(MODEL.operation_names)

Path = tuple[str | int, ...]

MOMENT: Final = datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=UTC)

LEAVES: Final[Mapping[str, Any]] = {
    "integer": 2_147_483_647,
    "long": -9_223_372_036_854_775_808,
    "double": 0.5,
    "boolean": True,
    "timestamp": MOMENT,
    "blob": b"\x00\xff wallet",
}


def operation(name: str) -> OperationModel:
    return MODEL.operation_model(name)


def sample(shape: Shape | None, toward: Path | None = None) -> Any:
    """A value with every member there is; of a union, its first. With `toward`, only the members
    on the way there and the required ones."""
    if shape is None:
        return {}
    if shape.type_name == "structure":
        members = list(shape.members.items())
        chosen = members[:1] if shape.metadata.get("union") else members
        if toward is None:
            return {name: sample(member) for name, member in chosen}
        step, rest = toward[:1], toward[1:]
        return {
            name: sample(member, rest if (name,) == step else ())
            for name, member in chosen
            if (name,) == step or name in shape.required_members or shape.metadata.get("union")
        }
    if shape.type_name == "list":
        one = sample(shape.member, toward[1:] if toward else toward)
        return [one, one] if toward is None else [one]
    if shape.type_name == "string":
        values = shape.metadata.get("enum")
        return values[-1] if values else 'text "with" \u00e4\u2028'
    return LEAVES[shape.type_name]


def request_body(name: str, params: Mapping[str, Any]) -> bytes:
    """What botocore's client would send."""
    serializer = create_serializer("json", include_validation=False)
    body: bytes = serializer.serialize_to_request(params, operation(name))["body"]
    return body


def read_answer(name: str, body: bytes) -> dict[str, Any]:
    """What botocore's client makes of an answer."""
    response = {"body": body, "headers": {}, "status_code": 200}
    parsed: dict[str, Any] = create_parser("json").parse(response, operation(name).output_shape)
    parsed.pop("ResponseMetadata")
    return parsed


def members(shape: Shape | None, path: Path = ()) -> Iterator[tuple[Path, Shape, bool]]:
    """Every member of a sample: its path, its shape, and whether it is required."""
    if shape is None:
        return
    if shape.type_name == "list":
        yield from members(shape.member, (*path, 0))
        if shape.member.type_name != "structure":
            yield (*path, 0), shape.member, False
    elif shape.type_name == "structure":
        found = list(shape.members.items())
        for name, member in found[:1] if shape.metadata.get("union") else found:
            yield (*path, name), member, name in shape.required_members
            yield from members(member, (*path, name))


def changed(document: Any, path: Path, value: Any) -> Any:
    """The document with another value at a path; `...` takes the member away."""
    document = deepcopy(document)
    place = document
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return document
