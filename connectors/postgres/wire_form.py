"""Whether values travel in binary or in text form, for the whole stream at once."""

from connectors.postgres.catalog import Catalog
from connectors.postgres.config import PostgresSourceConfig, TextMode
from connectors.postgres.published import PublishedTables
from connectors.postgres.server import BINARY_FROM, Server


class WireForm:
    """Keeps `Catalog.text_mode` right. Text once forced stays: by the configuration, by a server
    that has no binary form, by a type that was found to have none."""

    def __init__(
        self, catalog: Catalog, published: PublishedTables, config: PostgresSourceConfig
    ) -> None:
        self._catalog = catalog
        self._published = published
        self._forced = config.text_mode is TextMode.TEXT

    @property
    def text(self) -> bool:
        return self._catalog.text_mode

    def force_text(self) -> None:
        """From the next stream on."""
        self._forced = True

    def forced(self, server: Server) -> bool:
        """Whether only text is possible, whatever is published; then it is chosen."""
        if self._forced or server.version < BINARY_FROM:
            self._catalog.text_mode = True
            return True
        return False

    async def choose(self, server: Server) -> None:
        """Choose from what the publications hold now. Raises SourceConnectionError, SourceError."""
        if self.forced(server):
            return
        oids = await self._published.types()
        facts = await self._catalog.types(oids)
        self._catalog.text_mode = any(facts.unsendable(oid) for oid in oids)
