"""What a process uses (USE): processor, memory, descriptors, threads, and how late its event loop is.

The lag of the loop is what everybody on it waits in addition: a timer asks to be called every quarter of a second and
records how much later that was. The collector's pauses are timed by Python's own hook.
"""

import asyncio
import gc
import os
import resource
import time
from pathlib import Path
from typing import Any

import msgspec

from kinema.core.metrics import Metrics
from kinema.model.telemetry import PoolUsage, ProcessUsage

_TICK_SECONDS = 0.25
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_POOL_FIELDS = {
    "kinema_pool_in_use": "in_use",
    "kinema_pool_limit": "limit",
    "kinema_pool_waiting": "waiting",
    "kinema_pool_errors_total": "errors",
}
_CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(msgspec.Struct, frozen=True):
    """What /proc says now: seconds, bytes, counts."""

    cpu_seconds: float
    memory_bytes: int
    descriptors: int
    most_descriptors: int
    threads: int


def usage() -> Usage:
    """Ask the kernel about this process; about 30 us."""
    spent = resource.getrusage(resource.RUSAGE_SELF)
    pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return Usage(
        cpu_seconds=spent.ru_utime + spent.ru_stime,
        memory_bytes=pages * _PAGE_BYTES,
        descriptors=len(os.listdir("/proc/self/fd")),  # noqa: PTH208 -- a tenth of the time of Path.iterdir
        most_descriptors=most,
        threads=len(os.listdir("/proc/self/task")),  # noqa: PTH208 -- as above
    )


def started_at() -> float:
    """Return when this process was started, in Unix seconds."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return booted + ticks / _CLOCK_TICKS


class UsageMeter:
    """Puts the process's figures into its metrics. Made and closed on the event loop that it watches."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._spent = 0.0
        self._paused = 0.0
        self._lag = metrics.histogram("kinema_loop_lag_seconds")
        self._pause = metrics.counter("kinema_gc_pause_seconds_total")
        self._runs = [metrics.counter("kinema_gc_collections_total", generation=str(number)) for number in range(3)]
        self._paused_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._longest_lag = 0.0
        self._started_at = started = started_at()
        metrics.counted("process_cpu_seconds_total", lambda: usage().cpu_seconds)
        metrics.gauge("process_resident_memory_bytes", lambda: usage().memory_bytes)
        metrics.gauge("process_open_fds", lambda: usage().descriptors)
        metrics.gauge("process_max_fds", lambda: usage().most_descriptors)
        metrics.gauge("process_threads", lambda: usage().threads)
        metrics.gauge("process_start_time_seconds", lambda: started)
        gc.callbacks.append(self._collected)
        self._due = self._loop.time() + _TICK_SECONDS
        self._timer = self._loop.call_at(self._due, self._tick)

    def close(self) -> None:
        """Stop watching."""
        self._timer.cancel()
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)

    def report(self, seconds: float) -> ProcessUsage:
        """Return the process's figures; the last report was this many seconds ago."""
        now = usage()
        lag, self._longest_lag = self._longest_lag, 0.0
        spent, self._spent = now.cpu_seconds - self._spent, now.cpu_seconds
        paused, self._paused = self._pause.value - self._paused, self._pause.value
        return ProcessUsage(
            started_at=self._started_at,
            cpu=spent / seconds if seconds > 0 else 0.0,
            memory_bytes=now.memory_bytes,
            descriptors=now.descriptors,
            most_descriptors=now.most_descriptors,
            threads=now.threads,
            loop_lag_seconds=lag,
            gc_pause_seconds=paused,
            pools=_pools(self._metrics),
        )

    def _tick(self) -> None:
        late = max(0.0, self._loop.time() - self._due)
        self._lag.record(late)
        self._longest_lag = max(self._longest_lag, late)
        self._due = self._loop.time() + _TICK_SECONDS
        self._timer = self._loop.call_at(self._due, self._tick)

    def _collected(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start":
            self._paused_at = time.perf_counter()
        elif self._paused_at:
            self._pause.add(time.perf_counter() - self._paused_at)
            self._runs[info["generation"]].add()


def _pools(metrics: Metrics) -> tuple[PoolUsage, ...]:
    """Return the pools of a process as its metrics have them."""
    found: dict[str, dict[str, float]] = {}
    for sample in metrics.samples():
        if sample.name in _POOL_FIELDS:
            found.setdefault(sample.labels[0], {"in_use": 0.0})[_POOL_FIELDS[sample.name]] = sample.value
    return tuple(PoolUsage(name, **values) for name, values in sorted(found.items()))
