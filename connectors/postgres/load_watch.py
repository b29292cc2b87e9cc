"""Rows of a load that an older server would take for others, kept from it."""

from collections.abc import AsyncIterator, Sequence

from connectors._interchange.load_rows import TextRows
from connectors.postgres.newer_values import Misread, refuse_misread_row
from engine.errors import RowRejectedError
from engine.model.relation import Relation


class LoadWatch:
    """Looks at data in text form. It ends before the first row that would be misread, so that the
    COPY ends as any other; `refusal` is then the reason why it must not be kept."""

    def __init__(self, relation: Relation, columns: Sequence[Misread]) -> None:
        self.refusal: RowRejectedError | None = None
        self._relation = relation
        self._columns = columns
        self._rows = TextRows(len(relation.columns))

    async def admitted(self, data: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The rows as far as they may be sent."""
        async for piece in data:
            rows = list(self._rows.feed(piece))
            try:
                for row in rows:
                    refuse_misread_row(self._columns, self._relation, self._rows.values(row))
            except RowRejectedError as error:
                self.refusal = error
                return
            yield self._rows.join(rows)
