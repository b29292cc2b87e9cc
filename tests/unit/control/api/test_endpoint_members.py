"""What requests say of endpoints, put together, judged and shown."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.addresses import USUAL
from engine.config.secret import Secret
from engine.control.api.endpoint_members import (
    Members,
    created,
    gathered,
    modified,
    of_request,
    secret_names,
    shown,
    structures,
    texts,
)
from engine.control.api.endpoint_rules import check
from engine.control.api.faults import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
)
from engine.control.api.wire import service
from engine.control.sealing import is_sealed, open_secrets, seal_secrets
from engine.control.translate.endpoint import ADDRESS
from engine.control.translate.names import ENGINES, NOT_RUN
from engine.control.vault import Key, Vault
from tests.unit.control.api.samples import operation, sample

CANARY: Final = "s3cr3t-c4n4ry"
VAULT: Final = Vault([Key.make()])
POSTGRES: Final[Members] = {
    "EndpointIdentifier": "shop",
    "EndpointType": "source",
    "EngineName": "postgres",
}

words = st.sampled_from(["", "a", "b"])
numbers = st.integers(1, 3)
places = st.fixed_dictionaries(
    {},
    optional={
        "ServerName": words,
        "Port": numbers,
        "DatabaseName": words,
        "Username": words,
        "Password": words.map(Secret),
    },
)
settings = places.flatmap(
    lambda place: st.fixed_dictionaries(
        {}, optional={"SlotName": words, "MaxFileSize": numbers}
    ).map(lambda own: {**place, **own})
)
changes = st.fixed_dictionaries(
    {}, optional={"PostgreSQLSettings": settings, "ExtraConnectionAttributes": words}
)


def all_of(members: Mapping[str, Any]) -> Iterator[Any]:
    for value in members.values():
        yield value
        if isinstance(value, Mapping):
            yield from all_of(value)


def test_whatever_the_model_calls_secret_is_one_and_is_not_shown() -> None:
    request = sample(operation("CreateEndpoint").input_shape)
    for name in structures():
        for secret in secret_names() & request[name].keys():
            request[name][secret] = CANARY
    request["Password"] = CANARY
    members = of_request("CreateEndpoint", request)
    secrets = [value for value in all_of(members) if isinstance(value, Secret)]
    assert len(secrets) == 16
    assert {secret.reveal() for secret in secrets} == {CANARY}
    assert CANARY not in str(members)
    sealed = seal_secrets(VAULT, "endpoint/A/members", members)
    assert CANARY not in str(sealed)
    assert sum(map(is_sealed, all_of(sealed))) == len(secrets)
    assert open_secrets(VAULT, "endpoint/A/members", sealed) == members
    for each in (members, sealed):
        answer = shown({**each, "EngineName": "oracle"})
        assert CANARY not in str(answer)
        assert "sealed" not in str(answer)
        for name, shape in structures().items():
            assert answer[name].keys() == shape.members.keys() - secret_names()


def test_what_is_shown_fits_the_model() -> None:
    output = service().operations["CreateEndpoint"].output.members["Endpoint"]
    request = sample(operation("CreateEndpoint").input_shape)
    for engine in (*ENGINES, *NOT_RUN):
        answer = shown({**of_request("CreateEndpoint", request), "EngineName": engine})
        assert answer.keys() <= output.members.keys()  # type: ignore[union-attr]
        assert answer["EngineDisplayName"]


@given(places, settings)
def test_an_address_is_kept_once_and_shown_twice(place: Members, own: Members) -> None:
    given = {**POSTGRES, **place, "PostgreSQLSettings": own}
    differs = any(name in place and place[name] != own[name] for name in own.keys() & set(ADDRESS))
    if differs:
        with pytest.raises(InvalidParameterCombinationException):
            gathered(given, "postgres")
        return
    members = created(gathered(given, "postgres"))
    assert not members.get("PostgreSQLSettings", {}).keys() & set(ADDRESS)
    answer = shown(members)
    for name in set(ADDRESS) - {"Password"}:
        assert answer.get(name) == answer["PostgreSQLSettings"].get(name)
        assert (name in answer) == bool({**place, **own}.get(name))


@given(changes, changes)
def test_changes_add_up(first: Members, second: Members) -> None:
    """To change one thing after another is to change both at once, and nothing is changed twice."""

    def change(before: Members, changes: Members) -> Members:
        return modified(before, gathered(changes, "postgres"), exact=False)

    both = {**first, **second}
    inner = {**first.get("PostgreSQLSettings", {}), **second.get("PostgreSQLSettings", {})}
    if inner:
        both["PostgreSQLSettings"] = inner
    one = change(change(POSTGRES, first), second)
    assert change(one, second) == one
    assert change(POSTGRES, both) == one


@given(changes, changes)
def test_exact_settings_leave_nothing_of_what_was(first: Members, second: Members) -> None:
    before = modified(POSTGRES, gathered(first, "postgres"), exact=False)
    after = modified(before, gathered(second, "postgres"), exact=True)
    own = second.get("PostgreSQLSettings")
    kept = before.get("PostgreSQLSettings", {}) if own is None else own
    wanted = {name: value for name, value in kept.items() if name not in ADDRESS}
    assert after.get("PostgreSQLSettings", {}) == wanted


def test_texts_have_their_places() -> None:
    members = {"A": "x", "S": {"B": "y", "C": 1, "P": Secret(CANARY)}, "Q": {"$sealed": "z"}}
    assert dict(texts(members)) == {"A": "x", "S.B": "y"}


@given(st.dictionaries(st.sampled_from(["ServerName", "DatabaseName", "Username"]), st.text()))
def test_any_text_is_taken_or_refused(place: Members) -> None:
    members = created({**POSTGRES, **place})
    with contextlib.suppress(InvalidParameterValueException):
        check(members, USUAL)


@pytest.mark.parametrize("engine", [*ENGINES, *NOT_RUN])
def test_every_engine_of_the_model_is_one(engine: str) -> None:
    check({**POSTGRES, "EngineName": engine}, USUAL)
