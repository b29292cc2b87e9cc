"""Packets out of bytes as they come. (pure)

A packet has a length of three bytes, a number of one, and its payload; a payload that does not fit
into one packet goes on in the next, and ends with the first packet that is not full.

See: MySQL, "Client/Server Protocol", MySQL Packets.
"""

from collections.abc import Callable
from typing import Final

from engine.errors import DecodeError

HEAD_BYTES: Final = 4
FULL_BYTES: Final = 0xFF_FFFF
"""Payload of a packet that another one continues."""

PAYLOAD_BYTES_MAX: Final = 1 << 30
"""Largest payload taken in: `max_allowed_packet` can be no larger."""


class PacketSplitter:
    """Takes what was read and gives payloads that are whole. Whoever reads gives it everything."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._wanted = HEAD_BYTES
        self._begun: list[bytes] = []
        self._begun_size = 0

    def feed(self, data: bytes, take: Callable[[bytes, int], int] | None = None) -> list[bytes]:
        """The payloads that are whole by now. `take`: is given what was read and where a packet
        begins in it, deals with whole packets from there on as it likes, and says where it left
        off. Raises DecodeError for a payload that is too long."""
        self._parts.append(data)
        self._size += len(data)
        if self._size < self._wanted:
            return []
        buffer = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        payloads: list[bytes] = []
        size, at = len(buffer), 0
        wanted = HEAD_BYTES
        while True:
            if take is not None and not self._begun:
                at = take(buffer, at)
            if size - at < HEAD_BYTES:
                break
            length = buffer[at] | buffer[at + 1] << 8 | buffer[at + 2] << 16
            end = at + HEAD_BYTES + length
            if end > size:
                wanted = HEAD_BYTES + length
                break
            payload = buffer[at + HEAD_BYTES : end]
            if length == FULL_BYTES or self._begun:
                self._continue(payload, payloads, ends=length != FULL_BYTES)
            else:
                payloads.append(payload)
            at = end
        self._parts = [buffer[at:]]
        self._size = size - at
        self._wanted = wanted
        return payloads

    def _continue(self, payload: bytes, payloads: list[bytes], *, ends: bool) -> None:
        self._begun.append(payload)
        self._begun_size += len(payload)
        if self._begun_size > PAYLOAD_BYTES_MAX:
            raise DecodeError(f"a packet of more than {PAYLOAD_BYTES_MAX} bytes")
        if ends:
            payloads.append(b"".join(self._begun))
            self._begun = []
            self._begun_size = 0
