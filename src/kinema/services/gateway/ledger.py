"""What became of the requests, by category, and which of them took long."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from kinema.core.clock import Clock
from kinema.core.log import get_logger
from kinema.services.gateway.observing import Observing
from kinema.services.gateway.sparing import Sparing
from kinema.services.gateway.status import StatusCategory

if TYPE_CHECKING:
    from kinema.services.gateway.passage import Passage

_log = get_logger(__name__)


class LedgerSnapshot(msgspec.Struct, frozen=True):
    """Requests since the start by category; answers that were cut off after their head are in `cut` too."""

    categories: Mapping[str, int]
    cut: int


class Ledger:
    """One a gateway. `slow_seconds`: what takes longer to its first byte is logged with its timeline."""

    def __init__(self, clock: Clock, observing: Observing, slow_seconds: float = 5.0) -> None:
        self.now = clock.monotonic
        self.observing = observing
        self.slow_seconds = slow_seconds
        self.warnings = Sparing(clock)
        self._counts = [0] * len(StatusCategory)
        self._cut = 0

    def settled(self, passage: "Passage", status: int) -> None:
        """The head of an answer is about to be sent (status 499: the client went away before that)."""
        self._counts[passage.category.number] += 1
        seconds = self.now() - passage.begun
        self.observing.answered(passage, status, seconds)
        if seconds > self.slow_seconds:
            self._tell_slow(passage, status)

    def cut(self, category: StatusCategory) -> None:
        """An answer was cut off in the middle: its head had promised more."""
        self._counts[category.number] += 1
        self._cut += 1

    def snapshot(self) -> LedgerSnapshot:
        """Return the counts so far."""
        return LedgerSnapshot(
            {str(category): count for category in StatusCategory if (count := self._counts[category.number])}, self._cut
        )

    def _tell_slow(self, passage: "Passage", status: int) -> None:
        left_out = self.warnings.left_out(("slow", passage.lane.route.prefix))
        if left_out is None:
            return
        _log.warning(
            "slow request",
            method=passage.exchange.method,
            path=passage.path,
            status=status,
            trace_id=passage.trace_id,
            category=str(passage.category),
            timeline=passage.timeline(),
            like_it_left_out=left_out,
        )
