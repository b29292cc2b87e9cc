"""Which systems an endpoint can be of, and which settings it can have: those that we run."""

from collections.abc import Mapping
from itertools import product
from typing import Any, Final

from engine.control.api.call import Call, operation
from engine.control.api.faults import InvalidParameterValueException
from engine.control.api.filters import filters
from engine.control.api.keys import Access
from engine.control.translate.names import ENGINES, Engine, engine_of
from engine.control.translate.setting_rows import setting_rows
from engine.errors import ConfigError

SIDES: Final = ("source", "target")


@operation("DescribeEndpointTypes", access=Access.READ)
async def describe_endpoint_types(call: Call) -> Mapping[str, object]:
    """A row for each engine and side, by name. Changes are read from every source."""
    page = call.services.pages.asked(call.operation, call.request)
    asked = filters(call.operation, call.request)
    rows = [
        _type(ENGINES[name], side)
        for name, side in product(sorted(ENGINES), SIDES)
        if _takes(asked, "engine-name", name)
        and _takes(asked, "endpoint-type", side)
        and _cursor_of(name, side) > page.after
    ]
    shown, marker = call.services.pages.cut(page, rows, _cursor)
    return {"Marker": marker, "SupportedEndpointTypes": shown}


@operation("DescribeEndpointSettings", access=Access.READ)
async def describe_endpoint_settings(call: Call) -> Mapping[str, object]:
    """The settings of an engine's endpoints, by name."""
    page = call.services.pages.asked(call.operation, call.request)
    try:
        engine = engine_of(call.request["EngineName"].lower())
    except ConfigError as error:
        raise InvalidParameterValueException(f"{error.message}; {error.hint}.") from None
    rows = [row for row in setting_rows(engine.family) if str(row["Name"]) > page.after]
    shown, marker = call.services.pages.cut(page, rows, lambda row: str(row["Name"]))
    return {"Marker": marker, "EndpointSettings": shown}


def _takes(asked: Mapping[str, tuple[str, ...]], name: str, value: str) -> bool:
    """Whether a filter, if there is one of this name, lets a value through, in any case."""
    return name not in asked or value in {wanted.lower() for wanted in asked[name]}


def _type(engine: Engine, side: str) -> Mapping[str, Any]:
    return {
        "EngineName": engine.name,
        "SupportsCDC": True,
        "EndpointType": side,
        "EngineDisplayName": engine.title,
    }


def _cursor(row: Mapping[str, Any]) -> str:
    return _cursor_of(row["EngineName"], row["EndpointType"])


def _cursor_of(engine: str, side: str) -> str:
    return f"{engine} {side}"
