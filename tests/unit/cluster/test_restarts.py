from hypothesis import given
from hypothesis import strategies as st

from kinema.cluster.restarts import RestartPolicy


def test_the_first_restart_comes_at_once_and_each_further_one_later():
    policy = RestartPolicy(limit=8, first=0.05, factor=2.0, longest=1.0)
    assert [policy.ended(0.0) for _ in range(6)] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0]


def test_a_process_that_keeps_ending_is_left_alone():
    policy = RestartPolicy(limit=2, window=60.0)
    assert policy.ended(0.0) is not None
    assert policy.ended(1.0) is not None
    assert policy.ended(2.0) is None


def test_ends_are_forgotten_when_the_window_has_passed():
    policy = RestartPolicy(limit=1, window=60.0, first=0.05)
    assert policy.ended(0.0) == 0.05
    assert policy.ended(60.0) == 0.05


@given(st.lists(st.floats(min_value=0, max_value=30), max_size=50))
def test_within_any_window_there_are_no_more_restarts_than_the_limit(pauses):
    policy = RestartPolicy(limit=5, window=60.0)
    now, starts = 0.0, []
    for pause in pauses:
        now += pause
        if policy.ended(now) is not None:
            starts.append(now)
    for start in starts:
        assert sum(start <= other < start + 60.0 for other in starts) <= 5
