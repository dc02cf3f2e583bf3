"""How far a job is and how long it will still take, from what its steps were expected to cost and how fast they went.

A job has parts: its rungs, and the planning between the first and the others. Each part is expected to take some
processor time, roughly before it is planned and by the sum of its steps' costs afterwards. Done is what its finished steps
were expected to cost, so errors of the expectation cancel out: the speed is expected seconds done in a second of this run.
What was found finished counts as done and says nothing of the speed.
"""

from kinema.model.encoding import RungProgress, RungState

_LEAST_SECONDS = 0.5  # before that, a speed means nothing


class Estimate:
    """Progress over all parts of a job."""

    def __init__(self) -> None:
        self._expected: dict[str, float] = {}
        self._done: dict[str, float] = {}
        self._states: dict[str, RungState] = {}
        self._found = 0.0

    def expect(self, part: str, cpu_seconds: float, *, rung: bool) -> None:
        """Say what a part will cost; a second call corrects the first. Rungs are shown, in the order in which they are told."""
        self._expected[part] = max(cpu_seconds, self._done.get(part, 0.0), 1e-6)
        self._done.setdefault(part, 0.0)
        if rung:
            self._states.setdefault(part, "waiting")

    def drop(self, part: str) -> None:
        """A part is not needed after all."""
        for kept in (self._expected, self._done, self._states):
            kept.pop(part, None)

    def begun(self, part: str) -> None:
        """A part is worked on."""
        if self._states.get(part) == "waiting":
            self._states[part] = "encoding"

    def step(self, part: str, cpu_seconds: float, *, found: bool) -> None:
        """A step of a part, expected to cost this, has ended; `found` when that was before this run."""
        if part not in self._expected:
            self.expect(part, cpu_seconds, rung=False)
        self.begun(part)
        before = self._done[part]
        self._done[part] = min(self._expected[part], before + cpu_seconds)
        if found:
            self._found += self._done[part] - before

    def ended(self, part: str) -> None:
        """A part is done."""
        if part in self._expected:
            self._done[part] = self._expected[part]

    def published(self, part: str) -> None:
        """A rung can be played."""
        self.ended(part)
        self._states[part] = "published"

    def failed(self) -> None:
        """Whatever is not published will not be."""
        for part, state in self._states.items():
            if state == "encoding":
                self._states[part] = "failed"

    @property
    def progress(self) -> float:
        """Share of all work that is done, 0 to 1."""
        total = sum(self._expected.values())
        return min(1.0, sum(self._done.values()) / total) if total else 0.0

    def remaining_seconds(self, worked_seconds: float) -> float | None:
        """Return the seconds that the rest will take at this run's speed; None before there is one."""
        done = sum(self._done.values())
        speed = (done - self._found) / worked_seconds if worked_seconds > _LEAST_SECONDS else 0.0
        return (sum(self._expected.values()) - done) / speed if speed > 0 else None

    def rungs(self) -> tuple[RungProgress, ...]:
        """Return each rung's state, in the order of encoding."""
        return tuple(
            RungProgress(
                name=name,
                state=state,
                progress=round(1.0 if state == "published" else self._done[name] / self._expected[name], 4),
            )
            for name, state in self._states.items()
        )
