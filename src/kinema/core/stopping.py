"""How a process is told to stop, and how much time that leaves to those who still call it.

SIGINT     at once: answers that were begun end, nothing else is waited for     (the whole region stops)
SIGTERM    gently: sign off first, serve on until every caller has noticed     (one instance leaves; Kubernetes, scaling in)
SIGHUP     for a successor: as gently, but whoever serves on an inherited socket
stays signed on, as the socket keeps its callers until the next process takes them   (rolling restart)
a second signal cuts the waiting short
"""

import asyncio
import signal

LINGER_SECONDS = 1.6
"""How long an instance serves on after it signed off: callers ask the registries once a second, and need a moment to be told."""


class Stop:
    """The wish to stop: `asked` is set when there is one; `gentle` and `successor` then say how."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.gentle = False
        self.successor = False
        self._at_once = asyncio.Event()

    def listen(self) -> "Stop":
        """Hear the signals of the process; returns itself. Needs the running loop of the main thread."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self.ask)
        loop.add_signal_handler(signal.SIGTERM, lambda: self.ask(gentle=True))
        loop.add_signal_handler(signal.SIGHUP, lambda: self.ask(gentle=True, successor=True))
        return self

    def ask(self, *, gentle: bool = False, successor: bool = False) -> None:
        """Ask to stop; the second time, at once."""
        if self.asked.is_set():
            self._at_once.set()
            return
        self.gentle, self.successor = gentle, successor
        if not gentle:
            self._at_once.set()
        self.asked.set()

    async def linger(self, seconds: float = LINGER_SECONDS) -> None:
        """Wait while callers find out; returns at once when there is nobody to wait for."""
        if self.gentle:
            try:
                await asyncio.wait_for(self._at_once.wait(), seconds)
            except TimeoutError:
                return
