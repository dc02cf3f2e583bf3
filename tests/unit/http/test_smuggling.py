"""Requests whose end two parties could see in different places: each is refused with 400 and the connection closed."""

import pytest

from tests.unit.http.wire import receive

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n"
NEXT = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

CORPUS = {
    "content-length with transfer-encoding": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding with content-length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two different lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "the same length twice": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a length with a sign": POST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": POST + b"Content-Length: -3\r\n\r\nabc",
    "a hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "a length with a space inside": POST + b"Content-Length: 1 2\r\n\r\nabcdefghijkl",
    "an empty length": POST + b"Content-Length:\r\n\r\n",
    "a length beyond 64 bits": POST + b"Content-Length: 99999999999999999999999\r\n\r\n",
    "an unknown transfer coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "chunked is not last": POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked and another coding": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two fields": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked misspelt": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked behind a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "chunked in HTTP/1.0": b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a space before the name": GET + b" X: y\r\n\r\n",
    "a folded line": GET + b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n",
    "a folded line with a tab": GET + b"X: y\r\n\tz\r\n\r\n",
    "a folded first line": b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
    "a bare LF after the request line": b"GET / HTTP/1.1\nHost: a\r\n\r\n",
    "a bare LF after a field": b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
    "a bare LF at the end of the head": b"GET / HTTP/1.1\r\nHost: a\r\n\n",
    "a bare CR in a value": GET + b"X: a\rb\r\n\r\n",
    "a bare CR before the end": GET + b"X: a\r\r\n\r\n",
    "a NUL in a value": GET + b"X: a\0b\r\n\r\n",
    "a NUL in a name": GET + b"X\0: a\r\n\r\n",
    "an empty name": GET + b": a\r\n\r\n",
    "a name in brackets": GET + b"X[]: a\r\n\r\n",
    "a line without a colon": GET + b"Transfer-Encoding chunked\r\n\r\n",
    "a control character in a value": GET + b"X: a\x01b\r\n\r\n",
    "a chunk size with 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a sign": CHUNKED + b"+3\r\nabc\r\n0\r\n\r\n",
    "a negative chunk size": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a space before": CHUNKED + b" 3\r\nabc\r\n0\r\n\r\n",
    "a chunk size with a space behind": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "an empty chunk size": CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
    "a chunk size beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\nabc",
    "a chunk ended by a bare LF": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "chunk data ended by a bare LF": CHUNKED + b"3\r\nabc\n0\r\n\r\n",
    "chunk data longer than said": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "a bare CR in a chunk extension": CHUNKED + b"3;x=\ry\r\nabc\r\n0\r\n\r\n",
    "a bare LF in a chunk extension": CHUNKED + b"3;x=\ny\r\nabc\r\n0\r\n\r\n",
    "no Host": b"GET / HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "an address of another host": b"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "a Host that is no host": b"GET / HTTP/1.1\r\nHost: a/../b\r\n\r\n",
    "a Host with a user": b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a tab for a space": b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
    "a target with a fragment": b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
    "a raw byte in the target": b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
    "a control character in the target": b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    "HTTP/0.9": b"GET /\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
    "lower-case http": b"GET / http/1.1\r\nHost: a\r\n\r\n",
    "RTSP": b"PLAY / RTSP/1.0\r\nHost: a\r\n\r\n",
    "an HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a method nobody knows": b"SMUGGLE / HTTP/1.1\r\nHost: a\r\n\r\n",
    "CONNECT": b"CONNECT b:80 HTTP/1.1\r\nHost: b:80\r\n\r\n",
    "an upgrade with a body": POST + b"Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 3\r\n\r\nabc",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}  # fmt: skip


@pytest.mark.parametrize("attack", CORPUS.values(), ids=CORPUS.keys())
@pytest.mark.parametrize("piecemeal", [False, True], ids=["whole", "byte by byte"])
def test_an_ambiguous_request_is_refused_and_what_follows_is_not_read(attack, piecemeal):
    data = attack + NEXT

    seen, answers, open_ = receive([bytes([byte]) for byte in data] if piecemeal else [data])

    assert [target for _, target, _, _ in seen] == []
    assert answers.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 "))
    assert b"connection: close" in answers
    assert answers.count(b"HTTP/1.1 400 ") + answers.count(b"HTTP/1.1 501 ") == 1
    assert not open_


@pytest.mark.parametrize("attack", CORPUS.values(), ids=CORPUS.keys())
def test_a_good_request_before_it_is_answered_first(attack):
    seen, answers, _ = receive([GET + b"\r\n" + attack + NEXT])

    assert [target for _, target, _, _ in seen] == ["/"]
    assert answers.startswith(b"HTTP/1.1 200 ")
    assert answers.count(b"HTTP/1.1 400 ") + answers.count(b"HTTP/1.1 501 ") == 1


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n" + GET + b"\r\n", 2),
        (b"\r\n" + GET + b"\r\n", 1),
        (b"GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", 1),
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 1),
        (b"GET / HTTP/1.0\r\n\r\n", 1),
        (CHUNKED + b"3;name=value\r\nabc\r\n0\r\nTrailer: x\r\n\r\n", 1),
        (GET + b"X:\ty \t\r\n\r\n", 1),
        (GET + b"X: \xe9\r\n\r\n", 1),
    ],
    ids=[
        "offered upgrade",
        "empty line first",
        "absolute form",
        "asterisk",
        "1.0",
        "extension and trailer",
        "blanks",
        "latin-1",
    ],
)
def test_what_is_unusual_but_sound_is_answered(data, count):
    seen, answers, _ = receive([data])

    assert len(seen) == count
    assert answers.count(b"HTTP/1.1 200 ") == count
