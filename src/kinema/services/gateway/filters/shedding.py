"""When there is more to do than can be done, the gateway leaves out what matters least, before anything is asked or read.

Two things press: the requests to a service that are under way, in what the adaptive limits of its instances allow, and the
time that work waits for its turn in this process. Which class is cut from where on: kinema.resilience.shedding. The services
do the same by their own measures (rpc/admission.py): the gateway sees what all clients want, a service sees what it costs.
"""

from typing import TYPE_CHECKING, ClassVar

from kinema.http import encode_fields
from kinema.resilience.codel import CoDel
from kinema.resilience.headers import MARKED, SHED
from kinema.resilience.shedding import Shedder, queue_pressure
from kinema.rpc.loop_delay import LoopDelay
from kinema.services.gateway.passage import Passage
from kinema.services.gateway.routes import Route
from kinema.services.gateway.status import StatusCategory

if TYPE_CHECKING:
    from kinema.model.shedding import SheddingState
    from kinema.services.gateway.filters import Parts

_LOOK_SECONDS = 0.001  # a measure of the delay is made every few milliseconds at most
_LINE = encode_fields(((SHED, MARKED),))


class Shedding:
    """Raises Shed."""

    order: ClassVar[int] = 35

    def __init__(self, parts: "Parts") -> None:
        self._pressure = parts.rpc.balancer.pressure
        self._now = parts.clock.monotonic
        self._codel = CoDel()
        self._delay = LoopDelay(parts.clock, self._waited)
        self._shedder = Shedder()
        parts.shedding = self.snapshot
        self._delayed = 0.0  # the pressure of the delay, as of the last look
        self._look_at = float("-inf")

    def applies_to(self, route: Route, *, opened: bool) -> bool:
        """All that is handed on to a service and has a time; uploads take as long as they take."""
        del opened
        return route.endpoint == "proxy" and not route.streaming

    def apply(self, passage: Passage) -> None:
        """Refuse a request if it is one of those that are left out."""
        if passage.begun >= self._look_at:
            self._look_at = passage.begun + _LOOK_SECONDS
            self._delay.measure()
            self._delayed = queue_pressure(self._codel.excess(self._now()))
        pressure = self._pressure(passage.lane.route.service)
        if pressure < self._delayed:  # noqa: PLR1730 -- for every request; max() costs three times as much
            pressure = self._delayed
        if not self._shedder.admits(passage.priority, pressure):
            error = self._shedder.refusal("This service")
            passage.category = StatusCategory.FAILURE_LOCAL_THROTTLED_ORIGIN_CONCURRENCY
            passage.lines.append(_LINE)
            raise error

    def snapshot(self) -> "SheddingState":
        """Return what was refused by class, and what presses: `pressure` is that of the last request."""
        return self._shedder.snapshot(0, 0, self._codel.standing(self._now()))

    def _waited(self, seconds: float) -> None:
        self._codel.waited(self._now(), seconds)
