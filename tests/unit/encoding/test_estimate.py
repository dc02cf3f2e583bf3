"""How far a job is and how long it will take."""

import pytest

from kinema.model.encoding import RungProgress
from kinema.services.encoding.estimate import Estimate


def test_parts_weigh_what_they_cost_and_time_left_counts_this_run_only():
    estimate = Estimate()
    assert (estimate.progress, estimate.remaining_seconds(10)) == (0.0, None)
    estimate.expect("first", 10, rung=True)
    estimate.expect("plan", 20, rung=False)
    estimate.expect("top", 70, rung=True)
    estimate.step("first", 10, found=True)
    assert estimate.progress == pytest.approx(0.1)
    assert estimate.remaining_seconds(10) is None
    estimate.step("plan", 20, found=False)
    # Twenty of what is left were done in ten seconds; seventy take thirty-five.
    assert estimate.remaining_seconds(10) == pytest.approx(35)
    estimate.published("first")
    estimate.step("top", 35, found=False)
    assert estimate.rungs() == (
        RungProgress("first", "published", 1.0),
        RungProgress("top", "encoding", 0.5),
    )
    estimate.failed()
    assert estimate.rungs()[1].state == "failed"


def test_an_expectation_is_corrected_and_never_overrun():
    estimate = Estimate()
    estimate.step("plan", 5, found=False)
    estimate.expect("plan", 10, rung=False)
    estimate.expect("top", 10, rung=True)
    assert estimate.progress == pytest.approx(0.25)
    for _ in range(9):
        estimate.step("plan", 5, found=False)
    assert estimate.progress == pytest.approx(0.5)
    estimate.drop("top")
    assert (estimate.progress, estimate.rungs()) == (1.0, ())
