"""Who measures at the moment. (pure)"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from engine.capacity.sample import Sample

Measure: TypeAlias = Callable[[], Sample]


class Sampler:
    """Gives the sample of a second: as the stream measures it while there is one, `otherwise` as
    far as it is known without."""

    def __init__(self, otherwise: Measure) -> None:
        self._otherwise = otherwise
        self._measures: list[Measure] = []

    def sample(self) -> Sample:
        """Of the second that ends now."""
        return (self._measures or [self._otherwise])[-1]()

    @contextmanager
    def by(self, measure: Measure) -> Iterator[None]:
        """A stream measures inside the context."""
        self._measures.append(measure)
        try:
            yield
        finally:
            self._measures.remove(measure)
