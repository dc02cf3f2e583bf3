import socket

import pytest

from kinema.cluster.sockets import PortTaken, listen, reserve


def test_a_taken_port_is_named_with_its_purpose():
    with listen("127.0.0.1", 0, "the gateway") as first:
        port = first.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            listen("127.0.0.1", port, "the gateway")
    assert str(caught.value) == (
        f"Port {port} for the gateway is taken by another program; stop that one or choose another with --port."
    )


def test_an_address_that_is_not_ours_is_named():
    with pytest.raises(PortTaken, match=r"the edge cannot listen on 192\.0\.2\.1 port 0"):
        listen("192.0.2.1", 0, "the edge")


def test_a_reserved_port_refuses_until_its_owner_listens_and_again_after():
    with reserve() as reserved:
        address = reserved.getsockname()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=1)
        with socket.socket() as owner:
            owner.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            owner.bind(address)
            owner.listen()
            socket.create_connection(address, timeout=1).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=1)


def test_connections_queue_on_a_listening_socket_that_nobody_accepts_from():
    with listen("127.0.0.1", 0, "the gateway") as waiting:
        for _ in range(50):
            socket.create_connection(waiting.getsockname(), timeout=1).close()
