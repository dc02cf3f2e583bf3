"""h11 is the oracle: what it sends we must understand, and what we understand it must understand in the same way."""

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.http import Limits, Server
from tests.unit.http.wire import receive, split

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
names = st.text(TOKEN, min_size=1, max_size=12).filter(
    lambda name: name not in {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "te"}
)
values = st.text([chr(code) for code in range(0x20, 0x7F)] + ["\t", "é", "ÿ"], max_size=30).map(str.strip)
targets = st.text([chr(code) for code in range(0x21, 0x7F) if chr(code) != "#"], max_size=40).map(
    lambda text: "/" + text
)
bodies = st.one_of(st.none(), st.lists(st.binary(min_size=1, max_size=200), max_size=4))
cuts = st.lists(st.integers(0, 5000), max_size=12)


@st.composite
def requests(draw):
    return (
        draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"])),
        draw(targets),
        draw(st.lists(st.tuples(names, values), max_size=6)),
        draw(bodies),
        draw(st.booleans()),
    )


def encode(request):
    """Write a request with h11 in the client's role."""
    method, target, fields, body, chunked = request
    client = h11.Connection(h11.CLIENT)
    headers = [("host", "example"), *fields]
    if body is not None:
        headers.append(("transfer-encoding", "chunked") if chunked else ("content-length", str(sum(map(len, body)))))
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    data = client.send(h11.Request(method=method, target=target, headers=encoded))
    for piece in body or ():
        data += client.send(h11.Data(data=piece))
    data += client.send(h11.EndOfMessage())
    return data, encoded


@given(st.lists(requests(), min_size=1, max_size=4), cuts)
def test_what_h11_sends_is_understood_however_it_is_cut(sent, places):
    data = b"".join(encode(request)[0] for request in sent)

    seen, answers, open_ = receive(split(data, places))

    assert [(m, t, b"".join(body or ())) for m, t, _, body, _ in sent] == [(m, t, body) for m, t, _, body in seen]
    assert [sorted(encode(request)[1]) for request in sent] == [sorted(headers) for _, _, headers, _ in seen]
    assert answers.count(b"HTTP/1.1 200 OK") == len(sent)
    assert open_


def h11_reads(data: bytes):
    """What h11 makes of bytes in the server's role: whole requests, and whether it refused something."""
    requests, refused = [], False
    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    head, body = None, b""
    while True:
        try:
            event = server.next_event()
        except h11.RemoteProtocolError:
            refused = True
            break
        if isinstance(event, h11.Request):
            head, body = event, b""
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            requests.append((head.method.decode(), head.target.decode(), sorted(head.headers.raw_items()), body))
            server.send(h11.Response(status_code=200, headers=[("content-length", "0")]))
            server.send(h11.EndOfMessage())
            if server.states[h11.CLIENT] is h11.MUST_CLOSE or server.states[h11.SERVER] is h11.MUST_CLOSE:
                break
            server.start_next_cycle()
        else:
            break
    return [(m, t, sorted((n.lower(), v) for n, v in h), b) for m, t, h, b in requests], refused


pieces_of_http = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\n", b"GET /a HTTP/1.0\r\n", b"HEAD / HTTP/1.1\r\n",
        b"Host: a\r\n", b"host:b\r\n", b"Content-Length: 3\r\n", b"content-length: 0\r\n", b"Content-Length: 3, 3\r\n",
        b"Content-Length: +3\r\n", b"Content-Length: 3\n", b"Transfer-Encoding: chunked\r\n", b"X: y\r\n", b" folded\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: chunked, identity\r\n", b"Connection: close\r\n",
        b"Transfer-Encoding:\tchunked\r\n", b"Transfer-Encoding : chunked\r\n", b"X: a\x00b\r\n", b"X: a\rb\r\n",
        b"Range: bytes=0-9\r\n", b"Range: bytes=0-9\r\nRange: bytes=5-\r\n", b"\r\n", b"\n", b"\r", b" ", b"abc", b"3\r\n",
        b"abc\r\n", b"0\r\n\r\n", b"0\r\n", b"3;x=y\r\n", b"3\n", b"0x3\r\n", b"-3\r\n", b"03\r\n", b"trailer: x\r\n",
        b"Upgrade: h2c\r\nConnection: upgrade\r\n",
    ]
)  # fmt: skip


@settings(max_examples=400)
@given(st.lists(st.one_of(pieces_of_http, st.binary(max_size=3)), max_size=14).map(b"".join), cuts)
def test_whatever_is_accepted_is_accepted_by_h11_as_the_same_requests(data, places):
    seen, _, _ = receive(split(data, places))

    ours = [(m, t, sorted(headers), body) for m, t, headers, body in seen]
    theirs, _ = h11_reads(data)
    assert ours == theirs[: len(ours)]


@settings(max_examples=400)
@given(st.lists(st.lists(pieces_of_http, max_size=8).map(b"".join), max_size=5))
def test_a_known_block_changes_no_verdict(heads):
    server = Server(lambda exchange: None)
    for head in heads:
        data = head + b"\r\n" if not head.endswith(b"\r\n\r\n") else head
        assert_known_is_as_new(server, data)


BLOCK = b"GET /a HTTP/1.1\r\nHost: a\r\nUser-Agent: x\r\n\r\n"
places_of_block = st.sampled_from(
    [len(b"GET /a HTTP/1.1"), BLOCK.index(b"\r\nUser"), len(BLOCK) - 4, len(BLOCK) - 2, len(BLOCK)]
)
ranges = st.sampled_from(
    [
        b"\r\nRange: bytes=0-9", b"\r\nRange: bytes=", b"\r\nRange: bytes=0-9\r\n", b"Range: bytes=5-\r\n", b"\r\nrange: bytes=0-9",
        b"\r\nRange: bytes=5-\r\n\r\n", b"\r\nRange: bytes=0-9, 11-12", b"\r\nRange: bytes=0\n", b"\r\nRange: bytes=0 ", b"", b"\r\n",
    ]
)  # fmt: skip


@settings(max_examples=400)
@given(st.lists(st.lists(st.tuples(places_of_block, ranges), max_size=2), min_size=1, max_size=6))
def test_a_range_anywhere_in_a_known_block_changes_no_verdict(heads):
    server = Server(lambda exchange: None)
    receive([BLOCK], server=server)
    for insertions in heads:
        data = BLOCK
        for place, text in sorted(insertions, reverse=True):
            data = data[:place] + text + data[place:]
        assert_known_is_as_new(server, data)


@given(st.lists(st.tuples(st.sampled_from([b"/a", b"/b", b"/c"]), ranges), max_size=8))
def test_heads_in_turn_on_one_connection_are_read_as_by_the_parser(heads):
    place = BLOCK.index(b"\r\nUser")
    sent = [BLOCK.replace(b"/a", target)[:place] + text + BLOCK[place:] for target, text in heads]

    seen, answers, open_ = receive(sent)

    parsed = []
    for data in sent:
        once = receive([data])
        parsed += once[0]
        if not once[2]:
            break
    assert _verdict((seen, answers, open_))[0] == _verdict((parsed, b"", True))[0]


@pytest.mark.parametrize("head_bytes", [60, 64, 70, 32 * 1024])
@pytest.mark.parametrize("header_count", [2, 3])
@pytest.mark.parametrize("value", [b"0-9", b"0-" + b"9" * 20, b"0-" + b"9" * 5000])
def test_limits_hold_for_known_blocks(head_bytes, header_count, value):
    limits = Limits(head_bytes=head_bytes, header_count=header_count)
    server = Server(lambda exchange: None, limits)
    receive([BLOCK], server=server)
    place = BLOCK.index(b"\r\nUser")
    for text in (b"\r\nRange: bytes=1-2", b"\r\nRange: bytes=" + value):
        assert_known_is_as_new(server, BLOCK[:place] + text + BLOCK[place:])


def assert_known_is_as_new(server, data):
    """One request has the same verdict from a server that never saw it, and twice on two connections of one that may have."""
    once = receive([data], server.limits)
    twice = receive([data, data], server.limits)
    for _ in range(2):
        assert _verdict(receive([data], server=server)) == _verdict(once)
    assert _verdict(receive([data, data], server=server)) == _verdict(twice)


def _verdict(received):
    seen, _, open_ = received
    return [(m, t, sorted(headers), body) for m, t, headers, body in seen], open_
