"""How a call survives a bad moment: a deadline, a budget for retries, waits that do not beat in step. Pure, on an injected clock."""

from kinema.resilience.backoff import FullJitter
from kinema.resilience.deadline import Deadline
from kinema.resilience.retry_budget import RetryBudget

__all__ = ["Deadline", "FullJitter", "RetryBudget"]
