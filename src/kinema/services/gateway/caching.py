"""What a shared cache may keep and reuse: RFC 9111, cut down to the cases that are worth it. Pure.

kept       whole answers to GET with status 200, 203, 301, 404, 410 and a stated lifetime (s-maxage, max-age, Expires): nothing is guessed
not kept   no-store, private, no-cache, Set-Cookie, ranges, Vary: * or by who asks
signed in  only what says public or s-maxage (section 3.5): nothing that was made for one account reaches another
reused     while younger than its lifetime, for requests whose fields in Vary are the same (section 4)
stale      asked again with If-None-Match; with stale-if-error (RFC 5861) given instead of a 5xx for that long
"""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec

from kinema.http import Headers
from kinema.services.gateway.answer import Answer, HeaderList

_STATUSES = frozenset({200, 203, 301, 404, 410})
_BY_WHO_ASKS = frozenset((b"authorization", b"cookie", b"x-kinema-identity", b"x-forwarded-for", b"traceparent"))
_LONGEST_SECONDS = 366 * 86_400.0


class Stored(msgspec.Struct):
    """An answer that was kept. `fresh_until` and `usable_until` (for stale-if-error) are times of the steady clock."""

    status: int
    fields: Headers
    body: bytes
    etag: bytes | None
    born: float
    fresh_until: float
    usable_until: float
    varying: tuple[tuple[bytes, bytes | None], ...]

    @property
    def size(self) -> int:
        """Bytes that it takes, roughly."""
        return len(self.body) + sum(len(name) + len(value) + 100 for name, value in self.fields) + 500

    def matches(self, headers: Headers) -> bool:
        """Say whether a request's fields are those that this answer was chosen by."""
        return all(headers.get(name) == value for name, value in self.varying)


def directives(values: list[bytes]) -> Mapping[bytes, bytes]:
    """Read Cache-Control: names in lower case, values without quotes, empty without one. Of two, the first counts."""
    found: dict[bytes, bytes] = {}
    for line in values:
        for part in line.split(b","):
            name, _, value = part.strip().partition(b"=")
            if name:
                found.setdefault(name.strip().lower(), value.strip().strip(b'"'))
    return found


def may_use(headers: Headers) -> bool:
    """Say whether a request may be answered from a cache at all."""
    if b"range" in headers or b"if-match" in headers or b"if-unmodified-since" in headers or b"if-range" in headers:
        return False
    control = headers.get_all(b"cache-control")
    if not control:
        return b"no-cache" not in (headers.get(b"pragma") or b"").lower()
    found = directives(control)
    return not (b"no-store" in found or b"no-cache" in found or b"max-age" in found or b"min-fresh" in found)


def stored(answer: Answer, body: bytes, asked: Headers, now: float, *, signed_in: bool) -> Stored | None:
    """Return what to keep of an answer to a GET with these fields; None: nothing. `now` is of the steady clock."""
    control = directives(answer.get_all(b"cache-control"))
    if answer.status not in _STATUSES or any(name in control for name in (b"no-store", b"private", b"no-cache")):
        return None
    if answer.get(b"set-cookie") is not None or answer.get(b"content-range") is not None:
        return None
    if signed_in and b"public" not in control and b"s-maxage" not in control:
        return None
    lifetime = lifetime_of(answer, control)
    age = _seconds(answer.get(b"age")) or 0.0
    if lifetime is None or lifetime <= age:
        return None
    vary = {name.strip().lower() for line in answer.get_all(b"vary") for name in line.split(b",") if name.strip()}
    if b"*" in vary or not vary.isdisjoint(_BY_WHO_ASKS):
        return None
    fresh_until = now + lifetime - age
    stale = _seconds(control.get(b"stale-if-error")) or 0.0
    if b"must-revalidate" in control or b"proxy-revalidate" in control or b"s-maxage" in control:
        stale = 0.0
    return Stored(
        status=answer.status,
        fields=Headers.of(pair for pair in answer.fields if pair[0] != b"age"),
        body=body,
        etag=answer.get(b"etag"),
        born=now - age,
        fresh_until=fresh_until,
        usable_until=fresh_until + stale,
        varying=tuple((name, asked.get(name)) for name in sorted(vary)),
    )


def refreshed(old: Stored, answer: Answer, asked: Headers, now: float, *, signed_in: bool) -> Stored | None:
    """Return a kept answer that a 304 has confirmed, with the fields that this brought (section 4.3.4); None: drop it."""
    brought = {name for name, _ in answer.fields}
    fields: HeaderList = [pair for pair in old.fields if pair[0] not in brought] + answer.fields
    return stored(Answer(old.status, fields, old.body, len(old.body), []), old.body, asked, now, signed_in=signed_in)


def lifetime_of(answer: Answer, control: Mapping[bytes, bytes]) -> float | None:
    """Return for how many seconds from its birth an answer is fresh (section 4.2.1); None: it does not say."""
    for name in (b"s-maxage", b"max-age"):
        if name in control:
            return _seconds(control[name]) or 0.0
    expires, date = answer.get(b"expires"), answer.get(b"date")
    if expires is None or date is None:
        return None
    try:
        return min(_date(expires) - _date(date), _LONGEST_SECONDS)
    except (TypeError, ValueError):
        return 0.0  # an invalid date is one in the past


def _date(value: bytes) -> float:
    return parsedate_to_datetime(value.decode("latin-1")).timestamp()


def _seconds(value: bytes | None) -> float | None:
    return min(float(value), _LONGEST_SECONDS) if value and value.isdigit() else None
