"""What the daemon listens with."""

import socket

from engine.control.api.serving import bound


def test_an_answer_does_not_wait_for_the_acknowledgement_of_its_head() -> None:
    with (
        bound("serve.listen", "127.0.0.1:0") as listener,
        socket.create_connection(listener.getsockname()),
    ):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
