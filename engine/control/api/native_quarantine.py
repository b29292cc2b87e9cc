"""Rows that were kept aside as our own route answers them (`native`): with their values, a page."""

from typing import Final

from engine.control import kept_rows, quarantine_keys
from engine.control.acting import RowReader
from engine.control.api.call import Services
from engine.control.api.faults import FailedDependencyFault
from engine.control.api.native_replications import found
from engine.control.api.native_request import Asked, Document
from engine.control.resources.document import decode
from engine.control.resources.replication import Replication
from engine.errors import PenstockError, StateError
from engine.quarantine import Opener

NUMBER_MAX: Final = (1 << 63) - 1
"""Of a row in a target's table."""


class Quarantine:
    """Reads what replications kept in their targets, and opens it with their keys."""

    def __init__(self, services: Services, rows: RowReader) -> None:
        self._services = services
        self._rows = rows

    async def read(self, asked: Asked) -> Document:
        """A page, and where to go on."""
        after = asked.number("after", 0, NUMBER_MAX)
        async with self._services.store.read() as reading:
            record = await found(reading, asked.name, self._services.home)
            keys = await quarantine_keys.every(reading, self._services.vault, record.id)
        config = decode(Replication, record.document).config
        try:
            page = await self._rows.rows(record.id, config.target, after)
        except StateError:
            raise
        except PenstockError as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise FailedDependencyFault(
                f"The rows that {config.name} kept aside cannot be read: {error.message}{hint}."
            ) from None
        opener = Opener(record.id, keys)
        more = {"after": page[-1].number} if page else {}
        return {"rows": [kept_rows.shown(each, opener) for each in page], **more}
