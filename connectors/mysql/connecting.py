"""Opening a connection to a MySQL-compatible server, with what the driver leaves open closed.

The driver (aiomysql) speaks the packet layer and every authentication. Closed here: it goes on in
the clear when a server offers no TLS, hands the password to whoever asks for it in the clear, and
cannot upgrade a connection on every event loop.

See: MySQL, "Client/Server Protocol", Connection Phase.
"""

import asyncio
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import aiomysql
from pymysql.constants import CLIENT
from pymysql.err import OperationalError, raise_mysql_exception

from connectors.mysql.errors import NotUnderstoodError, TransportRefusedError
from engine.addresses import permit
from engine.config.url import SYSTEM_AUTHORITIES, ConnectionUrl

CONNECT_SECONDS: Final = 10.0
"""Time to connect when the URL has no `connect_timeout`."""

CHARSET: Final = "utf8mb4"

READ_BYTES_MAX: Final = 1 << 20
"""What the link takes in ahead of us: a server that sends without pause is read in large pieces."""

MALFORMED: Final = (
    struct.error, LookupError, ValueError, AssertionError, TypeError, AttributeError
)  # fmt: skip
"""What the driver raises over a packet that is shorter than it says, or of another kind."""

CLEAR_TEXT: Final = b"mysql_clear_password"

CIPHERED: Final = frozenset({"require", "verify-ca", "verify-full"})
"""sslmodes that go on with TLS alone."""


class Link(aiomysql.Connection):  # type: ignore[misc]
    """One connection. `packets()` and `send()` are the packet layer, for what is no SQL."""

    def __init__(
        self, url: ConnectionUrl, program: str, *, multi: bool, database: str, data: bool = False
    ) -> None:
        password = "" if url.password is None else url.password.reveal()
        timeout = float(url.option("connect_timeout") or 0) or CONNECT_SECONDS
        self._open_seconds = timeout
        self._sslmode = url.sslmode
        super().__init__(
            host=url.host,
            port=url.port,
            user=url.user or None,
            # The driver writes passwords in Latin-1; servers compare bytes, which are UTF-8.
            password=password.encode().decode("latin-1"),
            db=database or None,
            unix_socket=url.option("socket") or (url.host if url.is_socket else None),
            charset=CHARSET,
            use_unicode=False,
            conv={},
            autocommit=None,
            connect_timeout=timeout,
            program_name=program,
            client_flag=CLIENT.FOUND_ROWS,
        )
        self._context = _context(url)  # a refusal leaves what the driver's finalizer looks at
        if not multi:
            self.client_flag &= ~CLIENT.MULTI_STATEMENTS
        if data:
            self.client_flag |= CLIENT.LOCAL_FILES

    async def open(self) -> "Link":
        """Connect and log in. Raises the driver's errors, OSError, TransportRefusedError."""
        task = asyncio.current_task()
        cancelled = task.cancelling() if task is not None else 0
        with self._understood():
            # The driver's own limit ends with the socket: a server that is frozen takes the
            # connection and never says a word.
            async with asyncio.timeout(self._open_seconds):
                await self._connect()
        # Python 3.11's `wait_for`, which the driver uses, forgets a cancellation that comes
        # just when the connection is made: who waits for the task's end would wait for ever.
        if task is not None and task.cancelling() > cancelled:
            self.close()
            raise asyncio.CancelledError
        return self

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """The driver takes packets apart without looking whether they are whole."""
        try:
            yield
        except MALFORMED as error:
            self.close()
            raise NotUnderstoodError("what the server sent was not understood") from error

    async def _get_server_information(self) -> None:
        await super()._get_server_information()
        assert self._reader is not None
        self._reader._limit = READ_BYTES_MAX  # noqa: SLF001 - asyncio sets it by its own opener only

    async def _request_authentication(self) -> None:
        if self._context is not None and not self._unix_socket:
            if self.server_capabilities & CLIENT.SSL:
                await self._start_tls(self._context)
            elif self._sslmode in CIPHERED:
                raise TransportRefusedError("the server does not offer TLS")
        await super()._request_authentication()

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        self.client_flag |= CLIENT.SSL
        head = self.client_flag.to_bytes(4, "little") + (1 << 24).to_bytes(4, "little")
        self.write_packet(head + bytes([45]) + bytes(23))  # 45: utf8mb4
        await self._writer.start_tls(context, server_hostname=self._host)
        # Python 3.11 leaves the reader's flow control with the plain transport.
        self._reader._transport = self._writer.transport  # noqa: SLF001
        self._secure = True

    async def _process_auth(self, plugin_name: bytes, auth_packet: Any) -> Any:
        if plugin_name == CLEAR_TEXT and not self._secure:
            raise TransportRefusedError("the server asks for the password in the clear")
        return await super()._process_auth(plugin_name, auth_packet)

    async def run(self, statement: str | bytes) -> "list[tuple[bytes | None, ...]]":
        """Rows of one statement, values as the text protocol gives them."""
        with self._understood():
            await self.query(statement)
        result = self._result
        return [] if result is None or result.rows is None else list(result.rows)

    async def value(self, statement: str) -> bytes | None:
        """The first column of the first row; None without a row."""
        rows = await self.run(statement)
        return rows[0][0] if rows else None

    async def packet(self) -> bytes:
        """The next whole packet, errors raised."""
        with self._understood():
            packet = await self._read_packet()
        return bytes(packet._data)  # noqa: SLF001 - the driver has no other way to it

    def send(self, command: int, payload: bytes) -> None:
        """Begin a command whose answer is read packet by packet."""
        self._ensure_alive()
        self._next_seq_id = 0
        self.write_packet(bytes([command]) + payload)

    async def head_of_rows(self) -> None:
        """Read what stands before an answer's rows: the columns. Raises the driver's errors."""
        with self._understood():
            count = (await self._read_packet()).read_length_encoded_integer()
            for _ in range(count + 1):
                await self._read_packet()

    def refused(self, payload: bytes) -> None:
        """Raise the error in a packet."""
        with self._understood():
            raise_mysql_exception(payload)

    @property
    def writer(self) -> asyncio.StreamWriter:
        """The stream below, for who writes packets by itself."""
        if self._writer is None:
            raise OperationalError(2006, "the connection is closed")
        writer: asyncio.StreamWriter = self._writer
        return writer

    @property
    def reader(self) -> asyncio.StreamReader:
        """The stream below, for who takes packets apart by itself."""
        if self._reader is None:
            raise OperationalError(2006, "the connection is closed")
        reader: asyncio.StreamReader = self._reader
        return reader


async def connect(
    url: ConnectionUrl,
    program: str,
    *,
    multi: bool = False,
    database: str = "",
    data: bool = False,
) -> Link:
    """A connection that is logged in.

    `program` names us in the server's list of sessions. `multi`: several statements may go in one
    packet. Rows found count as changed, also where they were so before. `data`: the caller reads
    packets by itself and answers LOAD DATA from memory; the driver never answers a request for a
    local file.

    Raises:
        pymysql's errors, OSError, TransportRefusedError; see `errors`. ConfigError where the
        address is refused (`engine.addresses`).
    """
    await permit(url.host, url.port)
    return await Link(url, program, multi=multi, database=database, data=data).open()


def _context(url: ConnectionUrl) -> ssl.SSLContext | None:
    """As libpq words it: `require` ciphers, `verify-ca` knows the authority, `verify-full` also the
    name."""
    mode = url.sslmode
    if mode in ("disable", "allow"):
        return None
    root = url.option("sslrootcert")
    verifies = mode in ("verify-ca", "verify-full")
    if mode == "verify-ca" and not root:
        # Everybody can have a certificate from one that the machine trusts, for some name.
        raise TransportRefusedError(
            "sslmode=verify-ca needs the root certificate of the authority, by sslrootcert"
        )
    if verifies and root and root != SYSTEM_AUTHORITIES and not Path(root).is_file():
        raise TransportRefusedError(f"root certificate file {root} does not exist")
    if verifies:
        known = None if root in ("", SYSTEM_AUTHORITIES) else root
        context = ssl.create_default_context(cafile=known)
        context.check_hostname = mode == "verify-full"
    else:  # reading all authorities that the system knows takes longer than the connection
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if url.option("sslcert"):
        context.load_cert_chain(url.option("sslcert"), url.option("sslkey") or None, password="")
    return context


async def close(link: Link) -> None:
    """Close without raising, in bounded time; the socket is gone then."""
    if link.closed:
        return
    writer = link.writer
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await link.ensure_closed()
            await writer.wait_closed()
    except (OSError, TimeoutError, OperationalError, RuntimeError):
        # RuntimeError: uvloop had closed it, after an error that nobody waited for.
        link.close()
    except asyncio.CancelledError:
        link.close()
        raise


CLOSE_SECONDS: Final = 5.0
"""Time a server has to end a session politely; then the socket is dropped."""
