"""The coverage page is what the model and the operations say, and what they say is of the model."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from engine.control.api.call import collect
from engine.control.api.coverage import TABLES, Fate, members, page, told
from engine.control.api.served import modules, served
from engine.control.api.unserved import REASONS, why_unserved
from engine.control.api.wire import Several, Shape, Structure, service

PAGE = Path(__file__).parents[4] / "docs" / "dms-api-coverage.md"


def paths(shape: Shape, where: str = "") -> Iterator[str]:
    if isinstance(shape, Several):
        yield from paths(shape.item, where)
    elif isinstance(shape, Structure):
        for name, inner in shape.members.items():
            path = f"{where}.{name}" if where else name
            yield path
            yield from paths(inner, path)


def test_the_page_is_what_the_operations_say() -> None:
    assert PAGE.read_text() == page(), (
        "run python -m engine.control.api.coverage docs/dms-api-coverage.md"
    )


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__.split(".")[-1])
def test_what_a_module_says_of_members_is_said_of_members_of_its_operations(
    module: ModuleType,
) -> None:
    names = collect(module).keys()
    known = {*names}
    for name in names:
        every = set(paths(service().operations[name].input))
        known |= every | {f"{name}.{path}" for path in every}
    for table in TABLES:
        assert told(module, table).keys() <= known
        assert not any(why.endswith(".") for why in told(module, table).values())


def test_every_operation_is_served_or_has_its_reason() -> None:
    unserved = service().operations.keys() - served().keys()
    assert not {name for name in served() if why_unserved(name)}
    assert not {name for name in unserved if not why_unserved(name)}
    for part in REASONS:
        assert any(part in name for name in unserved), part


def test_members_have_the_fate_of_what_they_are_in_but_for_their_own() -> None:
    fates = {member.path: member for member in members("AddTagsToResource")}
    assert fates["ResourceArn"].fate is Fate.HONOURED
    assert fates["Tags"].fate is Fate.HONOURED
    assert fates["Tags.ResourceArn"].fate is Fate.NO_EFFECT
    assert "Tags.Key" not in fates
    assert {member.fate for member in members("CreateReplicationSubnetGroup")} == {
        Fate.HONOURED,
        Fate.NO_EFFECT,
    }
