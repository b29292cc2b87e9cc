"""The loops in Python and the compiled ones give the same: both go through the same tests."""

from collections.abc import Iterator

import pytest

from connectors._interchange import compiled


@pytest.fixture(scope="module", params=["python", "compiled"])
def loops(request: pytest.FixtureRequest) -> Iterator[None]:
    """Which loops are used; the compiled ones where they were built (`make accelerate`)."""
    before = compiled.LOOPS
    if request.param == "python":
        compiled.LOOPS = None
    elif before is None:
        pytest.skip("the compiled loops are not built or turned off")
    yield
    compiled.LOOPS = before
