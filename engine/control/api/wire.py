"""AWS's published model of the DMS API, as our own small shapes.

The model comes with botocore as data; this is the only module that knows it. Its half a megabyte,
most of them prose, are read once and let go: what stays is the shape of each request and answer.
No shape of the model holds itself, so shapes are plain trees.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

from botocore.loaders import Loader
from botocore.model import ListShape, ServiceModel, StructureShape
from botocore.model import Shape as ModelShape

SERVICE: Final = "dms"
"""Directory of the model, and the name of the service in a signature."""

INTEGER_BITS: Final = {"integer": 32, "long": 64}

UNTOLD: Final[Mapping[str, tuple[str, ...]]] = {
    "SourceType": ("replication-task", "endpoint", "replication"),
}
"""Values of an enumeration, by its name, that its model does not have. Of events AWS's reference
and its answers name tasks and endpoints too, and replications are ours to tell of."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string. `values` are the only ones it may have, if any are told; `length` is in
    characters, 0 for no limit."""

    values: tuple[str, ...] = ()
    length: int = 0
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Whole:
    """A signed integer of so many bits."""

    bits: int


@dataclass(frozen=True, slots=True)
class Fraction:
    """A number, double precision."""


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time: seconds since the epoch on the wire, a `datetime` in UTC inside."""


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes: base64 on the wire."""


@dataclass(frozen=True, slots=True)
class Several:
    """A list of one shape, of at least so many."""

    item: "Shape"
    least: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """Members by name. `alone` where exactly one of them is given (a union). Each is one of its
    own, so that what is made of it can be kept by it."""

    name: str
    members: Mapping[str, "Shape"]
    required: frozenset[str] = frozenset()
    alone: bool = False


Shape: TypeAlias = Text | Whole | Fraction | Flag | Moment | Blob | Several | Structure

_NOTHING: Final = Structure("Nothing", {})
"""What an operation without input or output takes and gives."""


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation as AWS models it. `faults` are the names of the errors it may answer."""

    name: str
    input: Structure
    output: Structure
    faults: frozenset[str]


@dataclass(frozen=True, slots=True)
class Service:
    """The whole model. `faults` are its exception shapes by name."""

    target: str
    operations: Mapping[str, Operation]
    faults: Mapping[str, Structure]


@cache
def service() -> Service:
    """The model of DMS, read from botocore's data on the first call."""
    model = ServiceModel(Loader().load_service_model(SERVICE, "service-2"), SERVICE)
    operations = {name: _operation(model.operation_model(name)) for name in model.operation_names}
    faults = {shape.name: _structure(shape) for shape in model.error_shapes}
    return Service(str(model.metadata["targetPrefix"]), operations, faults)


def _operation(model: Any) -> Operation:
    return Operation(
        name=model.name,
        input=_structure(model.input_shape) if model.input_shape else _NOTHING,
        output=_structure(model.output_shape) if model.output_shape else _NOTHING,
        faults=frozenset(shape.name for shape in model.error_shapes),
    )


def _structure(shape: StructureShape) -> Structure:
    return Structure(
        name=shape.name,
        members={name: _shape(member) for name, member in shape.members.items()},
        required=frozenset(shape.required_members),
        alone=bool(shape.is_tagged_union),
    )


def _shape(shape: ModelShape) -> Shape:
    match shape.type_name:
        case "structure":
            return _structure(shape)
        case "list":
            assert isinstance(shape, ListShape)
            return Several(_shape(shape.member), int(shape.metadata.get("min", 0)))
        case "string":
            facts = shape.metadata
            return Text(
                values=(*facts.get("enum", ()), *UNTOLD.get(shape.name, ())),
                length=int(facts.get("max", 0)),
                secret=bool(facts.get("sensitive", False)),
            )
        case "integer" | "long":
            return Whole(INTEGER_BITS[shape.type_name])
        case "double":
            return Fraction()
        case "boolean":
            return Flag()
        case "timestamp":
            return Moment()
        case "blob":
            return Blob()
    raise TypeError(f"the model of DMS has a shape of type {shape.type_name}, not known here")
