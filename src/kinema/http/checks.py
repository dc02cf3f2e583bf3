"""What llhttp lets through in a request head and RFC 9112 does not (3.2 and 6.1), and our limits. Pure."""

from kinema.http.headers import Fields
from kinema.http.limits import Limits

# What may stand in a Host: a registered name, an IPv4 address, an IPv6 address in brackets, a port (RFC 3986, 3.2.2).
_HOST_BYTES = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~:[]%!$&'()*+,;="


class HeadRefused(Exception):
    """A head that is not taken: the status to answer with, and a sentence for the client."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def check_size(url: bytes, fields: dict[bytes, bytes], more: Fields, fed: int, limits: Limits) -> None:
    """Raise HeadRefused when a head is larger than the limits allow. `fed` is the bytes it came in, or a little more."""
    if len(url) > limits.target_bytes:
        raise HeadRefused(414, f"The request target is longer than {limits.target_bytes} bytes.")
    if len(fields) + len(more) > limits.header_count:
        raise HeadRefused(431, f"The request has more than {limits.header_count} header fields.")
    if fed > limits.head_bytes and sum(len(n) + len(v) for n, v in (*fields.items(), *more)) > limits.head_bytes:
        raise HeadRefused(431, f"The request head is larger than {limits.head_bytes} bytes.")


def check_fields(method: bytes, url: bytes, fields: dict[bytes, bytes], more: Fields, *, http_1_1: bool) -> bytes:
    """Return the target as path and query. Raises HeadRefused for a head that two parties could read in two ways."""
    host = fields.get(b"host")
    if host is None and http_1_1:
        raise HeadRefused(400, "An HTTP/1.1 request needs a Host field.")
    if more and any(name == b"host" for name, _ in more):
        raise HeadRefused(400, "A request has one Host field.")
    if host is not None and host.translate(None, _HOST_BYTES):
        raise HeadRefused(400, "The Host field is not the name of a host.")
    if url[:1] != b"/":
        url = _origin_form(method, url, host or b"")
    if not url.isascii() or b"#" in url:
        raise HeadRefused(400, "The request target has a fragment, or bytes that are not ASCII; percent-encode them.")
    coding = fields.get(b"transfer-encoding")
    if coding is not None and (coding.lower() != b"chunked" or not http_1_1):
        raise HeadRefused(400, "The only transfer coding taken here is chunked, in HTTP/1.1.")
    return url


def _origin_form(method: bytes, url: bytes, host: bytes) -> bytes:
    """Turn `http://host/path` into `/path` if the authority is that of Host."""
    if url == b"*" and method == b"OPTIONS":
        return url
    scheme, _, rest = url.partition(b"://")
    authority, slash, path = rest.partition(b"/")
    if scheme.lower() != b"http" or authority.lower() != host.lower():
        raise HeadRefused(400, "The request target is neither a path nor an address of this host.")
    return slash + path or b"/"
