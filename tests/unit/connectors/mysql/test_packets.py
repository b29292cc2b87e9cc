"""Payloads come out whole, however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.mysql import packets
from connectors.mysql.packets import PacketSplitter
from engine.errors import DecodeError


def framed(payload: bytes, full: int, number: int = 0) -> bytes:
    out = b""
    while True:
        piece, payload = payload[:full], payload[full:]
        out += len(piece).to_bytes(3, "little") + bytes([number % 256]) + piece
        number += 1
        if len(piece) < full:
            return out


@given(st.lists(st.binary(max_size=40), max_size=8), st.lists(st.integers(1, 30), max_size=40))
def test_payloads_survive_any_cut(payloads: list[bytes], cuts: list[int]) -> None:
    full = 7
    data = b"".join(framed(payload, full) for payload in payloads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packets, "FULL_BYTES", full)
        splitter, found = PacketSplitter(), list[bytes]()
        for cut in [*cuts, len(data)]:
            found += splitter.feed(data[:cut])
            data = data[cut:]
        found += splitter.feed(data)
    assert found == payloads


def test_a_payload_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "FULL_BYTES", 4)
    monkeypatch.setattr(packets, "PAYLOAD_BYTES_MAX", 10)
    with pytest.raises(DecodeError, match="more than 10 bytes"):
        PacketSplitter().feed(framed(bytes(12), 4))
