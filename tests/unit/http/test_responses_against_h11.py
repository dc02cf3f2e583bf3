"""Both directions of an answer, with h11 on the other side: what we write it must read, what it writes we must read."""

import h11
from hypothesis import given
from hypothesis import strategies as st

from kinema.http import Client, Exchange, Server
from kinema.http.call import Call, encode_request
from kinema.http.connection import Connection
from kinema.http.outbound import Outbound
from kinema.http.pool import Pool
from tests.unit.http.wire import MemoryTransport, Recorder, split

FRAMING = {"content-length", "transfer-encoding", "connection", "date"}
names = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=10).filter(lambda name: name not in FRAMING)
values = st.text([chr(code) for code in range(0x21, 0x7F)], max_size=20)
fields = st.lists(st.tuples(names, values), max_size=5)
statuses = st.sampled_from([200, 201, 204, 206, 304, 404, 416, 500, 503])
methods = st.sampled_from(["GET", "HEAD", "POST", "DELETE"])
pieces = st.lists(st.binary(max_size=300), max_size=5)
cuts = st.lists(st.integers(0, 5000), max_size=10)


def encoded(pairs):
    return [(name.encode(), value.encode()) for name, value in pairs]


@given(methods, statuses, fields, pieces, st.sampled_from(["whole", "length", "open"]), st.booleans())
def test_h11_reads_what_we_answer(method, status, headers, body, manner, http_1_0):
    whole = b"".join(body)
    bodyless = method == "HEAD" or status in {204, 304}

    def handler(exchange: Exchange) -> None:
        if manner == "whole":
            exchange.reply(status, encoded(headers), whole if status not in {204, 304} else b"")
            return
        exchange.start(status, encoded(headers), len(whole) if manner == "length" else None)
        for piece in body:
            if not bodyless:
                exchange.write(piece)
        exchange.finish()

    connection, transport = Connection(Server(handler)), MemoryTransport()
    connection.connection_made(transport)
    version = "1.0" if http_1_0 else "1.1"
    connection.data_received(f"{method} / HTTP/{version}\r\nHost: a\r\n\r\n".encode())

    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "a")], http_version=b"1.1"))
    client.send(h11.EndOfMessage())
    client.receive_data(bytes(transport.written))
    if not transport.open:
        client.receive_data(b"")
    response = client.next_event()
    received = b""
    while type(event := client.next_event()) is h11.Data:
        received += bytes(event.data)
    assert type(event) is h11.EndOfMessage
    assert response.status_code == status
    assert sorted((n, v) for n, v in response.headers if n.decode() not in FRAMING) == sorted(encoded(headers))
    assert received == (b"" if bodyless else whole)
    assert transport.open == (client.their_state is not h11.MUST_CLOSE and client.their_state is not h11.CLOSED)
    assert client.trailing_data[0] == b""


class _Loop:
    """A client's pool that opens no connections, for parsing in memory."""

    def __init__(self) -> None:
        self.client = Client()
        self.pool = Pool(self.client, "a:80")
        self.client.watch = lambda: None


class WholeRecorder(Recorder):
    """Takes what came whole by one call, and remembers it as if it had come in pieces."""

    def on_whole(self, status, headers, body):
        self.on_head(status, headers)
        if body:
            self.on_data(body)
        self.on_end()


def answer(
    method: str, data: list[bytes], *, closed: bool, pool: Pool | None = None, kind: type[Recorder] = Recorder
) -> tuple[Recorder, MemoryTransport]:
    """Let an outbound connection (of this pool, or of a new one) read these bytes as the answer to a request."""
    pool, sink, transport = pool or _Loop().pool, kind(), MemoryTransport()
    sink.over = type("Over", (), {"set": lambda self: None})()
    connection = Outbound(pool)
    connection.connection_made(transport)
    call = Call(pool, method, encode_request(method, "/", (), "a", b""), b"", sink, float("inf"))
    connection.begin(call)
    for piece in data:
        if piece and transport.open:
            connection.data_received(piece)
    if closed:
        connection.connection_lost(None)
    return sink, transport


@given(methods, statuses, fields, pieces, st.sampled_from(["length", "chunked", "close"]), st.integers(0, 2), cuts)
def test_we_read_what_h11_answers_however_it_is_cut(method, status, headers, body, framing, informational, places):
    whole = b"".join(body)
    server = h11.Connection(h11.SERVER)
    version = b"HTTP/1.1" if framing == "chunked" else b"HTTP/1.0" if framing == "close" else b"HTTP/1.1"
    server.receive_data(
        method.encode()
        + b" / "
        + version
        + b"\r\nHost: a\r\n"
        + (b"content-length: 0\r\n" if method == "POST" else b"")
        + b"\r\n"
    )
    while type(server.next_event()) is not h11.EndOfMessage:
        pass
    data = b""
    if version == b"HTTP/1.1":
        for _ in range(informational):
            data += server.send(h11.InformationalResponse(status_code=103, headers=[("link", "x")]))
    extra = [("content-length", str(len(whole)))] if framing == "length" and status != 204 else []
    data += server.send(h11.Response(status_code=status, headers=encoded([*headers, *extra])))
    bodyless = method == "HEAD" or status in {204, 304}
    for piece in body:
        if not bodyless:
            data += server.send(h11.Data(data=piece))
    data += server.send(h11.EndOfMessage())

    sink, _ = answer(method, split(data, places), closed=server.our_state is h11.MUST_CLOSE)

    assert sink.error is None
    assert sink.status == status
    assert sink.body == (b"" if bodyless else whole)
    assert sink.events[-1] == "end"
    given_fields = sorted((n, v) for n, v in sink.headers if n.decode() not in FRAMING)
    assert given_fields == sorted(encoded(headers))


@given(pieces.filter(any), st.sampled_from(["length", "chunked"]), st.integers(1, 5000))
def test_an_answer_that_stops_early_is_an_error(body, framing, missing):
    whole = b"".join(body)
    if framing == "length":
        data = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(whole), whole)
    else:
        data = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        data += b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in body if piece) + b"0\r\n\r\n"
    cut = data[: len(data) - 1 - missing % (len(data) - 1)]

    sink, _ = answer("GET", [cut], closed=True)

    assert sink.events[-1] == "error"
    assert type(sink.error).__name__ == "ConnectionLost"


HEADS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx: y\r\nX: z\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n",
        b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n",
        b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n",
        b"HTTP/1.1 200 OK\r\n",
    ]
)
TAILS = st.sampled_from([b"", b"12345", b"1234", b"123456", b"5\r\n12345\r\n0\r\n\r\n", b"12345HTTP/1.1 200 OK\r\n"])


@given(
    st.lists(st.tuples(methods, HEADS, TAILS, cuts), min_size=1, max_size=8), st.sampled_from([Recorder, WholeRecorder])
)
def test_a_head_that_is_known_by_its_bytes_changes_no_verdict(answers, kind):
    pool = _Loop().pool
    for method, head, tail, places in [*answers, *answers]:
        data = split(head + b"\r\n" + tail, places)
        (known, kept), (parsed, fresh) = (
            answer(method, data, closed=True, pool=one, kind=kind) for one in (pool, None)
        )
        assert (known.events, known.status, known.body) == (parsed.events, parsed.status, parsed.body)
        assert list(known.headers or ()) == list(parsed.headers or ())
        assert type(known.error) is type(parsed.error)
        assert kept.open == fresh.open


def test_answers_with_the_same_head_share_one_object_of_fields():
    pool = _Loop().pool
    data = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12345"
    first, second, third = (answer("GET", [data], closed=False, pool=pool)[0] for _ in range(3))
    assert (first.body, second.body, third.body) == (b"12345",) * 3
    assert second.headers is third.headers
