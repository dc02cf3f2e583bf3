"""What the telemetry service does: reads all reports in their order into windows, and answers what operators ask."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from kinema.core.clock import Clock
from kinema.core.errors import KinemaError
from kinema.core.log import get_logger
from kinema.model.telemetry import (
    BurnAlert,
    BurnRate,
    Objectives,
    ObjectiveState,
    Processes,
    ProcessResilience,
    ProcessState,
    Resilience,
    ResilienceState,
    ServiceMap,
    ServiceSeries,
    Trace,
    TraceList,
)
from kinema.observe.burn import SPANS, WINDOWS, budget_left, burn_rate, fires
from kinema.observe.objectives import Objective
from kinema.services.telemetry.repository import Repository
from kinema.services.telemetry.retention import Retention
from kinema.services.telemetry.traces import summary
from kinema.services.telemetry.views import service_map, service_series
from kinema.services.telemetry.windows import KEPT_SECONDS, Windows

_READ_SECONDS = 1.0
_SWEEP_SECONDS = 30.0
_ALIVE_SECONDS = 15.0  # a process that has been silent for longer is not shown
_NOTICED_SECONDS = 30.0  # processes keep spans about as long
_MOST_NOTICED = 200
_AT_ONCE = 50  # reports; a few milliseconds of work
_MINUTE = 60
_DAY = 24 * 3600

_log = get_logger(__name__)


class Telemetry:
    """One instance's view; `start` and `stop` belong to the app's life."""

    def __init__(
        self, repository: Repository, retention: Retention, objectives: Sequence[Objective], clock: Clock
    ) -> None:
        self._repository = repository
        self._retention = retention
        self._objectives = objectives
        self._clock = clock
        self._windows = Windows()
        self._last = 0
        self._instances: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None
        self.noticed: tuple[str, ...] = ()
        """Traces that were found to be in error or slow within the last seconds, by anybody."""
        self.ready = False

    async def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def read(self) -> None:
        """Take in what was reported since the last time."""
        now = self._clock.now()
        while found := await self._repository.reports(self._last, now - KEPT_SECONDS, _AT_ONCE):
            for number, at, deltas in found:
                self._windows.add(at, deltas, now)
                self._last = number
            await asyncio.sleep(0)  # an hour of reports is some work; others go on meanwhile
            if len(found) < _AT_ONCE:
                break
        self._windows.expire(now)
        self.noticed = await self._repository.noticed(now - _NOTICED_SECONDS, _MOST_NOTICED)
        counted: dict[str, int] = {}
        for row in await self._repository.processes(now - _ALIVE_SECONDS):
            for service in row.services:
                counted[service] = counted.get(service, 0) + 1
        self._instances = counted
        self.ready = True

    # -- what operators ask ------------------------------------------------------------------------------------------

    async def map(self) -> ServiceMap:
        """Return who called whom within the last minute."""
        instances = self._instances
        return await asyncio.to_thread(
            service_map, self._windows, self._clock.now(), lambda name: instances.get(name, 0)
        )

    async def series(self, service: str, minutes: int) -> ServiceSeries:
        """Return RED of a service by route."""
        return await asyncio.to_thread(service_series, self._windows, service, self._clock.now(), minutes)

    async def processes(self) -> Processes:
        """Return USE of the processes that report."""
        now = self._clock.now()
        rows = await self._repository.processes(now - _ALIVE_SECONDS)
        states = [
            ProcessState(row.process, row.services, row.reported_at, row.usage) for row in rows if row.usage is not None
        ]
        return Processes(now, tuple(states))

    async def resilience(self) -> Resilience:
        """Return the resilience parts of the processes that have any."""
        now = self._clock.now()
        rows = await self._repository.processes(now - _ALIVE_SECONDS)
        return Resilience(
            now,
            tuple(
                ProcessResilience(row.process, row.reported_at, row.resilience)
                for row in rows
                if row.resilience != ResilienceState()
            ),
        )

    async def traces(
        self, *, order: str, errors: bool, service: str, route: str, least_seconds: float, minutes: int, limit: int
    ) -> TraceList:
        """Return traces by what is asked for."""
        rows = await self._repository.find_traces(
            order=order,
            errors=errors,
            service=service,
            route=route,
            least_seconds=least_seconds,
            since=self._clock.now() - minutes * _MINUTE,
            limit=limit,
        )
        return TraceList(tuple(map(summary, rows)))

    async def trace(self, trace_id: str) -> Trace:
        """Return a waterfall. Raises NotFound."""
        return await self._repository.trace(trace_id)

    async def objectives(self) -> Objectives:
        """Return how the objectives are kept."""
        now = self._clock.now()
        lengths = {*SPANS, *(objective.window_days * _DAY for objective in self._objectives)}
        since = {seconds: int((now - seconds) // _MINUTE) * _MINUTE for seconds in lengths}
        counts = await self._repository.counts(set(since.values()))
        return Objectives(
            now,
            tuple(
                _state(one, {seconds: counts[at].get(one.name, (0, 0)) for seconds, at in since.items()})
                for one in self._objectives
            ),
        )

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        swept_at = self._clock.monotonic()
        while True:
            try:
                await self.read()
                if self._clock.monotonic() - swept_at > _SWEEP_SECONDS:
                    swept_at = self._clock.monotonic()
                    await self._retention.sweep(self._clock.now())
            except KinemaError as error:
                _log.warning("reports could not be read; they are tried again", error=str(error))
            except Exception as error:  # noqa: BLE001 -- one bad row must not end the reading for good
                _log.error("reading reports failed", exc_info=error)
            await self._clock.sleep(_READ_SECONDS)


def _state(objective: Objective, counts: dict[int, tuple[int, int]]) -> ObjectiveState:
    good, total = counts[objective.window_days * _DAY]
    return ObjectiveState(
        name=objective.name,
        description=objective.description,
        service=objective.service,
        route=objective.route,
        objective=objective.objective,
        under_seconds=objective.under_seconds,
        window_days=objective.window_days,
        good=good,
        total=total,
        sli=good / total if total else None,
        budget_left=budget_left(good, total, objective.objective),
        burn=tuple(
            BurnRate(seconds, burn_rate(*counts[seconds], objective.objective), counts[seconds][1]) for seconds in SPANS
        ),
        alerts=tuple(
            BurnAlert(
                severity=window.severity,
                factor=window.factor,
                long_seconds=window.long,
                short_seconds=window.short,
                firing=fires(window, counts.__getitem__, objective.objective),
            )
            for window in WINDOWS
        ),
    )
