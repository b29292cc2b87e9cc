"""What the daemon listens with."""

import socket

import pytest

from engine.control.api.serving import AddressTakenError, bound
from engine.errors import ConfigError


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head() -> None:
    with (
        bound("serve.listen", "127.0.0.1:0") as listener,
        socket.create_connection(listener.getsockname()),
    ):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_port_that_is_taken_may_be_free_the_next_time() -> None:
    with bound("serve.listen", "127.0.0.1:0") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            AddressTakenError, match=f"cannot listen on 127.0.0.1:{port}"
        ) as refused:
            bound("serve.listen", f"127.0.0.1:{port}")
    assert refused.value.exit_code == 1, "a service manager tries again"
    assert refused.value.message.count(str(port)) == 1


def test_an_address_that_is_not_this_machines_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="cannot listen on"):
        bound("serve.listen", "192.0.2.1:0")
