"""Which calls are made again, and the header fields that travel with calls and replies."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.clock import ManualClock
from kinema.core.errors import BadInput
from kinema.resilience.deadline import Deadline
from kinema.resilience.headers import (
    RETRIED,
    SHED,
    Allowance,
    format_deadline,
    format_retry_after,
    marked,
    parse_deadline,
    parse_retry_after,
)
from kinema.resilience.retry import Failure, failure_of, may_retry, pause

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("key", [False, True])
@pytest.mark.parametrize("failure", Failure)
def test_the_table_of_the_module_holds(method, key, failure):
    anything = failure in {Failure.NOT_CONNECTED, Failure.SHED}
    repeatable = failure in {Failure.FAILED, Failure.TIMED_OUT, Failure.CUT_OFF}
    harmless = key or method in {"GET", "HEAD", "OPTIONS"}
    assert may_retry(method, failure, idempotency_key=key) == (anything or (repeatable and harmless))


@pytest.mark.parametrize(
    ("status", "fields", "expected"),
    [
        (200, {}, None),
        (304, {RETRIED: b"1"}, None),
        (404, {}, None),
        (404, {RETRIED: b"1"}, None),
        (429, {}, None),
        (429, {SHED: b"1"}, Failure.SHED),
        (500, {}, Failure.FAILED),
        (501, {}, Failure.FINAL),
        (502, {}, Failure.FINAL),
        (503, {}, Failure.FAILED),
        (504, {}, Failure.FINAL),
        (503, {SHED: b"1"}, Failure.SHED),
        (503, {SHED: b"yes"}, Failure.FAILED),
        (503, {RETRIED: b"1"}, Failure.FINAL),
        (503, {SHED: b"1", RETRIED: b"1"}, Failure.FINAL),
    ],
)
def test_what_a_reply_means(status, fields, expected):
    assert failure_of(status, fields.get) is expected


@pytest.mark.parametrize(
    ("wait", "retry_after", "remaining", "expected"),
    [
        (0.1, None, 1.0, 0.1),
        (0.1, 0.5, 1.0, 0.5),
        (0.6, 0.5, 1.0, 0.6),
        (0.1, 1.0, 1.0, None),
        (0.1, 30.0, 1.0, None),
        (0.1, None, 0.05, None),
        (0.0, None, 0.0, None),
    ],
)
def test_a_retry_waits_as_long_as_it_is_asked_to_or_is_not_made(wait, retry_after, remaining, expected):
    assert pause(wait, retry_after, remaining) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"1500", Allowance(1.5, None)),
        (b"0", Allowance(0.0, None)),
        (b"86400000", Allowance(86400.0, None)),
        (b"1500;retries=0", Allowance(1.5, 0)),
        (b"1500;retries=12", Allowance(1.5, 12)),
    ],
)
def test_a_deadline_is_read(value, expected):
    assert parse_deadline(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"-1",
        b"+1",
        b"1.5",
        b"1e3",
        b" 1",
        b"1 ",
        b"1\n",
        b"0x10",
        b"86400001",
        b"999999999",
        b"\xd9\xa1",
        b"1;retries=",
        b"1;retries=-1",
        b"1;retries=100",
        b"1; retries=1",
        b"1;retries=1;retries=2",
        b"1;budget=1",
        b"1" * 10_000,
    ],
)
def test_any_other_form_of_a_deadline_is_refused(value):
    with pytest.raises(BadInput, match="whole milliseconds") as refusal:
        parse_deadline(value)
    assert len(str(refusal.value)) < 400


@given(seconds=st.floats(0, 86_400), retries=st.one_of(st.none(), st.integers(-5, 200)))
def test_what_is_written_is_read_back(seconds, retries):
    written = format_deadline(Deadline(ManualClock(0.0), seconds), retries)
    read = parse_deadline(written)
    assert read.seconds == pytest.approx(seconds, abs=0.001)
    assert read.retries == (None if retries is None else max(0, min(99, retries)))


@given(st.binary(max_size=40))
def test_whatever_comes_is_read_or_refused(value):
    try:
        read = parse_deadline(value)
    except BadInput:
        pass
    else:
        assert 0 <= read.seconds <= 86_400
    after = parse_retry_after(value, NOW)
    assert after is None or after >= 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"120", 120.0),
        (b"0", 0.0),
        (b"Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
        (b"Sunday, 06-Nov-94 08:49:47 GMT", 10.0),
        (b"Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        (b"Sun Nov  6 08:49:47 1994", 10.0),
        (b"", None),
        (b"-1", None),
        (b"1.5", None),
        (b"soon", None),
        (b"9" * 30, None),
        (b"Sun, 99 Nov 1994 08:49:47 GMT", None),
        (b"\xff\xfe", None),
        (b"Sun, 06 Nov 1994 " + b"0" * 100, None),
    ],
)
def test_retry_after_is_read_in_the_forms_of_the_rfc(value, expected):
    assert parse_retry_after(value, NOW) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, b"1"), (0.2, b"1"), (1.0, b"1"), (1.2, b"2"), (1e12, b"999999999")]
)
def test_retry_after_is_written_in_whole_seconds_and_never_too_short(seconds, expected):
    assert format_retry_after(seconds) == expected


def test_only_a_one_marks():
    assert [marked(value) for value in (b"1", b"true", b"", b"11", None)] == [True, False, False, False, False]
