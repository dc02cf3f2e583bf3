"""What the fields of a request say, read once for each distinct block of fields.

The HTTP core hands out the same `Headers` object for requests whose fields are the same bytes, which is what browsers and
scripts send most of the time; the result is kept on it. So nothing here may depend on anything but the fields.
"""

from kinema.core import spans as tracing
from kinema.core.faults import HEADER as FAULT
from kinema.core.priority import HEADER as PRIORITY
from kinema.core.priority import Priority, lowered, priority_of
from kinema.http import Headers, encode_fields
from kinema.http.headers import HOP_BY_HOP

COOKIE = b"kinema_session"
_PASSPORT = b"x-kinema-passport"
_PRIORITY = PRIORITY.encode()
_FAULT = FAULT.encode()

# Beside hop-by-hop fields: credentials, and what the gateway itself says about a request.
_DROPPED = HOP_BY_HOP | {
    b"authorization",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"traceparent",
    b"tracestate",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-real-ip",
}


class Reading:
    """`lines` are the fields that may pass to a service, encoded; `secret` is the credential (from a cookie if `by_cookie`).

    `trace` is what the client said of its trace, if anything valid; `passport` says whether a timeline is wanted;
    `passed` are the ways on which a request with these fields has passed all filters;
    `priority` is the class that the sender wishes, if any, and `fault` a fault header that it brought, not looked at.
    """

    __slots__ = ("by_cookie", "fault", "host", "lines", "passed", "passport", "priority", "secret", "trace")

    def __init__(self, headers: Headers) -> None:
        self.lines = encode_fields(_passed_on(headers))
        self.host = headers.get(b"host") or b""
        self.trace = _trace_of(headers)
        self.passport = _PASSPORT in headers
        self.passed: set[object] = set()
        self.priority = wished_priority(headers)
        self.fault = headers.get(_FAULT)
        self.secret = bearer_of(headers)
        self.by_cookie = not self.secret
        if self.by_cookie:
            self.secret = cookie_of(headers)


def reading_of(headers: Headers) -> Reading:
    """Return what these fields say."""
    found = headers.memo
    if found.__class__ is Reading:
        return found
    reading = headers.memo = Reading(headers)
    return reading


def wished_priority(headers: Headers) -> Priority | None:
    """Return the class that the sender asks for: by its name, or as something that is only fetched ahead."""
    named = priority_of(headers.get(_PRIORITY))
    purpose = headers.get(b"sec-purpose") or headers.get(b"purpose") or b""
    if purpose.partition(b";")[0].strip().lower() == b"prefetch":
        return lowered(Priority.BEST_EFFORT, named)
    return named


def bearer_of(headers: Headers) -> bytes:
    """Return the token of `Authorization: Bearer ...` (RFC 6750), or nothing."""
    value = headers.get(b"authorization")
    if value is None or value[:7].lower() != b"bearer ":
        return b""
    return value[7:].strip()


def cookie_of(headers: Headers) -> bytes:
    """Return the value of the session cookie, or nothing."""
    return cookie_value(headers, COOKIE)


def cookie_value(headers: Headers, wanted: bytes) -> bytes:
    """Return the value of a cookie (RFC 6265), or nothing."""
    for line in headers.get_all(b"cookie"):
        for pair in line.split(b";"):
            name, _, value = pair.partition(b"=")
            if name.strip() == wanted:
                return value.strip()
    return b""


def _trace_of(headers: Headers) -> tracing.TraceParent | None:
    parents = headers.get_all(tracing.TRACEPARENT)
    return tracing.parse(parents[0], b",".join(headers.get_all(tracing.TRACESTATE))) if len(parents) == 1 else None


def _passed_on(headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    """Return the end-to-end fields less credentials, claims (x-kinema-*) and those that Connection names."""
    dropped = set(_DROPPED)
    for line in headers.get_all(b"connection"):
        dropped.update(name.strip().lower() for name in line.split(b","))
    passed = (pair for pair in headers if pair[0] not in dropped and not pair[0].startswith(b"x-kinema-"))
    # Compressing an answer weakened its tag, and If-Match compares strongly (RFC 9110, 13.1.1).
    return tuple(
        (name, value.replace(b'W/"', b'"')) if name == b"if-match" else (name, value) for name, value in passed
    )
