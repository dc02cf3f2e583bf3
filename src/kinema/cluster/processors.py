"""What processes use of the machine's processors, and what it has left, read from /proc (proc(5))."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_IDLE_FIELDS = (1, 3, 4)  # of the line `cpu`: nice, idle and waiting for disks; encoders are nice and give way


def cpu_seconds(pid: int) -> float | None:
    """Return the processor time of a process, in user and system mode; None when it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def available_seconds() -> float:
    """Return the time that all processors together have spent idle, or on what gives way at once, since the machine started."""
    fields = [int(field) for field in Path("/proc/stat").read_text().partition("\n")[0].split()[1:]]
    return sum(fields[place] for place in _IDLE_FIELDS) / _TICKS


class Meter:
    """Shares of a processor between two looks."""

    def __init__(self) -> None:
        self._seconds: dict[int, tuple[float, float]] = {}
        self._available: tuple[float, float] | None = None

    def used(self, pid: int, now: float) -> float | None:
        """Return the share of one processor that a process used since the last look; None at the first or when it is gone."""
        seconds = cpu_seconds(pid)
        before = self._seconds.pop(pid, None)
        if seconds is None:
            return None
        self._seconds[pid] = (now, seconds)
        if before is None or now <= before[0]:
            return None
        return (seconds - before[1]) / (now - before[0])

    def available(self, now: float) -> float:
        """Return how many processors were there to be had since the last look; 0 at the first."""
        seconds, before = available_seconds(), self._available
        self._available = (now, seconds)
        return 0.0 if before is None or now <= before[0] else (seconds - before[1]) / (now - before[0])

    def forget(self, pids: frozenset[int]) -> None:
        """Keep only these processes."""
        self._seconds = {pid: seen for pid, seen in self._seconds.items() if pid in pids}
