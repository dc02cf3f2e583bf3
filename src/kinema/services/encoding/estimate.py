"""How far a job is and how long it will still take, from the work done so far and the speed at which it was done."""

from fractions import Fraction

from kinema.model.encoding import RungProgress, RungState
from kinema.services.encoding.inspection import Facts
from kinema.services.encoding.ladder import Rung

_PRESET_COST = {"superfast": 1.0, "fast": 2.5}  # CPU time per pixel written, against superfast; measured on 720p clips
_DECODE_COST = 0.3  # reading and scaling a pixel of the source, in the same unit


def rung_cost(facts: Facts, rung: Rung) -> float:
    """Return the expected work for a rung, in a unit of its own: pixels written at the preset's cost and pixels read."""
    pictures = facts.duration_seconds * Fraction(facts.frame_rate)
    written = rung.width * rung.height * _PRESET_COST[rung.preset]
    return float(pictures) * (written + facts.width * facts.height * _DECODE_COST)


class Estimate:
    """Progress over all rungs of a job. Speed counts only what this run has done, not what it found finished."""

    def __init__(self, facts: Facts, rungs: tuple[Rung, ...]) -> None:
        self._costs = {rung.name: rung_cost(facts, rung) for rung in rungs}
        self._states: dict[str, RungState] = dict.fromkeys(self._costs, "waiting")
        self._shares = dict.fromkeys(self._costs, 0.0)
        self._found = 0.0

    def working(self, name: str, share: float) -> None:
        """Note the share (0 to 1) of a rung that is encoded."""
        self._states[name] = "encoding"
        self._shares[name] = share

    def published(self, name: str, *, found: bool) -> None:
        """Note that a rung is published; `found` when its encoding was finished before this run."""
        self._states[name] = "published"
        self._shares[name] = 1.0
        if found:
            self._found += self._costs[name]

    def failed(self, name: str) -> None:
        """Note that a rung could not be made."""
        self._states[name] = "failed"

    @property
    def progress(self) -> float:
        """Share of all work that is done, 0 to 1."""
        return self._done() / sum(self._costs.values())

    def remaining_seconds(self, worked_seconds: float) -> float | None:
        """Return the seconds that the rest will take at this run's speed; None before there is one."""
        speed = (self._done() - self._found) / worked_seconds if worked_seconds > 0.5 else 0.0
        return (sum(self._costs.values()) - self._done()) / speed if speed > 0 else None

    def rungs(self) -> tuple[RungProgress, ...]:
        """Return each rung's state, in the order of encoding."""
        return tuple(
            RungProgress(name=name, state=self._states[name], progress=round(self._shares[name], 4))
            for name in self._costs
        )

    def _done(self) -> float:
        return sum(self._costs[name] * share for name, share in self._shares.items())
