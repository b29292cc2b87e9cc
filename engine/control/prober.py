"""Looks at the database of one endpoint in a process of its own (implements `acting.Prober`)."""

from collections.abc import Mapping
from typing import Final

from engine.control.acting import Looked
from engine.control.looks import Looks
from engine.control.reports import not_started
from engine.errors import PenstockError
from engine.observe.redact import clean
from engine.observe.report import Outcome

CONNECT_SECONDS: Final = 60.0
"""Time to connect: drivers give up after some ten seconds for each address of a name."""

SCHEMAS_SECONDS: Final = 300.0
"""Time to read names: AWS says that refreshing schemas may take minutes."""

PROBE: Final = "engine.control.probe"


class DatabaseProber:
    def __init__(self, looks: Looks) -> None:
        self._looks = looks

    async def connect(self, endpoint: str) -> Looked:
        """Whether the endpoint with this record id can be reached and logged in to."""
        return await self._look(endpoint, CONNECT_SECONDS)

    async def schemas(self, endpoint: str) -> Looked:
        """Names of schemas that hold tables."""
        return await self._look(endpoint, SCHEMAS_SECONDS, "--schemas")

    async def _look(self, endpoint: str, seconds: float, *words: str) -> Looked:
        schemas: list[str] = []

        def told(event: Mapping[str, object]) -> None:
            found = event.get("schemas")
            if isinstance(found, list):
                schemas.extend(map(str, found))

        try:
            outcome = await self._looks.run(
                endpoint,
                PROBE,
                lambda reached: words or (f"--connect={reached.role}",),
                told=told,
                seconds=seconds,
            )
        except PenstockError as error:
            outcome = Outcome.of(error)
        except RuntimeError as error:  # no thread is to be had
            outcome = not_started(error)
        return Looked(_failure(outcome), tuple(sorted(schemas)))


def _failure(outcome: Outcome) -> str:
    """Why it failed, and what to do, as one line; empty where all is well."""
    if outcome.exit == 0:
        return ""
    remedy = f" ({outcome.remedy})" if outcome.remedy else ""
    return clean(f"{outcome.reason or outcome.error}{remedy}")
