"""How far one run of a job is: what it is doing, what its parts have cost so far, and how long the rest will take."""

import resource
from collections.abc import Callable

from kinema.core.clock import Clock
from kinema.services.encoding.estimate import Estimate
from kinema.services.encoding.execution.steps import StepEvent
from kinema.services.encoding.job_rows import Work
from kinema.services.encoding.jobs import Report


class Progress:
    """The heartbeat writes it down, the work tells it."""

    def __init__(self, clock: Clock, work: Work) -> None:
        self.step = "starting"
        self.estimate = Estimate()
        self._clock = clock
        self._began = clock.monotonic()
        self._before = work.seconds
        self._cpu_before = work.cpu_seconds - _children_cpu_seconds()

    def notice(self, part: str, step: str) -> Callable[[StepEvent], None]:
        """Return what takes the events of a part's steps; `step` says what is done while it is worked on."""

        def take(event: StepEvent) -> None:
            if event.event == "begun":
                self.step = step
                self.estimate.begun(part)
            elif event.event in {"found", "made"}:
                self.estimate.step(part, event.cost.cpu_seconds, found=event.event == "found")

        return take

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the programs of this job, over all its runs."""
        return self._cpu_before + _children_cpu_seconds()

    def report(self) -> Report:
        """Return what a heartbeat writes."""
        worked = self._clock.monotonic() - self._began
        return Report(
            step=self.step,
            progress=self.estimate.progress,
            eta_seconds=self.estimate.remaining_seconds(worked),
            rungs=self.estimate.rungs(),
            seconds=self._before + worked,
            cpu_seconds=self.cpu_seconds,
        )


def _children_cpu_seconds() -> float:
    """Return the processor time of all programs that this worker has run and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
