"""A thread that notices when the event loop stands still, and names the filter that holds it.

    the loop     beats every 50 ms
    the thread   looks every 50 ms: without a new beat, it looks where the main thread is (sys._current_frames) and charges that
                 place with the time: the time that passed while the thread slept, else the processor time that it used.
                 So a loop that stands still because the machine is busy is charged next to nothing
    0.5 s        charged to a place inside one operator's filter without a beat: that filter is convicted
    elsewhere    the place is logged, once for each stall

Code that holds the interpreter's lock inside C (a regular expression that backtracks) keeps the thread from looking; a signal
by processor time (SIGVTALRM), which such code answers between its steps, then looks in its place.
"""

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType

from kinema.core.log import get_logger
from kinema.services.gateway.own_filters import Source

LIMIT_SECONDS = 0.5
_LOOK_SECONDS = 0.05
_log = get_logger(__name__)


class Stall:
    """What is charged since the last beat. Pure: beats, places and times come in; a verdict goes out."""

    def __init__(self, limit: float = LIMIT_SECONDS) -> None:
        self._limit = limit
        self._beat = -1
        self._culprit: object = None
        self._charged = 0.0
        self._told = False

    def look(self, beat: int, culprit: object, seconds: float) -> bool:
        """Charge `seconds` to a culprit (None: nobody in particular); True, once, when that is more than may be."""
        if beat != self._beat or culprit is not self._culprit:
            if beat != self._beat:
                self._told = False
            self._beat, self._culprit, self._charged = beat, culprit, 0.0
            return False
        self._charged += seconds
        if self._told or self._charged < self._limit:
            return False
        self._told = True
        return True


class Watchdog:
    """Watches the loop that runs on the thread which starts it. `owner` tells whose filter a file is, `convict` what then happens."""

    def __init__(
        self,
        owner: Callable[[str], Source | None],
        convict: Callable[[Source, str], None],
        limit: float = LIMIT_SECONDS,
    ) -> None:
        self._owner = owner
        self._convict = convict
        self._stall = Stall(limit)
        self._beats = 0
        self._looks = 0
        self._stop = threading.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._signalled = False
        self._looks_at_signal = 0

    def start(self) -> None:
        """Begin to watch; call it on the loop's thread."""
        self._watched = threading.get_ident()
        self._stat = Path(f"/proc/self/task/{threading.get_native_id()}/stat")
        self._clock = time.pthread_getcpuclockid(self._watched)
        self._beat()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()
        if threading.current_thread() is threading.main_thread() and not signal.getitimer(signal.ITIMER_VIRTUAL)[0]:
            self._signalled = True
            signal.signal(signal.SIGVTALRM, self._on_signal)
            signal.setitimer(signal.ITIMER_VIRTUAL, 2 * _LOOK_SECONDS, 2 * _LOOK_SECONDS)

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._timer is not None:
            self._timer.cancel()
        if self._signalled:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
            signal.signal(signal.SIGVTALRM, signal.SIG_IGN)
        self._thread.join(timeout=1.0)

    def _beat(self) -> None:
        self._beats += 1
        self._timer = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._beat)

    def _watch(self) -> None:
        used, looked = time.clock_gettime(self._clock), time.monotonic()
        while not self._stop.wait(_LOOK_SECONDS):
            before_used, before_looked = used, looked
            used, looked = time.clock_gettime(self._clock), time.monotonic()
            seconds = min(looked - before_looked, 2 * _LOOK_SECONDS) if self._sleeps() else used - before_used
            self._looks += 1
            self._look(sys._current_frames().get(self._watched), seconds)  # noqa: SLF001 (documented for exactly this)

    def _on_signal(self, _number: int, frame: FrameType | None) -> None:
        """Look in the place of the thread when that could not: in these 0.1 s of processor time it did not look once."""
        if self._looks == self._looks_at_signal:
            self._look(frame, 2 * _LOOK_SECONDS)
        self._looks_at_signal = self._looks

    def _look(self, frame: FrameType | None, seconds: float) -> None:
        culprit, where = self._place(frame)
        if not self._stall.look(self._beats, culprit, seconds):
            return
        if culprit is not None:
            self._convict(culprit, where)
        else:
            _log.error("the event loop stands still", where=where)

    def _place(self, frame: FrameType | None) -> tuple[Source | None, str]:
        """Return the filter in whose code the thread is, and where exactly; without one, just where."""
        first = frame
        while frame is not None:
            owner = self._owner(frame.f_code.co_filename)
            if owner is not None:
                return owner, _describe(frame)
            frame = frame.f_back
        return None, "" if first is None else _describe(first)

    def _sleeps(self) -> bool:
        """Whether the watched thread waits in the kernel, as opposed to running or waiting for a processor."""
        with suppress(OSError, IndexError):
            return self._stat.read_text().rpartition(")")[2].split()[0] in "SD"
        return False


def _describe(frame: FrameType) -> str:
    code = frame.f_code
    return f"{Path(code.co_filename).name}:{frame.f_lineno} in {code.co_qualname if sys.version_info >= (3, 11) else code.co_name}"
