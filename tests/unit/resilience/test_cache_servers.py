"""The servers that tests start are real ones, end with the test, and come back on the same port after a crash."""

import socket

import pytest

from tests.support.servers import memcached_server, redis_server


def ask(server, question, timeout=10):
    with socket.create_connection((server.host, server.port), timeout) as sock:
        sock.sendall(question)
        return sock.recv(100)


@pytest.mark.parametrize(
    ("serving", "question", "answer"),
    [(redis_server, b"PING\r\n", b"+PONG\r\n"), (memcached_server, b"get nothing\r\n", b"END\r\n")],
)
def test_a_server_answers_dies_and_comes_back(serving, question, answer):
    with serving() as server:
        assert ask(server, question) == answer
        server.pause()
        with pytest.raises(TimeoutError):
            ask(server, question, timeout=0.2)
        server.resume()
        assert ask(server, question) == answer
        server.kill()
        with pytest.raises(ConnectionRefusedError):
            ask(server, question)
        server.start()
        assert ask(server, question) == answer
    with pytest.raises(ConnectionRefusedError):
        ask(server, question)


def test_two_servers_run_beside_each_other():
    with redis_server() as one, redis_server("--maxmemory", "10mb") as other:
        assert one.port != other.port
        assert ask(other, b"CONFIG GET maxmemory\r\n") == b"*2\r\n$9\r\nmaxmemory\r\n$8\r\n10485760\r\n"
