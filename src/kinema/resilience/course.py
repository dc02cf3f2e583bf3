"""One call on its way through its attempts: whether there is another one, and after which wait."""

from typing import Any

from kinema.resilience.attempt import Attempt
from kinema.resilience.deadline import Deadline
from kinema.resilience.errors import RateLimited, Refused
from kinema.resilience.guards import Event
from kinema.resilience.parts import Parts
from kinema.resilience.retry import Failure, may_retry, pause

_ALMOST = 0.001  # seconds; timers may be early by the event loop's resolution


class Course:
    """Made when the call begins. `once`: it has one attempt, whatever the policy says."""

    __slots__ = ("_left", "_parts", "deadline", "wait")

    def __init__(self, parts: Parts, deadline: Deadline | None, *, once: bool = False) -> None:
        self._parts = parts
        self._left = 0 if once or parts.retry is None else parts.retry.attempts - 1
        self.deadline = deadline
        self.wait = 0.0
        parts.budget.called()

    @property
    def late(self) -> bool:
        """Whether the deadline has passed, as far as timers can tell."""
        return self.deadline is not None and self.deadline.remaining < _ALMOST

    def spend(self) -> bool:
        """Take what a further attempt costs: a token of the budget, and one of the retries that the caller granted."""
        deadline = self.deadline
        if deadline is not None and deadline.retries == 0:
            return False
        return self._parts.budget.take() and (deadline is None or deadline.spend())

    def failed(self, error: Exception, attempt: Attempt) -> bool:
        """Say whether there is another attempt after one that raised; it comes `wait` seconds later."""
        if self._left <= 0:
            return False
        if not attempt.begun and isinstance(error, Refused):
            return False  # by our own parts, which would say the same again
        failure = Failure.SHED if isinstance(error, RateLimited) else self._parts.judge_error(error)
        return self._again(failure, getattr(error, "retry_after", None))

    def answered(self, result: Any) -> bool:
        """Say whether there is another attempt after one that brought this answer; it comes `wait` seconds later."""
        judge = self._parts.judge_result
        if self._left <= 0 or judge is None:
            return False
        return self._again(judge(result), getattr(result, "retry_after", None))

    def _again(self, failure: Failure | None, retry_after: float | None) -> bool:
        retry = self._parts.retry
        if retry is None or failure is None or not may_retry("", failure, idempotency_key=self._parts.idempotent):
            return False
        remaining = float("inf") if self.deadline is None else self.deadline.remaining
        wait = pause(retry.backoff.wait(retry.attempts - 1 - self._left), retry_after, remaining)
        if wait is None or not self.spend():
            return False
        self._left -= 1
        self.wait = wait
        self._parts.guards.count(Event.RETRY)
        return True
