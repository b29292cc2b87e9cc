"""What a case is given."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from benchmarks.result import Result
from benchmarks.servers import Servers


@dataclass(frozen=True, slots=True)
class Options:
    """`quick` is for trying the harness: its figures mean nothing."""

    pairs: int
    quick: bool

    def sized(self, full: int, quick: int) -> int:
        """A size by whether this is for trying."""
        return quick if self.quick else full


Case: TypeAlias = Callable[[Servers, Options], Iterator[Result]]
