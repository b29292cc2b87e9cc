"""The fuzzer finds what it is there to find: faults planted in the compiled loops and in Python."""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from connectors._interchange import compiled
from connectors._interchange.build_compiled import SOURCE
from tests.fuzz import campaign
from tests.fuzz.campaign import Result, run
from tests.fuzz.child import decode, measured
from tests.fuzz.registry import targets
from tests.fuzz.sanitized import CHECKS, Build, NoSanitizerError, build
from tests.fuzz.target import Fuzzed

BOUNDS = "if (length > size - at)"


def planted(folder: Path, before: str, after: str, *, checked: bool = False) -> Build:
    """The compiled loops with one place of their source changed."""
    text = SOURCE.read_text()
    assert text.count(before) == 1
    source = folder / SOURCE.name
    source.write_text(text.replace(before, after))
    try:
        return build(source, folder, CHECKS if checked else ())
    except NoSanitizerError as error:
        pytest.skip(str(error))


def rows(build: Build, messages: int = 1500) -> Result:
    (result,) = run(messages, names=["pgoutput-rows"], build=build)
    return result


def test_a_process_that_dies_is_found_with_the_message_it_died_of(tmp_path: Path) -> None:
    result = rows(planted(tmp_path, BOUNDS, f"if (length > size) abort(); {BOUNDS}"))
    (failure,) = result.failures
    assert "died: -6" in failure.what
    assert failure.message == result.messages > 0
    assert failure.command.startswith("python -m tests.fuzz --target pgoutput-rows --seed 1 ")


def test_a_read_past_the_end_of_a_message_is_found(tmp_path: Path) -> None:
    result = rows(planted(tmp_path, BOUNDS, f"if (length > size - at + 8) {BOUNDS}", checked=True))
    assert "AddressSanitizer" in result.failures[0].what


def test_a_value_that_differs_from_pythons_is_found(tmp_path: Path) -> None:
    result = rows(planted(tmp_path, "key_only && !identity[i]", "key_only && identity[i]"))
    assert "they part" in result.failures[0].what


def test_a_message_that_is_never_done_with_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign, "HANG_SECONDS", 5.0)
    result = rows(planted(tmp_path, BOUNDS, f"while (length > size) ; {BOUNDS}"))
    assert "no progress" in result.failures[0].what


def numbers(random: Random) -> Iterator[int]:
    while True:
        yield random.randrange(1000)


def fuzzed(read: object) -> Fuzzed[int]:
    return Fuzzed(
        name="planted",
        generate=numbers,
        decode=read,  # type: ignore[arg-type]
        errors=(ValueError,),
        weight=1,
    )


def test_an_error_that_was_not_declared_is_found_and_a_declared_one_counted() -> None:
    def read(number: int) -> None:
        if number % 10 == 0:
            raise ValueError
        if number == 777:
            raise KeyError

    tally = decode(fuzzed(read), 1, 5000, lambda _: None)
    assert tally.refused > 200
    assert {what.splitlines()[-1] for _, what in tally.findings} == {"KeyError"}
    again = decode(fuzzed(read), 1, 5000, lambda _: None)
    assert again.findings == tally.findings


@pytest.mark.parametrize("name", targets())
def test_a_seed_makes_the_same_cases_whatever_was_made_before(name: str) -> None:
    """Else a finding could not be shown again."""
    target = targets()[name]
    first = shown(target, 1)
    shown(target, 2)
    assert shown(target, 1) == first


def shown(target: Fuzzed[Any], seed: int) -> list[str]:
    return [re.sub("0x[0-9a-f]+", "", repr(case)) for case in islice(target.cases(seed), 400)]


def test_memory_that_grows_is_found() -> None:
    kept: list[bytes] = []
    tally = measured(fuzzed(lambda _: kept.append(b"x" * 200_000)), 1, 1000, lambda _: None)
    assert "memory rose" in tally.findings[0][1]


def test_the_built_loops_are_the_ones_that_are_fuzzed() -> None:
    """A differential between Python and itself would prove nothing."""
    if compiled.LOOPS is None:
        pytest.skip("the compiled loops are not built or turned off")
    assert compiled.LOOPS.__name__ == "connectors._interchange._accelerated"  # type: ignore[attr-defined]
