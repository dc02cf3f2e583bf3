"""The windows, held against lists."""

from hypothesis import given
from hypothesis import strategies as st

from kinema.resilience.windows import CountWindow, TimeWindow

CALLS = st.lists(st.tuples(st.floats(0, 4), st.booleans(), st.booleans()), max_size=120)


@given(calls=CALLS, seconds=st.sampled_from([1.0, 10.0, 7.0]), buckets=st.integers(1, 12))
def test_by_time_the_sums_are_those_of_the_buckets_in_the_window(calls, seconds, buckets):
    window, now, seen = TimeWindow(seconds, buckets), 1000.0, []
    for gap, failed, slow in calls:
        now += gap
        window.record(now, failed=failed, slow=slow)
        seen.append((int(now * (buckets / seconds)), failed, slow))
        inside = [call for call in seen if call[0] > seen[-1][0] - buckets]
        assert window.calls == len(inside)
        assert window.failures == sum(call[1] for call in inside)
        assert window.slow == sum(call[2] for call in inside)
    window.advance(now + seconds)
    assert (window.calls, window.failures, window.slow) == (0, 0, 0)


@given(calls=CALLS, size=st.integers(1, 20), clear_at=st.integers(0, 120))
def test_by_count_the_sums_are_those_of_the_last_calls(calls, size, clear_at):
    window, seen = CountWindow(size), []
    for number, (_, failed, slow) in enumerate(calls):
        if number == clear_at:
            window.clear()
            seen.clear()
        window.record(0.0, failed=failed, slow=slow)
        seen.append((failed, slow))
        last = seen[-size:]
        assert (window.calls, window.failures, window.slow) == (
            len(last),
            sum(call[0] for call in last),
            sum(call[1] for call in last),
        )


def test_a_clock_that_stands_still_or_an_old_time_changes_nothing():
    window = TimeWindow(10.0, 10)
    window.record(100.0, failed=True, slow=False)
    window.advance(50.0)
    window.record(99.0, failed=True, slow=False)
    assert (window.calls, window.failures) == (2, 2)
