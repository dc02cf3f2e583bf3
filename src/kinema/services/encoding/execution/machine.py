"""What of this machine may be used for encoding: processors and memory, as the system and its control group allow.

A container sees all of its host's processors and memory and is killed when it believes that. The limits that hold are
those of its control group (version 2: `cpu.max`, `memory.max`), of the processors that the process is bound to, and the memory
that nobody uses now.
"""

import math
import os
from pathlib import Path

import msgspec

_FALLBACK_MEMORY = 4 << 30
_USED_SHARE = 0.8  # of the memory at hand; the rest is for the system, its file cache and what was estimated too low


class Machine(msgspec.Struct, frozen=True):
    """Room for work: threads that run at the same time, and bytes of memory."""

    threads: int
    memory_bytes: int


def this_machine(root: Path = Path("/")) -> Machine:
    """Return what may be used here now. `root` is where /proc and /sys are looked for."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = _available(root)
    group = _group(root)
    if (quota := _words(group / "cpu.max")) and quota[0].isdigit() and len(quota) == 2:
        threads = min(threads, max(1, math.ceil(int(quota[0]) / int(quota[1]))))
    if (most := _words(group / "memory.max")) and most[0].isdigit():
        used = _words(group / "memory.current")
        memory = min(memory, int(most[0]) - (int(used[0]) if used else 0))
    return Machine(threads, max(0, round(memory * _USED_SHARE)))


def _group(root: Path) -> Path:
    """Return the directory of this process's control group; inside a container it is the top one."""
    for line in _lines(root / "proc/self/cgroup"):
        if line.startswith("0::"):
            own = root / "sys/fs/cgroup" / line[3:].strip().lstrip("/")
            if (own / "memory.max").exists() or (own / "cpu.max").exists():
                return own
    return root / "sys/fs/cgroup"


def _available(root: Path) -> int:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return _FALLBACK_MEMORY


def _words(path: Path) -> list[str]:
    lines = _lines(path)
    return lines[0].split() if lines else []


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
