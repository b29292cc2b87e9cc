"""What is fuzzed: how inputs are made, what reads them, which errors it may answer with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Generic, NamedTuple, TypeVar

Case = TypeVar("Case")


class Decoded(NamedTuple):
    """How many messages a case came to, and how many of them were refused with a declared error.
    What stands behind a refusal was not read and does not count."""

    messages: int
    refused: int = 0


@dataclass(frozen=True, kw_only=True)
class Fuzzed(Generic[Case]):
    """Something that parses.

    `generate` makes inputs without end, all of them from the random numbers it is given: the same
    seed makes the same inputs in every process. `decode` reads one and checks what comes out; a
    failed assertion is a finding, as is every exception that is not of `errors`. It gives None for
    one message understood. `weight` is its share of a campaign's messages beside the others'.
    """

    name: str
    generate: Callable[[Random], Iterator[Case]]
    decode: Callable[[Case], Decoded | None]
    errors: tuple[type[Exception], ...]
    weight: int

    def cases(self, seed: int) -> Iterator[Case]:
        return self.generate(Random(f"{self.name}/{seed}"))

    def attempt(self, case: Case) -> Decoded:
        """Read a case. Raises what must not happen."""
        try:
            return self.decode(case) or Decoded(1)
        except self.errors:
            return Decoded(1, 1)
