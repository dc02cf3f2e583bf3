"""How many instances a group should have. Pure: time and demand come in, a number goes out.

demand      what the instances use together, in instances' worth: three at 50 % use 1.5. What was refused for want of
capacity counts too, else a group that sheds would look content
smooth      level and trend of demand, by Holt's double exponential smoothing (C. C. Holt, 1957; reprinted in Int. J.
Forecasting 20, 2004), the weights made independent of how often is measured
predict     demand at `warm_up_seconds` from now: what an instance that is started now will meet when it is ready
wanted      the larger of demand and prediction, divided by `target`, rounded up, within `least` and `most`;
a tenth around the target changes nothing, as in Kubernetes' HorizontalPodAutoscaler
out         to `wanted` at once, but never to more than twice as many; then not again until those are warm
in          to the largest `wanted` of the last `in_seconds`, one at a time, so that a lull does not cost the next peak
"""

import math
from collections import deque

import msgspec

TOLERANCE = 0.1


class Plan(msgspec.Struct, frozen=True):
    """What a group may do. `target` is the share of one instance that shall be used; times in seconds."""

    least: int
    most: int
    target: float = 0.6
    warm_up_seconds: float = 5.0
    in_seconds: float = 120.0
    smoothing_seconds: float = 4.0
    """How far back level and trend look: the time after which a measurement has lost two thirds of its weight."""


class Autoscaler:
    """One group. Ask `desired` at every measurement."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.predicted = 0.0
        self._level = 0.0
        self._trend = 0.0
        self._at: float | None = None
        self._out_at = float("-inf")
        self._in_at = float("-inf")
        self._wanted: deque[tuple[float, int]] = deque()

    def desired(self, now: float, demand: float, running: int) -> int:
        """Return how many instances there should be, of which `running` are started now (at least one)."""
        plan = self.plan
        self._smooth(now, demand)
        self.predicted = max(0.0, self._level + self._trend * plan.warm_up_seconds)
        load = max(demand, self.predicted)
        wanted = min(plan.most, max(plan.least, math.ceil(round(load / plan.target, 3))))
        if abs(load / (plan.target * running) - 1.0) <= TOLERANCE and plan.least <= running <= plan.most:
            wanted = running
        self._remember(now, wanted)
        if wanted > running:
            if now - self._out_at < plan.warm_up_seconds:
                return running
            self._out_at = now
            return min(wanted, 2 * running)
        peak = max(wanted for _, wanted in self._wanted)
        covered = now - self._wanted[0][0] >= plan.in_seconds * 0.9
        if peak < running and covered and now - self._in_at >= plan.warm_up_seconds:
            self._in_at = now
            return running - 1
        return running

    def _smooth(self, now: float, demand: float) -> None:
        if self._at is None:
            self._level, self._at = demand, now
            return
        step = now - self._at
        if step <= 0:
            return
        weight = 1.0 - math.exp(-step / self.plan.smoothing_seconds)
        expected = self._level + self._trend * step
        level = expected + weight * (demand - expected)
        self._trend += weight * ((level - self._level) / step - self._trend)
        self._level, self._at = level, now

    def _remember(self, now: float, wanted: int) -> None:
        while self._wanted and self._wanted[0][0] < now - self.plan.in_seconds:
            self._wanted.popleft()
        self._wanted.append((now, wanted))
