"""What a request says of an endpoint: read, put together with what was said before, shown. (pure)

The address of an engine that we run (`ADDRESS`) is kept once, beside the engine's settings, however
it was given, and shown both there and in them, as AWS does: to change it in either place is to
change it.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeAlias

from engine.config.secret import Secret
from engine.control.api.faults import InvalidParameterCombinationException
from engine.control.api.wire import Shape, Structure, Text, service
from engine.control.sealing import is_sealed
from engine.control.translate.endpoint import ADDRESS
from engine.control.translate.names import ENGINES, NOT_RUN
from engine.control.translate.secrets import SECRET_MEMBERS

Members: TypeAlias = dict[str, Any]

APART: Final = frozenset({"Tags", "ResourceIdentifier", "EndpointArn", "ExactSettings"})
"""Members of requests that are none of the endpoint's own."""

SECRET_ID: Final = SECRET_MEMBERS[0]

CLEAR: Final[tuple[str, ...]] = ("ServerName", "Port", "Username", "Password")
"""What a secret that is kept elsewhere says, and nobody else beside it."""

SSL_MODE: Final = "none"
"""AWS's default."""


def structures() -> Mapping[str, Structure]:
    """The members that hold settings, by name."""
    members = service().operations["CreateEndpoint"].input.members
    return {name: shape for name, shape in members.items() if isinstance(shape, Structure)}


@cache
def secret_names() -> frozenset[str]:
    """Names of members that hold a secret, anywhere in an endpoint."""
    return frozenset(_secret_names(service().operations["CreateEndpoint"].input))


def _secret_names(shape: Structure) -> Iterator[str]:
    for name, member in shape.members.items():
        if isinstance(member, Structure):
            yield from _secret_names(member)
        elif isinstance(member, Text) and member.secret:
            yield name


def of_request(operation: str, request: Mapping[str, Any]) -> Members:
    """The members that a request gives, its secrets as such."""
    shape = service().operations[operation].input
    own = {name: value for name, value in request.items() if name not in APART}
    members: Members = _hidden(own, shape)
    if "EngineName" in members:
        members["EngineName"] = str(members["EngineName"]).lower()
    return members


def _hidden(value: Any, shape: Shape) -> Any:
    if isinstance(shape, Structure):
        return {name: _hidden(inner, shape.members[name]) for name, inner in value.items()}
    return Secret(value) if isinstance(shape, Text) and shape.secret else value


def gathered(members: Members, engine: str) -> Members:
    """With the address beside the settings alone.

    Raises InvalidParameterCombinationException where it is given twice, and not the same.
    """
    if engine not in ENGINES:
        return members
    name = ENGINES[engine].settings
    settings = dict(members.get(name, {}))
    address = {member: settings.pop(member) for member in ADDRESS if member in settings}
    for member, value in address.items():
        if members.get(member, value) != value:
            raise InvalidParameterCombinationException(
                f"{member} and {name}.{member} are both provided, and differ: they are one thing."
            )
    return {**members, **address, **({name: settings} if name in members else {})}


def created(members: Members) -> Members:
    """Without what is blank."""
    return {name: value for name, value in members.items() if not _blank(value)}


def modified(before: Members, changes: Members, *, exact: bool) -> Members:
    """What was there with changes made to it: what is blank is taken away, settings replace those
    of the same name, or with `exact` all of that structure. Of an address and a secret that is kept
    elsewhere the one that is given stays."""
    after = dict(before)
    for name, value in changes.items():
        if isinstance(value, Mapping):
            after[name] = dict(value) if exact else {**before.get(name, {}), **value}
        else:
            after[name] = value
    _turn(after, changes)
    _leave_engine(after, before)
    return created(after)


def _turn(after: Members, changes: Members) -> None:
    """A secret in the place of an address, or the other way round."""
    if any(SECRET_ID in value for value in changes.values() if isinstance(value, Mapping)):
        for name in CLEAR:
            if name not in changes:
                after.pop(name, None)
    elif any(name in changes for name in CLEAR):
        for name, value in after.items():
            if isinstance(value, Mapping) and not is_sealed(value):
                after[name] = {n: v for n, v in value.items() if n not in SECRET_MEMBERS}


def _leave_engine(after: Members, before: Members) -> None:
    """Settings of an engine that it is no longer of."""
    old, new = (ENGINES.get(str(members.get("EngineName"))) for members in (before, after))
    if old is not None and (new is None or new.settings != old.settings):
        after.pop(old.settings, None)


def _blank(value: Any) -> bool:
    text = value.reveal() if isinstance(value, Secret) else value
    return isinstance(text, str | Mapping) and not text


def texts(members: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Every text that is no secret, with its place."""
    for name, value in members.items():
        if isinstance(value, str):
            yield f"{place}{name}", value
        elif isinstance(value, Mapping) and not is_sealed(value):
            yield from texts(value, f"{place}{name}.")


def shown(members: Members) -> Members:
    """As AWS answers them: nothing that is secret, the address in both places, the side in
    capitals."""
    found = _open(members)
    engine = ENGINES.get(str(members.get("EngineName")))
    if engine is not None:
        address = {name: found[name] for name in ADDRESS if name in found}
        found[engine.settings] = {**address, **found.get(engine.settings, {})}
    return {
        **found,
        "EndpointType": str(members.get("EndpointType", "")).upper(),
        "EngineDisplayName": engine.title if engine else NOT_RUN.get(str(found["EngineName"])),
        "SslMode": found.get("SslMode", SSL_MODE),
    }


def _open(members: Mapping[str, Any]) -> Members:
    """Without secrets, sealed or not."""
    return {
        name: _open(value) if isinstance(value, Mapping) else value
        for name, value in members.items()
        if not isinstance(value, Secret) and not is_sealed(value)
    }
