"""Our `dataclass` against the standard library's: every class is made by both and compared."""

import ast
import dataclasses
from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import FrozenInstanceError, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest

from engine import dataclass as ours

ROOT: Final = Path(__file__).resolve().parents[2]

Decorator = Callable[..., Any]

BOTH: Final = pytest.mark.parametrize("dataclass", [ours.dataclass, dataclasses.dataclass])

OPTIONS: Final = [
    {"frozen": frozen, "slots": slots} for frozen in (False, True) for slots in (False, True)
]


def point(dataclass: Decorator, **options: bool) -> Any:
    @dataclass(**options)
    class Point:
        """A place."""

        x: int
        y: int = 7
        label: str = field(default="", compare=False, repr=False)
        tags: list[str] = field(default_factory=list[str])
        far: int = field(default=0, kw_only=True)
        seen: int = field(default=3, init=False)
        marks: list[int] = field(default_factory=list[int], init=False, compare=False)

    return Point


@BOTH
@pytest.mark.parametrize("options", OPTIONS)
def test_fields_defaults_and_text(dataclass: Decorator, options: dict[str, bool]) -> None:
    made = point(dataclass, **options)(1, tags=["a"], far=9)
    assert repr(made).endswith("Point(x=1, y=7, tags=['a'], far=9, seen=3, marks=[])")
    assert repr(made).startswith("point.<locals>.Point(")
    assert made.label == ""
    assert [one.name for one in fields(made)] == [
        *("x", "y", "label", "tags", "far", "seen", "marks")
    ]
    assert type(made).__match_args__ == ("x", "y", "label", "tags")
    assert hasattr(made, "__dict__") is not options["slots"]
    assert type(made)(1).tags is not type(made)(1).tags
    assert replace(made, y=8) == type(made)(1, 8, "other", ["a"], far=9)
    assert made.__init__.__qualname__.endswith("Point.__init__")


@BOTH
@pytest.mark.parametrize("options", OPTIONS)
def test_a_copy_is_equal(dataclass: Decorator, options: dict[str, bool]) -> None:
    made = point(dataclass, **options)(1, tags=["a"], far=9)
    for copied in (copy(made), deepcopy(made)):
        assert copied == made
        assert copied.marks == made.marks
    assert deepcopy(made).tags is not made.tags


@BOTH
@pytest.mark.parametrize("arguments", [(), (1, 2, "", [], 5), (1, 2, "", [], 5, 6)])
def test_wrong_arguments_are_refused(dataclass: Decorator, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError, match="__init__"):
        point(dataclass)(*arguments)


@BOTH
@pytest.mark.parametrize("options", OPTIONS)
def test_equal_are_those_of_one_class_with_equal_fields(
    dataclass: Decorator, options: dict[str, bool]
) -> None:
    one, other = point(dataclass, **options), point(dataclass, **options)
    assert one(1) == one(1, 7, "not compared")
    assert one(1) != one(2)
    assert one(1) != other(1)
    assert one(1) != 1


@BOTH
def test_what_is_frozen_is_hashed_by_its_fields_and_cannot_change(dataclass: Decorator) -> None:
    @dataclass(frozen=True, slots=True)
    class Name:
        text: str
        number: int = field(default=0, compare=False)

    assert hash(Name("a")) == hash(Name("a", 1)) == hash(("a",))
    assert {Name("a"): 1}[Name("a")] == 1
    name = Name("a")
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'text'"):
        name.text = "b"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'text'"):
        del name.text
    assert name == Name("a")


@BOTH
def test_what_is_not_frozen_has_no_hash_unless_it_is_its_own_identity(dataclass: Decorator) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(point(dataclass)(1))
    by_identity = point(dataclass, eq=False)
    assert by_identity(1) != by_identity(1)
    assert len({by_identity(1), by_identity(1)}) == 2


@BOTH
def test_methods_of_the_class_itself_stay(dataclass: Decorator) -> None:
    @dataclass(frozen=True)
    class Own:
        text: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Own) and self.text.lower() == other.text.lower()

        def __hash__(self) -> int:
            return 5

        def __repr__(self) -> str:
            return "own"

    @dataclass(frozen=True)
    class OwnEquality:  # noqa: PLW1641 - what is tested: it gets one
        text: str

        def __eq__(self, other: object) -> bool:
            return True

    assert Own("a") == Own("A")
    assert (hash(Own("a")), repr(Own("a"))) == (5, "own")
    assert OwnEquality("a") == OwnEquality("b")
    assert hash(OwnEquality("a")) == hash(("a",))


@BOTH
def test_a_class_builds_on_another(dataclass: Decorator) -> None:
    @dataclass(frozen=True, slots=True)
    class Base:
        x: int
        y: int = 1

    @dataclass(frozen=True, slots=True)
    class Derived(Base):
        z: int = 2
        sums: list[int] = field(default_factory=list[int])

        def __post_init__(self) -> None:
            self.sums.append(self.x + self.y + self.z)

    assert Derived(5).sums == [8]
    assert Derived(5, y=2) == Derived(5, 2, 2)
    assert Derived(5) != Base(5)
    assert not hasattr(Derived(5), "__dict__")


@BOTH
def test_a_frozen_class_keeps_what_it_computed(dataclass: Decorator) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Sized:
        text: str

        @cached_property
        def size(self) -> list[int]:
            return [len(self.text)]

    sized = Sized(text="abc")
    assert sized.size is sized.size == [3]


@BOTH
def test_one_that_holds_itself_can_be_shown(dataclass: Decorator) -> None:
    @dataclass
    class Loop:
        inner: Any = None

    loop = Loop()
    loop.inner = loop
    assert repr(loop).endswith("Loop(inner=...)")


def test_every_class_of_the_engine_and_the_connectors_is_made_by_it() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("engine", "connectors")
        for path in sorted((ROOT / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module == "dataclasses"
        and any(alias.name == "dataclass" for alias in node.names)
    ]
    assert [place.rpartition(":")[0] for place in found] == ["engine/dataclass.py"]
