"""W3C trace context (https://www.w3.org/TR/trace-context/): one trace id from the front door through every call below it."""

import random
import re

HEADER = b"traceparent"
_FORM = re.compile(rb"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")
_NO_TRACE = "0" * 32


def new_trace_id() -> str:
    """Return 32 hexadecimal digits; random, not secret."""
    return f"{random.getrandbits(128) or 1:032x}"


def new_trace() -> tuple[str, bytes]:
    """Return a new trace id and the header value for its first call: `traceparent(new_trace_id())` by one draw."""
    digits = f"{random.getrandbits(192) or 1:048x}"
    trace_id = digits[:32]
    return trace_id, f"00-{trace_id}-{digits[32:]}-01".encode()


def trace_id_of(traceparent: bytes | None) -> str | None:
    """Return the trace id of a valid header value, else None."""
    found = _FORM.fullmatch(traceparent) if traceparent else None
    trace_id = found.group(1).decode() if found else _NO_TRACE
    return None if trace_id == _NO_TRACE else trace_id


def traceparent(trace_id: str) -> bytes:
    """Return a header value for a call inside this trace: a new span id, sampled."""
    return f"00-{trace_id}-{random.getrandbits(64) or 1:016x}-01".encode()
