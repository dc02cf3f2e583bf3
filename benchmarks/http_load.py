"""A load generator that is not the bottleneck: raw sockets, one epoll, bodies discarded inside the kernel.

Reads one JSON object on stdin (`Plan`), keeps `connections` requests in the air for `seconds`, and prints one JSON object
(`Result`). Only the first bytes of each answer are copied to user space, to check its status and learn its length; the
rest is received with MSG_TRUNC, which drops it without a copy.
"""

import re
import select
import socket
import sys
import time

import msgspec

from benchmarks.processes import cpu_seconds

_HEAD_BYTES = 2048
_BODY_BYTES = 8 * 1024 * 1024
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Plan(msgspec.Struct):
    """What to ask for: whole requests as text, sent in turn on each connection."""

    port: int
    requests: list[str]
    connections: int
    seconds: float
    warm_up_seconds: float
    pids: list[int]
    status: int


class Result(msgspec.Struct):
    """What came back within `seconds` after the warm-up, and the CPU that the server used for it."""

    responses: int
    bytes: int
    seconds: float
    cpu_seconds: float
    p50_ms: float
    p99_ms: float


class _Connection:
    """One keep-alive connection with one request in the air."""

    __slots__ = ("left", "sent_at", "sock", "turn")

    def __init__(self, port: int, turn: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.turn = turn
        self.left = 0
        self.sent_at = 0.0


def run(plan: Plan) -> Result:
    """Drive the load and return what was counted. Raises RuntimeError for an answer that is not the expected one."""
    requests = [text.encode() for text in plan.requests]
    poll = select.epoll()
    connections: dict[int, _Connection] = {}
    for number in range(plan.connections):
        connection = _Connection(plan.port, number * 7)
        connections[connection.sock.fileno()] = connection
        poll.register(connection.sock, select.EPOLLIN)
    head = bytearray(_HEAD_BYTES)
    body = bytearray(_BODY_BYTES)
    expected = b"HTTP/1.1 %d" % plan.status
    responses = received = 0
    waits: list[float] = []
    now = time.perf_counter()
    begin = now + plan.warm_up_seconds
    end = begin + plan.seconds
    counting = False
    cpu = 0.0
    for connection in connections.values():
        connection.sent_at = now
        connection.sock.send(requests[connection.turn % len(requests)])
    while now < end:
        for descriptor, _ in poll.poll():
            connection = connections[descriptor]
            sock = connection.sock
            if connection.left:
                size = sock.recv_into(body, min(connection.left, _BODY_BYTES), socket.MSG_TRUNC)
                if not size:
                    raise RuntimeError("The server closed a connection inside a body.")
                connection.left -= size
            else:
                size = sock.recv_into(head)
                connection.left = _check(head, size, expected)
            received += size
            if not connection.left:
                responses += 1
                now = time.perf_counter()
                waits.append(now - connection.sent_at)
                connection.sent_at = now
                connection.turn += 1
                sock.send(requests[connection.turn % len(requests)])
        if not counting and now >= begin:
            counting, responses, received, begin = True, 0, 0, now
            waits.clear()
            cpu = cpu_seconds(plan.pids)
    used = cpu_seconds(plan.pids) - cpu
    waits.sort()
    return Result(
        responses=responses,
        bytes=received,
        seconds=now - begin,
        cpu_seconds=used,
        p50_ms=1000 * waits[len(waits) // 2],
        p99_ms=1000 * waits[len(waits) * 99 // 100],
    )


def _check(head: bytearray, size: int, expected: bytes) -> int:
    """Return how many bytes of the answer are still to come."""
    end = head.find(b"\r\n\r\n", 0, size)
    length = _LENGTH.search(head, 0, end + 2)
    if end < 0 or not head.startswith(expected) or length is None:
        raise RuntimeError(f"Not the answer that was expected: {bytes(head[:size])!r}")
    return int(length[1]) - (size - end - 4)


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(run(msgspec.json.decode(sys.stdin.buffer.read(), type=Plan))) + b"\n")
